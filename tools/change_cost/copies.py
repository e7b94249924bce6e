"""A copy of the project with a corrected contract, and the parts that must pass in the copy."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .contract import Contract
from .correction import Correction

PARTS = ("generate", "smoke", "demo", "types", "probes", "check")
PATCHES = Path(__file__).parent / "patches"
MOST_LINES = 6


@dataclass
class Part:
    """What came of a part; `ok` is None if it did not run."""

    ok: bool | None = None
    lines: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Outcome:
    """What came of a correction."""

    correction: Correction
    parts: dict[str, Part] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)  # steps of the smoke test that are wrong without an exception
    steps: int = 0
    failed_steps: int = 0
    files_by_hand: int = 0

    @property
    def passes(self) -> bool:
        """Whether every part that ran is ok."""
        return all(part.ok is not False for part in self.parts.values())

    @property
    def files(self) -> str:
        """How many files must be edited by hand, as far as it is known."""
        return str(self.files_by_hand) if self.passes else f"≥ {self.files_by_hand + 1}"

    @property
    def missed(self) -> bool:
        """Whether the result is not what is wanted."""
        if self.silent or "edit" in self.parts:
            return True
        wanted = self.correction.wanted
        return wanted is not None and (not self.passes or self.files_by_hand > wanted)


_running: set[subprocess.Popen[str]] = set()
_stopped = threading.Event()


def stopped() -> bool:
    """Whether the run was interrupted, so that a part that fails says nothing."""
    return _stopped.is_set()


def stop_parts() -> None:
    """Kill the parts that run, and start no more."""
    _stopped.set()
    for process in list(_running):
        _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the group has this command's own processes only


class Copy:
    """A copy in a temporary folder."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Copy the files that git tracks or would add, as they are in the working tree."""
        self.root, self.folder = root, folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        )
        for name in listed.stdout.decode().split("\0"):
            source, target = root / name, folder / name
            if name and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        packages = [str(folder / name) for name in ("wrapper", "generated_client", "mock_server")]
        # The same tools as `make` takes from its environment: those beside this interpreter.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # A setting of the caller must not reach the copy.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PAYEX_")}
        more = {"PYTHONPATH": os.pathsep.join(packages), "PATH": path, "NO_COLOR": "1", "COLUMNS": "240"}
        self.environment = kept | more

    def correct(self, correction: Correction) -> int:
        """Correct the contract, and apply the patch of hand edits if there is one; returns the files it touches."""
        contract = Contract(self.folder / "openapi.yaml")
        correction.edit(contract)
        (self.folder / "openapi.yaml").write_text(contract.text(), encoding="utf-8")
        patch = PATCHES / f"{correction.key.zfill(2)}.patch"
        if not patch.is_file():
            return 0
        counted = subprocess.run(["git", "apply", "--numstat", str(patch)], capture_output=True, text=True, check=True)
        subprocess.run(["git", "apply", str(patch)], cwd=self.folder, check=True)
        return len(counted.stdout.splitlines())

    def run(self, seconds: float, *command: str) -> tuple[bool, str]:
        """Run a command in the copy, with a time limit; returns whether it succeeded, and its output."""
        if _stopped.is_set():
            return False, "Interrupted."
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        _running.add(process)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            output, _ = process.communicate()
            return False, f"{output}\nThe time limit of {seconds:.0f} s has passed."
        finally:
            _running.discard(process)
        return process.returncode == 0, self.plain(output)

    def plain(self, text: str) -> str:
        """Return a text without what differs from run to run, so that two pages can be compared."""
        text = text.replace(f"{self.folder}/", "")
        text = re.sub(r" \[instance urn:uuid:[0-9a-f-]+\]", "", text)
        text = re.sub(r"/tmp/tmp\w+/", "", text)  # noqa: S108 - a text, no file
        return re.sub(r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{12,16}\b", "…", text)

    def client_digest(self) -> str:
        """Return a digest of the generated client, without the stamp of the contract."""
        digest = hashlib.sha256()
        for path in sorted((self.folder / "generated_client").rglob("*.py")):
            digest.update(str(path.relative_to(self.folder)).encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def generate(copy: Copy, _: Outcome) -> Part:
    """`make generate`."""
    ok, output = copy.run(120, sys.executable, "tools/generate.py")
    return Part(ok, [] if ok else head(output))


def check(copy: Copy, _: Outcome) -> Part:
    """`make check-generated`."""
    ok, output = copy.run(120, sys.executable, "tools/generate.py", "--check")
    return Part(ok, [] if ok else head(output))


def smoke(copy: Copy, outcome: Outcome) -> Part:
    """The smoke test."""
    expectations, result = copy.folder / ".expectations.json", copy.folder / ".smoke.json"
    expectations.write_text(json.dumps(outcome.correction.expect.to_dict()), encoding="utf-8")
    command = ("-m", "tools.change_cost.smoke", str(expectations), str(result))
    ok, output = copy.run(150, sys.executable, *command)
    if not result.is_file():
        return Part(False, head(output, last=True))
    steps = json.loads(result.read_text(encoding="utf-8"))
    outcome.steps = len(steps)
    outcome.failed_steps = sum(step["status"] != "ok" for step in steps)
    outcome.silent = [step["name"] for step in steps if step["status"] == "different"]
    # Steps that fail in the same way are named together.
    groups: dict[tuple[str, ...], list[str]] = {}
    for step in steps:
        if step["status"] != "ok":
            messages = tuple(copy.plain(message) for message in step["messages"][:2])
            mark = " (silently wrong)" if step["status"] == "different" else ""
            groups.setdefault(messages, []).append(step["name"] + mark)
    lines = []
    for messages, names in groups.items():
        lines += [f"{', '.join(names)}:", *(f"  {message}" for message in messages)]
    return Part(ok, lines)


def demo(copy: Copy, _: Outcome) -> Part:
    """`make demo`."""
    ok, output = copy.run(90, sys.executable, "examples/demo.py", "examples/charges.csv")
    return Part(ok, [] if ok else head(output, last=True))


def types(copy: Copy, _: Outcome) -> Part:
    """`make types`."""
    for command in (
        ("mypy", "--no-error-summary"),
        ("mypy", "--no-error-summary", "tests/typing/api.py"),
        ("pyright", "--pythonpath", sys.executable, "--level", "error"),
    ):
        ok, output = copy.run(240, sys.executable, "-m", *command)
        if not ok:
            errors = [line for line in output.splitlines() if "error" in line]
            return Part(
                False, [f"{command[0]}: {line.strip()}" for line in (errors or output.splitlines())[:MOST_LINES]]
            )
    return Part(True)


def probes(copy: Copy, _: Outcome) -> Part:
    """The directed part of the contract suite, probes and model, in process."""
    # Stops after 20 failures: each line names one, and a mock that does not start fails them all.
    options = ("-q", "-p", "no:cacheprovider", "--tb=no", "-rfE", "--maxfail=20", "--hypothesis-seed=20260101")
    chosen = ("contract_tests/test_probes.py", "-k", "not TLS and not socket")
    ok, output = copy.run(180, sys.executable, "-m", "pytest", *chosen, *options)
    if ok:
        return Part(True)
    lines = output.splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    shown = [line.replace("contract_tests/test_probes.py::", "") for line in failures[:MOST_LINES]]
    return Part(False, [*shown, *lines[-1:]] if shown else head(output, last=True))


RUNNERS: dict[str, Callable[[Copy, Outcome], Part]] = {
    "generate": generate,
    "smoke": smoke,
    "demo": demo,
    "types": types,
    "probes": probes,
    "check": check,
}


def head(output: str, *, last: bool = False) -> list[str]:
    """Return the first lines of an output, or the last ones."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    return lines[-MOST_LINES:] if last else lines[:MOST_LINES]


class Types:
    """Checks types once for each generated client, because most of a type checker's time is the wrapper's."""

    def __init__(self) -> None:
        """Know none."""
        self.known: dict[str, Part] = {}
        self.cache: Path | None = None  # mypy's

    def check(self, copy: Copy, outcome: Outcome) -> Part:
        """Check the types of a copy, or return what came of the same files."""
        digest = copy.client_digest() if not outcome.files_by_hand else ""
        if digest and digest in self.known:
            return Part(self.known[digest].ok, self.known[digest].lines)
        if self.cache is not None:
            shutil.copytree(self.cache, copy.folder / ".mypy_cache", dirs_exist_ok=True)
        part = types(copy, outcome)
        if digest:
            self.known[digest] = part
        return part


def apply(correction: Correction, root: Path, folder: Path, skip: set[str], checker: Types) -> Outcome:
    """Apply a correction to a copy in `folder`, and run the parts that are not skipped."""
    outcome = Outcome(correction)
    copy = Copy(root, folder)
    try:
        outcome.files_by_hand = copy.correct(correction)
    except Exception as error:  # noqa: BLE001 - a correction that does not fit is a result, too
        outcome.parts["edit"] = Part(
            False, [f"The correction does not fit openapi.yaml: {type(error).__name__}: {error}"]
        )
        return outcome
    for name in _order(skip):
        started = time.monotonic()
        runner = checker.check if name == "types" else RUNNERS[name]
        part = outcome.parts[name] = runner(copy, outcome)
        part.seconds = time.monotonic() - started
        if name == "generate" and not part.ok:
            break  # the old client says nothing about the new contract
    return outcome


def _order(skip: set[str]) -> Iterator[str]:
    yield from (name for name in PARTS if name not in skip)
