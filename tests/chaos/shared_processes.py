"""Processes that share a journal, with clocks of their own: they can be killed, stopped and woken.

Nothing here imports the client.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support import ROOT

CLOCKS = (0.0, 300.0, -300.0)  # seconds ahead


class Parent:
    """A program that forks processes whose clock is so many seconds ahead."""

    def __init__(self, ahead: float, folder: Path) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.upper().startswith(("PAYEX_", "HTTP"))
        } | {"HOME": str(folder), "PYTHONFAULTHANDLER": "1"}
        self._errors = (folder / f"parent{ahead:g}.txt").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.shared_child", str(ahead)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=ROOT, env=environment, text=True,
        )  # fmt: skip
        self._ended: dict[int, int] = {}

    def is_ready(self) -> bool:
        """Block until it can fork."""
        assert self._process.stdout is not None
        return "ready" in self._process.stdout.readline()

    def start(self, role: str, output: Path, options: dict[str, Any]) -> int:
        return int(self._ask({"do": "start", "role": role, "output": str(output), "options": options})["pid"])

    def code(self, pid: int) -> int | None:
        """Return the exit code of a process; None if it runs."""
        if pid not in self._ended:
            found = self._ask({"do": "poll"})["ended"]
            self._ended |= {int(number): code for number, code in found.items()}
        return self._ended.get(pid)

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.kill()  # its processes die with it
        self._process.communicate()
        self._errors.close()


@contextmanager
def parents(folder: Path) -> Iterator[dict[float, Parent]]:
    made = {ahead: Parent(ahead, folder) for ahead in CLOCKS}
    try:
        for parent in made.values():
            assert parent.is_ready(), "a parent did not start"
        yield made
    finally:
        for parent in made.values():
            parent.end()


class Process:
    """A coordinator, a worker or a webhook."""

    def __init__(self, parent: Parent, role: str, name: str, folder: Path, options: dict[str, Any]) -> None:
        self.role, self.name, self.options = role, name, options
        self.output = folder / f"{name}.txt"
        self.result = folder / f"{name}.json"
        self.began = time.monotonic()
        self.ended: float | None = None
        self.code: int | None = None
        self.stopped_until: float | None = None
        self._parent = parent
        self.pid = parent.start(role, self.output, {**options, "name": name, "result": str(self.result)})

    def is_running(self) -> bool:
        if self.code is None:
            self.code = self._parent.code(self.pid)
            if self.code is not None:
                self.ended = time.monotonic()
        return self.code is None

    def signal(self, number: signal.Signals) -> None:
        # The parent reaps a process only in `is_running`, so the number is still that of this process.
        if self.is_running():
            os.kill(self.pid, number)

    def stop_for(self, seconds: float) -> None:
        self.signal(signal.SIGSTOP)
        self.stopped_until = time.monotonic() + seconds

    def wake_if_due(self, *, now: bool = False) -> None:
        if self.stopped_until is not None and (now or time.monotonic() >= self.stopped_until):
            self.stopped_until = None
            self.signal(signal.SIGCONT)

    def is_stopped(self) -> bool:
        """Whether the system says that it is stopped."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def text(self) -> str:
        return self.output.read_text("utf-8", "replace") if self.output.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """What a webhook says of its events. A killed one may leave half a line."""
        found = []
        for line in self.text().splitlines():
            with suppress(ValueError):
                if isinstance(value := json.loads(line), dict):
                    found.append(value)
        return found

    def __str__(self) -> str:
        result = self.result.read_text() if self.result.exists() else ""
        return f"{self.name} (pid {self.pid}): code {self.code}\n{result[:3000]}\n{self.text()[-3000:]}"
