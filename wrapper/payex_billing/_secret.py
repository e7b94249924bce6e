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
        """The value, hidden if it is a text, or of a kind that cannot be a secret but may hold one."""
        if isinstance(value, str):
            return cls(value)
        return value if value is None or callable(value) or isinstance(value, (int, float)) else Misplaced(value)


class Misplaced:
    """Stands for a value of a wrong kind, such as `bytes`, until a message says so.

    Attributes:
        kind: the name of its type.
    """

    def __init__(self, value: object) -> None:
        self.kind = type(value).__name__

    def __repr__(self) -> str:
        return MASK


def kind_of(value: object) -> str:
    """The name of the type of a value that may have been replaced."""
    return value.kind if isinstance(value, Misplaced) else type(value).__name__
