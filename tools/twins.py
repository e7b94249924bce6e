"""Derive the blocking client, `_sync/`, from the asynchronous client, `_async/`. tools/generate.py calls this module.

Each module of `_async/` has a twin in `_sync/`: its blocking version. The twin is made by replacing the words in
REPLACEMENTS. The transports have such folders too. Some code cannot be derived in this way, such as the two token
sources. Such code is written by hand for both clients, outside these folders, under names that differ only by `Async`.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path("wrapper/payex_billing")
SOURCES = (PACKAGE / "_async", PACKAGE / "_transport" / "_async")
HEADER = "# Made by `make generate` from {source}: edit that file.\n"
# Pairs of an asynchronous pattern and its blocking replacement, for code, docstrings and comments. They apply in this
# order.
REPLACEMENTS = (
    (r"\b([Aa])n (`?)Async(?=[A-Z])", r"\1 \2"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\basync (?=def\b|with\b|for\b)", ""),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\ba(close|iter_stream)\b", r"\1"),  # of httpcore2
    (r"\bhandle_async_request\b", "handle_request"),
    (r"\bimport asyncio\b", "import time"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAn asynchronous\b", "A blocking"),
    (r"\basynchronous\b", "blocking"),
    (r"\bThe tasks of one event loop\b", "Threads"),
    (r"\bthe tasks of one event loop\b", "threads"),
)
_RULES = [(re.compile(pattern), blocking) for pattern, blocking in REPLACEMENTS]
_ASYNCHRONOUS = re.compile(r"async|await|asyncio|Async[A-Z]\w*")


class TwinError(Exception):
    """The blocking client cannot be derived; the message gives the reason and the place."""


def render(root: Path) -> dict[Path, str]:
    """Return the text of each file of the blocking client, by the path relative to `root`."""
    found: dict[Path, str] = {}
    for folder in SOURCES:
        sources = sorted((root / folder).glob("*.py"))
        if not sources:
            raise TwinError(f"{folder} has no modules to derive the blocking client from")
        for source in sources:
            text = source.read_text(encoding="utf-8")
            found[target_of(folder) / source.name] = derive(text, folder / source.name)
    return found


def target_of(folder: Path) -> Path:
    """Return the folder of the twins."""
    return folder.with_name("_sync")


def derive(text: str, source: Path) -> str:
    """Return the blocking twin of a module.

    Args:
        text: the asynchronous module.
        source: the path of the asynchronous module, for the first line of the twin and for messages.

    Raises:
        TwinError: the twin is not valid Python, or still has an asynchronous word.
    """
    for pattern, blocking in _RULES:
        text = pattern.sub(blocking, text)
    _check(text, source)
    text = HEADER.format(source=source.as_posix()) + text
    # I sorts the imports, whose names have changed. F401 removes those that the twin does not need. UP028 turns a loop
    # that only yields into `yield from`.
    text = _ruff(text, source, "check", "--select", "I,F401,UP028", "--fix-only", "--unsafe-fixes")
    return _ruff(text, source, "format")


def _check(text: str, source: Path) -> None:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        compile(text, str(source), "exec", dont_inherit=True)
    except (SyntaxError, tokenize.TokenError) as error:
        raise TwinError(f"The blocking twin of {source} is not Python: {error}") from error
    for token in tokens:
        if token.type == tokenize.NAME and _ASYNCHRONOUS.fullmatch(token.string):
            raise TwinError(
                f"{source}, line {token.start[0]}: `{token.string}` has no blocking twin. Add it to REPLACEMENTS in "
                "tools/twins.py, or move the code out of _async/ and write it for both clients."
            )


def _ruff(text: str, source: Path, command: str, *options: str) -> str:
    """Run ruff on the text of a module and return the result.

    The options are fixed here and --isolated ignores all configuration files, so that the result is always the same.
    """
    ruff = str(Path(sys.executable).with_name("ruff"))
    isolated = ("--isolated", "--no-cache", "--quiet", "--line-length", "120", "--target-version", "py311")
    result = subprocess.run(
        [ruff, command, *options, *isolated, "--stdin-filename", source.name, "-"],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if result.returncode != 0:
        raise TwinError(f"ruff {command} failed on the blocking twin of {source}:\n{result.stdout}{result.stderr}")
    return result.stdout


def stale(root: Path, rendered: Iterable[Path]) -> list[Path]:
    """Return the files in `_sync/` that have no source in `_async/`, as paths relative to `root`."""
    there = {path.relative_to(root) for folder in SOURCES for path in (root / target_of(folder)).glob("*.py")}
    return sorted(there - set(rendered))
