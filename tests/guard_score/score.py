"""Run the nights and the mistakes, and count which of them the guards stop."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

from .company import WEIGHTS, Company, Row
from .ledger import Ledger, Result, write_file
from .mistakes import Desk, Mistake

SEED = 20_260_101
HISTORY = (
    "growth",
    "quiet",
    "month start",
    "churn",
    "price rise",
    "quiet",
    "month start",
    "new product",
    "growth",
    "quiet",
)
LAST = ("quiet", "growth", "churn")
STOPPED, REFUSED, HARMLESS, MISSED = "stopped", "refused", "harmless", "missed"


@dataclass
class Verdict:
    """The outcome of one mistake.

    Attributes:
        outcome: stopped by a guard, refused by the reader, harmless because no customer would get other writes, or missed.
        wrong: customers that would have got other writes than with the honest file.
        guards: the guards that stopped it.
    """

    outcome: str
    wrong: int = 0
    guards: tuple[str, ...] = ()


@dataclass
class Night:
    """The outcome of one honest night."""

    kind: str
    customers: int
    reasons: tuple[str, ...] = ()


@dataclass
class Base:
    """A company on the evening before its last night, with its ledger."""

    desk: Desk
    ledger: Ledger
    honest: Result


def base_of(seed: int, folder: Path) -> Base | None:
    """Simulate some weeks, then judge tonight's file without applying it.

    Return None if a guard stops the honest file.
    """
    company = Company(seed, rich=seed % 2 == 1)
    ledger = Ledger(prune=company.prune, cache=company.cache)
    file = folder / "charges.csv"

    def tonight(rows: list[Row], *, first_run: bool = False) -> Result:
        write_file(file, rows, company.columns)
        return ledger.run(file, company.today, modified=_date_of(company), first_run=first_run)

    earlier = [company.file()]
    ledger.write(tonight(earlier[0], first_run=True))
    chance = random.Random(seed)
    for kind in (*HISTORY, chance.choice(LAST)):
        company.night(kind)
        earlier.append(company.file())
        result = tonight(earlier[-1])
        if len(earlier) <= len(HISTORY):
            ledger.write(result)
    if result.stops:
        return None
    other = Company(seed + 1_000_000, customers=max(30, len(ledger.held)))
    return Base(Desk(earlier[-1], earlier[:-1], company, other.file(), chance), ledger, result)


def _date_of(company: Company) -> float:
    return float(company.today.toordinal() * 86_400)


def judge(base: Base, mistake: Mistake, seed: int, folder: Path) -> Verdict | None:
    """Run tonight's file with a mistake. Return None if the mistake changes nothing."""
    desk = base.desk
    desk.chance, desk.older = random.Random(seed), False
    rows = mistake(desk)
    if rows is None or rows == desk.rows:
        return None
    file = folder / "charges.csv"
    write_file(file, rows, desk.company.columns)
    modified = _date_of(desk.company)
    result = base.ledger.run(file, desk.today, modified=modified - 4 * 86_400 if desk.older else modified)
    wrong = sum(
        base.honest.writes.get(customer) != result.writes.get(customer)
        for customer in {*base.honest.writes, *result.writes}
    )
    if result.refused:
        return Verdict(REFUSED)
    if result.stops:
        return Verdict(STOPPED, wrong, tuple(stop.guard for stop in result.stops))
    return Verdict(MISSED if wrong else HARMLESS, wrong)


def _one_base(seed: int, which: str, kinds: tuple[str, ...]) -> dict[str, Verdict]:
    mistakes = mistakes_of(which)
    with tempfile.TemporaryDirectory() as name:
        base = base_of(seed, Path(name))
        if base is None:
            return {}
        found = {kind: judge(base, mistakes[kind], seed + at, Path(name)) for at, kind in enumerate(kinds)}
    return {kind: verdict for kind, verdict in found.items() if verdict is not None}


def mistakes_of(which: str) -> dict[str, Mistake]:
    """Return the mistakes of a group."""
    from . import later, mistakes

    return {"whole": mistakes.WHOLE, "few": mistakes.FEW, "later": later.LATER}[which]


def score(which: str, tries: int, pool: ProcessPoolExecutor) -> dict[str, list[Verdict]]:
    """Make each mistake of a group `tries` times, each time with another company."""
    found: dict[str, list[Verdict]] = {kind: [] for kind in mistakes_of(which)}
    seeds = iter(range(SEED, SEED + 10 * tries))
    while batch := list(islice(seeds, max(2, tries // 2))):
        missing = tuple(kind for kind, verdicts in found.items() if len(verdicts) < tries)
        if not missing:
            break
        for verdicts in pool.map(_one_base, batch, repeat(which), repeat(missing)):
            for kind, verdict in verdicts.items():
                if len(found[kind]) < tries:
                    found[kind].append(verdict)
    return found


def _one_year(arguments: tuple[int, int, tuple[tuple[str, int], ...]]) -> list[Night]:
    seed, nights, weights = arguments
    company = Company(seed)
    ledger = Ledger(prune=company.prune, cache=company.cache)
    kinds, shares = zip(*weights, strict=True)
    found = []
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "charges.csv"
        for night in range(nights + 1):
            kind = company.night(company.chance.choices(kinds, shares)[0]) if night else "first run"
            write_file(file, company.file(), company.columns)
            result = ledger.run(file, company.today, modified=_date_of(company), first_run=night == 0)
            reasons = (
                (result.refused,) if result.refused else tuple(f"{stop.guard}: {stop.reason}" for stop in result.stops)
            )
            found.append(Night(kind, len(ledger.held), reasons))
            ledger.write(result)  # an honest night that is stopped is approved
    return found


def honest_nights(
    sequences: int,
    nights: int,
    pool: ProcessPoolExecutor,
    weights: Mapping[str, int] = WEIGHTS,
    seed: int = SEED + 500_000,
) -> list[Night]:
    """Sequences of honest nights, each of another company; first runs are not counted."""
    work = [(seed + at, nights, tuple(weights.items())) for at in range(sequences)]
    return [night for found in pool.map(_one_year, work) for night in found if night.kind != "first run"]


def counts(verdicts: Iterable[Verdict]) -> Counter[str]:
    """Return the number of verdicts of each outcome."""
    return Counter(verdict.outcome for verdict in verdicts)
