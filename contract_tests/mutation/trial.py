"""Find out whether the suite notices a mutant: the rules on recorded exchanges first, then the probes and the model."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import hypothesis
from payex_billing_mock import MockApp

from contract_tests import exact, rules, suite
from contract_tests.api import RULES, Api, NotTried
from contract_tests.exchange import Broken, Exchange, parse_strictly
from contract_tests.support import MODEL as SETTINGS

from .freedoms import allowed_by
from .mutants import Mutant, changed, mutants_of
from .recording import MODEL, SEED, Kind, Listening, Recording, Seen, kind_of, runs

EXAMPLES = 8  # exchanges of a kind that show its places, and on which the rules are tried
QUICK = hypothesis.settings(SETTINGS, phases=[hypothesis.Phase.generate])


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant. `by` is the freedom, rule or run; empty if nobody noticed the mutant."""

    mutant: Mutant
    allowed: bool
    by: str


class Trial:
    """Tries mutants against one recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.by_kind = recording.by_kind()
        self.neighbours: dict[str, Sequence[Any]] = _values(each.exchange for each in recording.seen)

    def mutants(self, seed: int = SEED) -> list[Mutant]:
        """Return all mutants: each place and change on every response of its kind, and again on one response."""
        choice = random.Random(seed)
        found: list[Mutant] = []
        for kind in sorted(self.by_kind):
            for mutant in mutants_of(kind, self.examples(kind), self.neighbours):
                once = self._once(mutant, choice)
                found += [mutant] if once is None else [mutant, once]
        return found

    def examples(self, kind: Kind) -> list[Seen]:
        """Return some exchanges of a kind, spread over the recording."""
        seen = self.by_kind[kind]
        return seen[:: max(1, len(seen) // EXAMPLES)][:EXAMPLES]

    def outcome(self, mutant: Mutant) -> Outcome:
        """Return what becomes of a mutant."""
        pairs = list(self._pairs(mutant))
        allowed = [allowed_by(after, own, always=mutant.always) for after, own in pairs]
        if all(allowed):
            return Outcome(mutant, True, str(allowed[0]))
        rule = next((name for after, _ in pairs if (name := _broken_rule(after))), "")
        return Outcome(mutant, False, rule or self._noticed_by_a_run(mutant))

    def _once(self, mutant: Mutant, choice: random.Random) -> Mutant | None:
        seen = self.by_kind[mutant.kind]
        for each in choice.sample(seen, min(len(seen), 20)):
            if changed(mutant, each.exchange, self.neighbours) is not None:
                return replace(mutant, run=each.run, occurrence=each.earlier)
        return None

    def _pairs(self, mutant: Mutant) -> Iterator[tuple[Exchange, Exchange]]:
        """Yield the recorded exchanges that the mutant changes: changed, and as they were."""
        seen = self.examples(mutant.kind)
        if not mutant.always:
            seen = [each for each in self.by_kind[mutant.kind] if (each.run, each.earlier) == _when(mutant)]
        for each in seen:
            after = changed(mutant, each.exchange, self.neighbours)
            if after is not None:
                yield after, each.exchange

    def _noticed_by_a_run(self, mutant: Mutant) -> str:
        names = {mutant.run} if mutant.run else {each.run for each in self.by_kind[mutant.kind]}
        for name in sorted(names, key=lambda name: self.recording.seconds[name]):
            if promise := broken_promise(name, mutant, self.neighbours):
                return f"{name}: {promise}" if promise != name else name
        return ""


def broken_promise(name: str, mutant: Mutant, neighbours: Mapping[str, Sequence[Any]]) -> str:
    """Run a probe, or the model, against a mutant. Return the first broken promise; empty if all hold."""
    count = 0
    live: dict[str, deque[Any]] = {}

    def listen(exchange: Exchange) -> tuple[int, dict[str, str], bytes]:
        nonlocal count
        if (exchange.operation, exchange.status) != mutant.kind[:2] and exchange.operation:
            _note(exchange, live)
            return exchange.status, dict(exchange.headers), exchange.body
        result = exchange
        if kind_of(exchange) == mutant.kind:
            if mutant.always or count == mutant.occurrence:
                pool = {key: [*live.get(key, ()), *values] for key, values in neighbours.items()}
                result = changed(mutant, exchange, pool) or exchange
            count += 1
        _note(exchange, live)
        return result.status, dict(result.headers), result.body

    api = suite.open_api(Listening(MockApp(suite.LEDGERS), listen))
    for each in (api, api.other):
        if each is not None:
            each.sleep = lambda _: None
    return _first_broken(name, api)


def _first_broken(name: str, api: Api) -> str:
    run: Callable[[Api], None] = runs([name])[name]
    try:
        if name == MODEL:
            suite.run_model(api, SEED, QUICK)
        else:
            run(api)
    except NotTried:
        return ""
    except Broken as broken:
        return broken.promise
    except (hypothesis.errors.Flaky, BaseExceptionGroup):
        return str(api.broken.promise if api.broken else MODEL)
    except (AssertionError, LookupError, TypeError, AttributeError, ValueError) as error:
        # As in `suite.first_failed_probe`: the response does not have a value that the probe needs.
        return api.broken.promise if api.broken else type(error).__name__
    return ""


def _broken_rule(exchange: Exchange) -> str:
    rules.forget_instances()
    for rule in (*RULES, *exact.RULES):
        try:
            rule(exchange)
        except AssertionError:
            return rule.__name__
        except (LookupError, TypeError, AttributeError, ValueError):
            return f"{rule.__name__} (raises)"
    return ""


def _when(mutant: Mutant) -> tuple[str, int]:
    return mutant.run, mutant.occurrence


def _note(exchange: Exchange, live: dict[str, deque[Any]]) -> None:
    """Remember the values of a response, newest first."""
    if not exchange.body or not exchange.is_json:
        return
    for name, value in _pairs(parse_strictly(exchange.body)):
        known = live.setdefault(name, deque(maxlen=3))
        if value not in known:
            known.appendleft(value)


def _values(exchanges: Iterable[Exchange]) -> dict[str, Sequence[Any]]:
    """Return some values of each property in the bodies of responses."""
    found: dict[str, deque[Any]] = {}
    for exchange in exchanges:
        _note(exchange, found)
    return dict(found)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name, each
            yield from _pairs(each)
    elif isinstance(value, list):
        for each in value[:3]:
            yield from _pairs(each)
