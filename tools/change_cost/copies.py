"""Copy the project, correct the contract in the copy, and run the parts that must pass there.

A part is one check, such as the smoke test or the type checkers; PARTS lists them.
"""

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
    """The result of a part. `ok` is None if the part did not run."""

    ok: bool | None = None
    lines: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Outcome:
    """The result of a correction: the result of each part, and the number of files edited by hand."""

    correction: Correction
    parts: dict[str, Part] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)  # smoke test steps that are wrong although nothing raised
    steps: int = 0
    failed_steps: int = 0
    files_by_hand: int = 0

    @property
    def passes(self) -> bool:
        """Whether no part failed. A part that did not run does not count."""
        return all(part.ok is not False for part in self.parts.values())

    @property
    def files(self) -> str:
        """How many files must be edited by hand: exact if all parts pass, otherwise a lower bound."""
        return str(self.files_by_hand) if self.passes else f"≥ {self.files_by_hand + 1}"

    @property
    def missed(self) -> bool:
        """Whether the correction is silently wrong, does not fit the contract, or costs more files than wanted."""
        if self.silent or "edit" in self.parts:
            return True
        wanted = self.correction.wanted
        return wanted is not None and (not self.passes or self.files_by_hand > wanted)


_running: set[subprocess.Popen[str]] = set()
_stopped = threading.Event()


def stopped() -> bool:
    """Return whether the run was interrupted. After that, the failure of a part means nothing."""
    return _stopped.is_set()


def stop_parts() -> None:
    """Kill the parts that are running, and let no further part start."""
    _stopped.set()
    for process in list(_running):
        _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the group contains only processes that this command started


class Copy:
    """A copy of the project in another folder."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Copy the files of the working tree that git tracks or does not ignore."""
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
        # The copy uses the tools that are installed beside this interpreter, as `make` does.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # The caller's PAYEX_ variables are left out: they would change the results.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PAYEX_")}
        more = {"PYTHONPATH": os.pathsep.join(packages), "PATH": path, "NO_COLOR": "1", "COLUMNS": "240"}
        self.environment = kept | more

    def correct(self, correction: Correction) -> int:
        """Correct the contract, then apply the correction's patch of hand edits, if it has one.

        Returns:
            The number of files that the patch changes; 0 without a patch.
        """
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
        """Run a command in the copy, for at most `seconds`; return whether it succeeded, and its output."""
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
        """Remove the folders, instance ids and digests that differ in each run, so that pages can be compared."""
        text = text.replace(f"{self.folder}/", "")
        text = re.sub(r" \[instance urn:uuid:[0-9a-f-]+\]", "", text)
        text = re.sub(r"/tmp/tmp\w+/", "", text)  # noqa: S108 - a pattern for text; no file is opened
        return re.sub(r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{12,16}\b", "…", text)

    def client_digest(self) -> str:
        """Return a digest of the generated client's Python files.

        _generated.json is left out, because it changes with every contract.
        """
        digest = hashlib.sha256()
        for path in sorted((self.folder / "generated_client").rglob("*.py")):
            digest.update(str(path.relative_to(self.folder)).encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def generate(copy: Copy, _: Outcome) -> Part:
    """Run `make generate`."""
    ok, output = copy.run(120, sys.executable, "tools/generate.py")
    return Part(ok, [] if ok else head(output))


def check(copy: Copy, _: Outcome) -> Part:
    """Run `make check-generated`."""
    ok, output = copy.run(120, sys.executable, "tools/generate.py", "--check")
    return Part(ok, [] if ok else head(output))


def smoke(copy: Copy, outcome: Outcome) -> Part:
    """Run the smoke test, and store the numbers of its steps in the outcome."""
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
    # Steps that fail with the same messages share one entry.
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
    """Run `make demo`."""
    ok, output = copy.run(90, sys.executable, "examples/demo.py", "examples/charges.csv")
    return Part(ok, [] if ok else head(output, last=True))


def types(copy: Copy, _: Outcome) -> Part:
    """Run the type checkers, as `make types` does."""
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
    """Run the probes of the contract suite against the mock in the same process."""
    # Stop after 20 failures: if the mock does not start, every probe fails.
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
    """Return the first lines of an output; with `last`, the last lines."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    return lines[-MOST_LINES:] if last else lines[:MOST_LINES]


class Types:
    """Check types once for each generated client, and reuse the result for copies with the same client.

    A type checker spends most of its time on the wrapper, which most corrections do not change.
    """

    def __init__(self) -> None:
        """Start without results."""
        self.known: dict[str, Part] = {}
        self.cache: Path | None = None  # a mypy cache to start from

    def check(self, copy: Copy, outcome: Outcome) -> Part:
        """Check the types of a copy, or return the result of an earlier copy with the same client."""
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
    """Copy the project to `folder`, apply a correction there, and run the parts that are not in `skip`."""
    outcome = Outcome(correction)
    copy = Copy(root, folder)
    try:
        outcome.files_by_hand = copy.correct(correction)
    except Exception as error:  # noqa: BLE001 - the page also reports corrections that do not fit
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
            break  # the other parts would test the old client
    return outcome


def _order(skip: set[str]) -> Iterator[str]:
    yield from (name for name in PARTS if name not in skip)
