"""The address of a database as messages may show it: no part of a password appears anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ._store import JournalError, Place

_UNREADABLE: Final = (
    "the address of the database cannot be read. Write special characters of the user and the password as %XX, such as "
    "%40 for @, or put the password into PGPASSWORD or PGPASSFILE"
)
_PASSWORDS: Final = frozenset({"password", "sslpassword"})


def name_of(place: Place) -> str:
    """Return what messages call a journal: its file, or the address of the database without password and options."""
    if isinstance(place, Path):
        return str(place)
    parts = _split(place)
    if parts is None:
        return "postgresql://…"
    user, _, hosts = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return f"postgresql://{name}@{hosts}{parts.path}" if name else f"postgresql://{hosts}{parts.path}"


def without_password(address: str) -> str:
    """Return the address of a database without any password.

    Raises:
        JournalError: the address cannot be read.
    """
    parts = _split(address)
    if parts is None:
        raise JournalError(_UNREADABLE)
    user, at, hosts = parts.netloc.rpartition("@")
    options = [each for each in parts.query.split("&") if each.partition("=")[0] not in _PASSWORDS]
    query = f"?{'&'.join(options)}" if any(options) else ""
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{hosts}{parts.path}{query}"


def check(address: str) -> None:
    """Refuse an address whose errors could show a part of the password: libpq quotes what it cannot read.

    Raises:
        JournalError: the address cannot be read.
    """
    import psycopg  # noqa: PLC0415 - an extra
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    without_password(address)
    try:
        conninfo_to_dict(address)
    except psycopg.Error:
        raise JournalError(_UNREADABLE) from None


def _split(address: str) -> SplitResult | None:
    """Return the parts of an address; None where it is not certain what belongs to the password."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    user = parts.netloc.rpartition("@")[0]
    is_certain = not parts.fragment and "@" not in user + parts.path + parts.query
    return parts if is_certain else None
