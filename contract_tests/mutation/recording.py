"""Record the exchanges of the probes and the model with the mock, and sort the responses into kinds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from payex_billing_mock import MockApp

from contract_tests import suite
from contract_tests.api import NotTried
from contract_tests.contents import CLIENT_SET
from contract_tests.exchange import CONTRACT, Exchange
from contract_tests.probes import PROBES
from contract_tests.transports import InProcess

MODEL = "the model"
SEED = 20_260_101


class Kind(NamedTuple):
    """A kind of response: the operation, the status, and the state of the body."""

    operation: str
    status: int
    state: str

    def __str__(self) -> str:
        return f"{self.operation} {self.status}{f' ({self.state})' if self.state else ''}"


@dataclass(frozen=True)
class Seen:
    """A recorded exchange: the run that made it, its kind, and how many of the kind came before it in that run."""

    run: str
    kind: Kind
    earlier: int
    exchange: Exchange


@dataclass(frozen=True)
class Recording:
    """The exchanges of all runs, and the time that each run took."""

    seen: Sequence[Seen]
    seconds: Mapping[str, float]

    def by_kind(self) -> dict[Kind, list[Seen]]:
        """Return the exchanges by kind of response."""
        found: dict[Kind, list[Seen]] = {}
        for each in self.seen:
            found.setdefault(each.kind, []).append(each)
        return found


def kind_of(exchange: Exchange) -> Kind:
    """Return the kind of a response of the mock without faults."""
    route = exchange.operation or f"{exchange.method} of {'a' if exchange.known_route else 'no'} route"
    return Kind(route, exchange.status, _state(exchange))


def _state(exchange: Exchange) -> str:
    if not exchange.body or not exchange.is_json:
        return "" if exchange.is_json else "no JSON"
    name = CONTRACT.list_name(exchange.defined) if exchange.succeeded else None
    if exchange.code:
        return exchange.code
    if name:
        return ("empty", "of one")[len(exchange.object[name])] if len(exchange.object[name]) < 2 else "of many"
    if exchange.role[1] != "charge":
        return ""
    optional = CLIENT_SET["charge"] - set(CONTRACT.creations["charge"].get("required", ()))
    held = sum(exchange.object.get(each) is not None for each in optional)
    return "bare" if not held else "full" if held == len(optional) else "of some values"


class Listening(InProcess):
    """Calls the mock, and gives each exchange to a function, which returns the response for the suite."""

    def __init__(self, app: MockApp, listen: Callable[[Exchange], tuple[int, dict[str, str], bytes]]) -> None:
        super().__init__(app)
        self._listen = listen

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        status, answered, text = super().__call__(method, target, headers, body)
        path, _, query = target.partition("?")
        return self._listen(Exchange(method, path, headers, body, status, answered, text, 0.0, query, self.origin))


def runs(names: Sequence[str] = ()) -> dict[str, Callable[[Any], None]]:
    """Return the probes and the model by name, each a function of the API. Each gets a mock of its own."""
    found: dict[str, Callable[[Any], None]] = {probe.name: probe for probe in PROBES}
    found[MODEL] = lambda api: suite.run_model(api, SEED)
    return {name: run for name, run in found.items() if not names or name in names}


def record(names: Sequence[str] = ()) -> Recording:
    """Record the probes and the model. With `names`, record only these."""
    seen: list[Seen] = []
    seconds: dict[str, float] = {}
    for name, run in runs(names).items():
        counts: dict[Kind, int] = {}

        def listen(exchange: Exchange, name: str = name, counts: dict[Kind, int] = counts) -> Any:
            kind = kind_of(exchange)
            seen.append(Seen(name, kind, counts.get(kind, 0), exchange))
            counts[kind] = counts.get(kind, 0) + 1
            return exchange.status, dict(exchange.headers), exchange.body

        started = time.perf_counter()
        with suppress(NotTried):
            run(suite.open_api(Listening(MockApp(suite.LEDGERS), listen)))
        seconds[name] = time.perf_counter() - started
    return Recording(seen, seconds)
