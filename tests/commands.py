"""Run `payex-billing` in a process of its own, as a shell would.

Most of the CPU time of a command is the start of Python and its imports: 0.2 of 0.3 seconds. The tests start hundreds of
commands. So a first process imports the package once, and forks for each command.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, Any

ROOT = Path(__file__).parent.parent
# Python reads these when it starts, so a fork cannot change them.
_OF_THE_START = ("PYTHON", "LC_", "LANG", "COVERAGE")
# What is imported once. None of it starts a thread, which a fork would not have.
_ONCE = (
    "duckdb", "payex_billing._transport._async.reqwest", "payex_billing.cli._runs", "payex_billing.cli._reconcile",
    "payex_billing.reconcile._tables",
)  # fmt: skip
_LARGEST = 1 << 17  # bytes of an order


def run_command(
    *arguments: str, cwd: Path | None = None, environment: Mapping[str, str], timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command without standard input. Return its exit code and what it wrote.

    Args:
        environment: the whole environment of the process.
        timeout: seconds after which the process is killed.

    Raises:
        subprocess.TimeoutExpired: the process was killed.
    """
    command = [sys.executable, "-m", "payex_billing", *arguments]
    if not _can_fork(environment):
        return subprocess.run(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=timeout,
        )  # fmt: skip
    with Path(os.devnull).open() as empty, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        order = {"arguments": command[3:], "cwd": str(cwd or Path.cwd()), "environment": dict(environment)}
        code = _forking().run(order, [empty, output, errors], timeout)
        if code is None:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, code, _text(output), _text(errors))


def _can_fork(environment: Mapping[str, str]) -> bool:
    def of_the_start(given: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in given.items() if name.startswith(_OF_THE_START)}

    # Only Linux has what the process below needs. Coverage measures a process from its start.
    is_measured = any(name.startswith("COVERAGE") for name in environment)
    return sys.platform == "linux" and not is_measured and of_the_start(environment) == of_the_start(os.environ)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


class _Forking:
    """The process that forks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._orders, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands"], cwd=ROOT, stdin=other.fileno(), stdout=subprocess.DEVNULL
        )
        other.close()

    def run(self, order: dict[str, Any], streams: list[IO[Any]], timeout: float) -> int | None:
        """Run a command. Return its exit code; None if it was killed after `timeout` seconds."""
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with told:
            with tells, self._lock:
                files = [tells.fileno(), *(stream.fileno() for stream in streams)]
                socket.send_fds(self._orders, [json.dumps(order).encode()], files)
            pid = int(told.recv(32))
            told.settimeout(timeout)
            try:
                return int(told.recv(32))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                return None

    def end(self) -> None:
        """End the process. Call this only when all commands have ended."""
        self._orders.close()
        self._process.wait()


@cache
def _forking() -> _Forking:
    forking = _Forking()
    atexit.register(forking.end)
    return forking


# in the process that forks


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order. Return the order in the new process; None in this one, when nobody can order any more."""
    running: dict[int, tuple[int, int]] = {}  # the file that tells of the end of a process: its number, who is told
    with selectors.DefaultSelector() as waiting:
        waiting.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fd != orders.fileno():
                    waiting.unregister(key.fd)
                    pid, tells = running.pop(key.fd)
                    os.close(key.fd)
                    _tell(tells, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    os.close(tells)
                    continue
                message, files, _, _ = socket.recv_fds(orders, _LARGEST, 4)
                if not message:
                    return None
                pid = os.fork()
                if pid == 0:
                    for number, file in enumerate(files[1:]):
                        os.dup2(file, number)
                    for file in [*files, *running, *(tells for _, tells in running.values())]:
                        os.close(file)
                    order: dict[str, Any] = json.loads(message)
                    return order
                _tell(files[0], pid)
                for file in files[1:]:
                    os.close(file)
                end = os.pidfd_open(pid)
                running[end] = pid, files[0]
                waiting.register(end, selectors.EVENT_READ)


def _tell(receiver: int, number: int) -> None:
    with socket.socket(fileno=os.dup(receiver)) as told:
        told.send(b"%d" % number)


def _main() -> None:
    import runpy

    for module in _ONCE:
        import_module(module)
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as orders:
        order = _serve(orders)
    if order is not None:
        os.environ.clear()
        os.environ.update(order["environment"])
        time.tzset()
        os.chdir(order["cwd"])
        sys.path[0] = order["cwd"]
        sys.argv[1:] = order["arguments"]
        runpy.run_module("payex_billing", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
