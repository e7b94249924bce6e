"""A text that must not be seen: a token, a password, an Authorization header."""

from __future__ import annotations

from typing import Any

MASK = "***"


class Secret(str):
    """A `str` whose `repr` is masked, so that a traceback with captured locals, a log or a debugger does not show it.

    It is the text everywhere else: `str(secret)`, formatting, comparing and encoding work as usual.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK

    @classmethod
    def of(cls, value: Any) -> Any:
        """The value, hidden if it is a text."""
        return cls(value) if isinstance(value, str) else value
