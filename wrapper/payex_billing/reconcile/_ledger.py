r"""The state directory of each ledger: the lock of a run, the last run, and values that the server shows.

The user's state directory is `$XDG_STATE_HOME/payex-billing` (`~/.local/state/payex-billing`), on Windows
`%LOCALAPPDATA%\payex-billing`. Losing it is safe: the guards have no last run to compare with, and values of master
products are cleared once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from ..errors import BillingError
from ._locks import Locked, NoLock, hold
from ._match import OF_MASTER, AnyCharge, text_of
from ._private import make_private
from ._selection import Shard

_SCHEMA = """
CREATE TABLE IF NOT EXISTS shown (charge TEXT, field TEXT, value TEXT, PRIMARY KEY (charge, field)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_run (shard TEXT PRIMARY KEY, figures TEXT);
"""


class Refused(BillingError):
    """The run did not start: another run uses the ledger, the plan is out of date, or too much would be removed."""


def directory(ledger: str) -> Path:
    """Return the directory of a ledger; create it if it does not exist. `ledger` is the address.

    Raises:
        Refused: the directory cannot be created.
    """
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_STATE_HOME")
    try:
        root = Path(base) if base else Path.home() / ".local" / "state"
        path = root / "payex-billing" / hashlib.sha256(ledger.encode()).hexdigest()[:16]
        for folder in (*reversed(path.parents), path):
            folder.mkdir(exist_ok=True, mode=0o700)  # `parents=True` would make the parents readable for all users
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refused(
            f"the user's state directory cannot be used: {reason}. Set XDG_STATE_HOME to a writable directory"
        ) from None
    return path


@contextmanager
def lock(ledger: str, shard: Shard | None) -> Iterator[None]:
    """Lock the ledger against other runs of this user, also in other processes, while the block runs.

    Runs of different shards of the same count may run at the same time.

    Raises:
        Refused: another run uses the ledger.
    """
    with ExitStack() as stack:
        try:
            hold(stack, directory(ledger) / "run", shard)
        except Locked:
            raise Refused(
                f"another run writes to {ledger} at this moment; wait for its end. If you are sure that there is none, "
                "or that it writes to other customers, use --no-lock"
            ) from None
        except NoLock as error:
            raise Refused(str(error)) from None
        yield


class Memory:
    """The stored facts about a ledger that later runs need.

    Args:
        ledger: the address of the ledger.

    Raises:
        Refused: the state directory cannot be used.
    """

    def __init__(self, ledger: str) -> None:
        path = directory(ledger) / "ledger.db"
        try:
            make_private(path)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise Refused(f"{path}: cannot be used: {error}. Remove the file: it is made anew") from None

    def shown(self, charge_id: str, name: str) -> str | None:
        """Return what the server showed for a charge's field that was sent empty; None if unknown."""
        query = "SELECT value FROM shown WHERE charge = ? AND field = ?"
        found = self._db.execute(query, (charge_id, name)).fetchone()
        return None if found is None else str(found[0])

    def learn(self, charge_id: str, sent: Mapping[str, Any], charge: AnyCharge) -> None:
        """Store what the server shows for fields that were sent empty: the value of the master product.

        Args:
            charge_id: the charge.
            sent: the fields that were sent, or left out of a creation, with their values.
            charge: the charge as the server shows it.
        """
        empty = [name for name in OF_MASTER if name in sent and sent[name] is None]
        with suppress(sqlite3.Error):  # a value that is not stored is only sent empty once more
            for name in empty:
                value = getattr(charge, name)
                if value is None or value == "":
                    self._db.execute("DELETE FROM shown WHERE charge = ? AND field = ?", (charge_id, name))
                else:
                    self._db.execute("INSERT OR REPLACE INTO shown VALUES (?, ?, ?)", (charge_id, name, text_of(value)))

    def forget(self, charges: Iterable[str]) -> None:
        """Take what the server showed for charges out of the store."""
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.executemany("DELETE FROM shown WHERE charge = ?", ((charge,) for charge in charges))
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def last_run(self, shard: Shard | None) -> dict[str, Any] | None:
        """Return the figures of the last finished run of this shard; None without one."""
        query = "SELECT figures FROM last_run WHERE shard = ?"
        found = self._db.execute(query, (str(shard or ""),)).fetchone()
        return None if found is None else json.loads(found[0])

    def keep_run(self, shard: Shard | None, figures: Mapping[str, Any]) -> None:
        """Store the figures of a finished run, for the guards of the next one.

        Raises:
            Refused: the figures cannot be written.
        """
        record = str(shard or ""), json.dumps(figures)
        try:
            self._db.execute("INSERT OR REPLACE INTO last_run VALUES (?, ?)", record)
        except sqlite3.Error as error:
            raise Refused(f"the figures of the run cannot be kept: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
