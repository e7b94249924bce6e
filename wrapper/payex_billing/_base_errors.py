"""The exceptions that the checks of values raise. Public as part of `errors`.

`errors` has exceptions that hold values, so it imports `models`; `models` must not import `errors`.
"""

from __future__ import annotations

from typing import Any

from ._text import cut, printable

_MESSAGE = 1_900  # with the operation and the number of attempts, a message stays under 2,000 characters
# The module that users know, for tracebacks and pickles.
_PUBLIC = "payex_billing.errors"


class BillingError(Exception):
    """Anything this package raises on purpose."""

    __module__ = _PUBLIC

    def __init__(self, message: str = "") -> None:
        super().__init__(cut(printable(message), _MESSAGE))

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with `args` alone, which only fits a signature of one argument.
        return rebuild, (type(self), self.args, self.__dict__)


def rebuild(kind: type[BillingError], arguments: tuple[Any, ...], state: dict[str, Any]) -> BillingError:
    """Make a pickled or copied error again, without calling `__init__`."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class ConfigurationError(BillingError):
    """A setting is missing or wrong; the message says which argument or environment variable to set."""

    __module__ = _PUBLIC


class InvalidArgument(BillingError, ValueError):
    """A value that the contract forbids, found before anything was sent.

    Attributes:
        argument: the name of the argument.
    """

    __module__ = _PUBLIC

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(f"{argument} {message}")
        self.argument = argument
