"""The exceptions that the checks of values raise. `errors` exports them.

This module exists to avoid a circular import: `errors` imports `models`, so `models` must not import `errors`.
"""

from __future__ import annotations

from typing import Any

from ._text import cut, printable

_MESSAGE = 1_900  # with the operation and the number of attempts, a message stays under 2,000 characters
# The public module of the exceptions. Tracebacks and pickles show this name.
_PUBLIC = "payex_billing.errors"


class BillingError(Exception):
    """The base class of every exception that this package raises on purpose."""

    __module__ = _PUBLIC

    def __init__(self, message: str = "") -> None:
        super().__init__(cut(printable(message), _MESSAGE))

    def __reduce__(self) -> tuple[Any, ...]:
        # The default `__reduce__` calls the class with `args` alone, which works only if `__init__` takes one argument.
        return rebuild, (type(self), self.args, self.__dict__)


def rebuild(kind: type[BillingError], arguments: tuple[Any, ...], state: dict[str, Any]) -> BillingError:
    """Recreate a pickled or copied error without calling `__init__`."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class ConfigurationError(BillingError):
    """A setting is missing or wrong. The message names the argument or environment variable to set."""

    __module__ = _PUBLIC


class InvalidArgument(BillingError, ValueError):
    """The contract forbids a value. The client raises this error before it sends the request.

    Attributes:
        argument: the name of the argument.
    """

    __module__ = _PUBLIC

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(f"{argument} {message}")
        self.argument = argument
