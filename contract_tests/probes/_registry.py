"""The list of all probes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..api import Api, NotTried


@dataclass(frozen=True)
class Probe:
    """A promise and how it is tried.

    Attributes:
        writes: whether it creates something; without leave to write it is not tried.
        ledgers: how many ledgers it needs.
    """

    name: str
    family: str
    promise: str
    run: Callable[[Api], None]
    writes: bool = True
    ledgers: int = 1

    def __call__(self, api: Api, *, may_write: bool = True) -> None:
        """Try it.

        Raises:
            Broken: the promise is broken.
            NotTried: the target does not allow to try it.
        """
        if self.writes and not may_write:
            raise NotTried("it writes, and nothing may be written here")
        if self.ledgers == 2 and api.other is None:
            raise NotTried("it needs a second ledger with its token")
        self.run(api)


PROBES: list[Probe] = []


def probe(
    family: str, *, writes: bool = True, ledgers: int = 1
) -> Callable[[Callable[[Api], None]], Callable[[Api], None]]:
    """Register a probe; its docstring is the promise."""

    def register(function: Callable[[Api], None]) -> Callable[[Api], None]:
        promise = (function.__doc__ or "").strip().partition("\n")[0]
        PROBES.append(Probe(function.__name__, family, promise, function, writes, ledgers))
        return function

    return register
