r"""The state directory of each ledger, and the lock of a run in it.

The user's state directory is `$XDG_STATE_HOME/payex-billing` (`~/.local/state/payex-billing`), on Windows
`%LOCALAPPDATA%\payex-billing`. Losing it is safe: the guards have no last run to compare with, and values of master
products are cleared once more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..errors import BillingError
from ._locks import Locked, NoLock, hold
from ._selection import Shard


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
