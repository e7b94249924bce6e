"""docs/howto/bad-night.md is true: its commands run in their order, and print what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from payex_billing_mock import MockServer

from tests.support import LEDGER, ROOT, TOKEN

PAGE = ROOT / "docs" / "howto" / "bad-night.md"
# What differs from run to run: ids of charges, digests, times, and whose machine it is.
VARYING = (
    (r"\b[0-9a-f]{16}\b", "CHARGE"),
    (r"\b[0-9a-f]{12}\b", "DIGEST"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"by \S+ on \S+, payex-billing \S+", "by USER on HOST, payex-billing VERSION"),
)


def blocks() -> list[str]:
    return re.findall(r"^```text\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def normal(text: str) -> list[str]:
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    # A column is as wide as its widest cell.
    return [re.sub(r"[\s─━]+", " ", line).strip() for line in text.splitlines() if line.strip()]


def test_the_page_shows_what_its_commands_print(mock: MockServer, tmp_path: Path) -> None:
    environment = {
        **os.environ, "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "COLUMNS": "200",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    ids: list[str] = []
    ran = 0
    for block in blocks():
        if not block.startswith("$ "):  # a file: its name, then its lines
            name, _, content = block.partition("\n")
            (tmp_path / name.removesuffix(":")).write_text(content, encoding="utf-8")
            continue
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            words = shlex.split(command)
            # The page names charges by the ids of its own night; here they are those of this one.
            words = [ids[shown.index(word)] if word in (shown := shown_ids()) else word for word in words]
            result = subprocess.run(
                words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                check=False, timeout=60, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            ids = list(dict.fromkeys([*ids, *re.findall(r"\b[0-9a-f]{16}\b", result.stdout)]))
            assert normal(result.stdout) == normal(expected), command
            ran += 1
    assert ran >= 8


def shown_ids() -> list[str]:
    """The ids of charges in the page, in their order."""
    output = "\n".join(line for block in blocks() for line in block.splitlines() if not line.startswith("$ "))
    return list(dict.fromkeys(re.findall(r"\b[0-9a-f]{16}\b", output)))
