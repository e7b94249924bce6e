"""16 campaigns of kills, stops and network faults against `payex-billing apply`, with the truth from the mock's database.

A campaign is a night that goes wrong: a storm of runs that are killed, stopped, interrupted or hit by network faults, then
calm runs of the same command until all is done, then one more run that must find nothing to do. Requires: 0 charges
doubled at any moment, 0 lost, 0 wrongly reported.

Every choice comes from the campaign's seed. `CAMPAIGN_SEED=7 pytest -k NAME` runs another night.
"""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.apply_judge import Judge
from tests.chaos.apply_process import Ended, Mock, Night, Row, Run, approval_in, changed, night_on, wait_until
from tests.chaos.failing_proxy import (
    FIN,
    RST,
    SILENCE,
    TOO_MANY,
    TOO_MANY_AT_ONCE,
    TRUNCATE,
    Exchange,
    Fate,
    RateLimit,
    Reply,
    bare,
    problem,
)
from tests.support import NIGHTLY

SEED = int(os.environ.get("CAMPAIGN_SEED", "20260101"))
CUSTOMERS, STORM = (30, 10) if NIGHTLY else (5, 1)
SETTLE, TIMEOUT = 1.5, 1.0
CALM_RUNS = 4

Weather = Callable[[Exchange, random.Random], Fate | None]


# Networks. Each chooses the fate of one request.


def calm(exchange: Exchange, dice: random.Random) -> Fate | None:
    return None


def lossy(exchange: Exchange, dice: random.Random) -> Fate | None:
    """A request or a response is lost, or takes its time."""
    if dice.random() > 0.25:
        return None
    return dice.choice(
        [
            Fate(reaches=None, answer=RST),
            Fate(reaches=None, answer=FIN),
            Fate(answer=RST),
            Fate(answer=FIN),
            Fate(answer=TRUNCATE),
            Fate(delay=dice.uniform(0.01, 0.3)),
            Fate(answer=SILENCE),
            Fate(reaches=None, answer=SILENCE),
        ]
    )


def late(exchange: Exchange, dice: random.Random) -> Fate | None:
    """A write takes effect after the client got a reset, a gateway's page, or nothing at all."""
    if not exchange.is_write or dice.random() > 0.4:
        return None
    return Fate(reaches=dice.uniform(0.05, 0.7) * SETTLE, answer=dice.choice([RST, FIN, bare(502), bare(504), SILENCE]))


def late_creations(exchange: Exchange, dice: random.Random) -> Fate | None:
    return late(exchange, dice) if exchange.method == "POST" else None


def gateways(exchange: Exchange, dice: random.Random) -> Fate | None:
    """A status in place of the response. Refusals of the API itself did nothing; anything else may have done it."""
    if dice.random() > 0.25:
        return None
    refusals = [
        TOO_MANY_AT_ONCE,
        bare(429, "Retry-After: 1"),
        bare(429),
        problem(503, "service-unavailable", "Retry-After: 0"),
        problem(503, "service-unavailable"),
    ]
    unclear = [bare(500), bare(502), bare(503), bare(504), bare(408), problem(500, "internal"), bare(520)]
    if dice.random() < 0.4:
        return Fate(reaches=None, answer=dice.choice(refusals))
    return Fate(reaches=dice.choice([0.0, None]), answer=dice.choice(unclear))


def stale(exchange: Exchange, dice: random.Random) -> Fate | None:
    """Bytes of a refusal that was meant for another request arrive before or after the true response."""
    if dice.random() > 0.25:
        return None
    refusal: Reply = dice.choice([TOO_MANY, TOO_MANY_AT_ONCE, problem(503, "service-unavailable", "Retry-After: 0")])
    if dice.random() < 0.5:
        return Fate(behind=refusal.bytes())
    return Fate(ahead=refusal.bytes(), pause=dice.choice([0.0, 0.0, 0.05, 0.3]))


def restarts(exchange: Exchange, dice: random.Random) -> Fate | None:
    """The server goes away for a moment; see `Storm`. Between restarts a few requests are lost."""
    return lossy(exchange, dice) if dice.random() < 0.2 else None


def everything(exchange: Exchange, dice: random.Random) -> Fate | None:
    weather: Weather = dice.choice([calm, calm, lossy, late_creations, gateways, stale])
    return weather(exchange, dice)


# What happens to the process


KILL, KILL_REACHED, STOP, INTERRUPT, TERMINATE, DARK = "kill", "kill reached", "stop", "interrupt", "terminate", "dark"


@dataclass(frozen=True)
class Campaign:
    """One night.

    Attributes:
        weather: the network.
        violence: what may happen to the process; one or two of these in each run of the storm.
        options: of every `apply`.
        edits: whether the table changes between the runs, with bad cells that are corrected later.
        by_plan: whether `plan --out` comes first, and `apply` gets the plan.
        twice: whether a second `apply` with a journal of its own starts during the first.
        limit: requests a second of the server; None for no limit.
        repeats: whether some rows are in the table twice, which means two charges.
    """

    weather: Weather = calm
    violence: tuple[str, ...] = (KILL, KILL_REACHED)
    options: tuple[str, ...] = ()
    edits: bool = False
    by_plan: bool = False
    twice: bool = False
    limit: int | None = None
    repeats: bool = False

    @property
    def prunes(self) -> bool:
        return "--prune" in self.options


PRUNE = ("--prune", "--max-removals", "100%")

CAMPAIGNS = {
    "killed on a calm network": Campaign(),
    "killed on a lossy network": Campaign(lossy),
    "killed while writes take effect late": Campaign(late),
    "killed while gateways respond": Campaign(gateways),
    "killed while stale responses arrive": Campaign(stale),
    "stopped and continued while writes take effect late": Campaign(late, (STOP, STOP, KILL)),
    "interrupted and terminated on a lossy network": Campaign(lossy, (INTERRUPT, TERMINATE)),
    "the server restarts": Campaign(restarts, (DARK, DARK, KILL_REACHED)),
    "the server limits requests": Campaign(calm, (KILL, INTERRUPT), limit=30),
    "a slow rate while writes take effect late": Campaign(late, (KILL, STOP), ("--rate", "40")),
    "two at once": Campaign(lossy, (INTERRUPT, TERMINATE), twice=True),
    "the table changes between kills": Campaign(late_creations, edits=True),
    "removals and kills": Campaign(lossy, (KILL, KILL_REACHED, TERMINATE), PRUNE, edits=True),
    "a plan is killed": Campaign(late, (KILL, KILL_REACHED, TERMINATE), by_plan=True),
    "rows that are there twice": Campaign(late, (KILL, KILL_REACHED), ("--allow-duplicates",), repeats=True),
    "everything at once": Campaign(
        everything, (KILL, KILL_REACHED, STOP, INTERRUPT, TERMINATE, DARK), (*PRUNE, "--state", "state.db"), edits=True
    ),
}
assert len(CAMPAIGNS) == 16
# `make test` tries these, each with one storm and one engine.
SHORT = {
    "killed while writes take effect late",
    "stopped and continued while writes take effect late",
    "interrupted and terminated on a lossy network",
    "a plan is killed",
    "everything at once",
}

# The table


def first_table(dice: random.Random, campaign: Campaign) -> list[Row]:
    """A few charges for each customer, at customer level and below subscriptions; some of the same product."""
    rows: list[Row] = []
    for number in range(CUSTOMERS):
        # A row without a start date means a charge with any, so rows of one product have all a start date, or none.
        customer = dice.choice([f"C{number}", f"C {number}", f"C/{number}", f"å{number}"])
        for _ in range(dice.randint(1, 4)):
            product = dice.choice(["P01", "P02", "TV"])
            row = Row(
                customer,
                product,
                dice.choice([None, None, f"46{number}1", f"46{number}2"]),
                dice.randint(1, 5),
                dice.choice([None, "99.00", "499.50", "-10.25"]),
                dice.choice([None, "25.00"]),
                dice.choice([None, "Fiber, Åsgatan 12"]),
                None if product == "TV" else dice.choice(["2026-01-01", "2026-02-01"]),
                dice.choice([None, None, "2027-12-31"]),
            )
            if row.content not in {other.content for other in rows}:
                rows.append(row)
                if campaign.repeats and dice.random() < 0.5:
                    rows.append(row)
    return rows


def hold_some(night: Night, dice: random.Random, campaign: Campaign) -> None:
    """Let the ledger hold some rows as they are, some with another price, and some charges that no row asks for."""
    held: set[tuple[str, ...]] = set()
    for row in night.rows:
        luck = dice.random()
        if luck < 0.3 and row.identity not in held:
            held.add(row.identity)
            night.add(row if luck < 0.15 else replace(row, price="1.00"))
    for customer in sorted({row.customer for row in night.rows})[:2]:
        night.add(Row(customer, "OLD", None, 1, "5.00"))


def edited(rows: list[Row], dice: random.Random, campaign: Campaign, rejected: set[int]) -> tuple[list[Row], set[int]]:
    """The table of the next run, and the lines whose cells are bad now. Bad cells of the run before are corrected."""
    rows = [replace(row, quantity=7) if index + 2 in rejected else row for index, row in enumerate(rows)]
    for _ in range(dice.randint(0, 3)):
        index = dice.randrange(len(rows))
        row = rows[index]
        change: dict[str, Any] = dice.choice(
            [
                {"price": f"{dice.randint(1, 900)}.25"},
                {"quantity": dice.randint(6, 99)},
                {"text": f"text {dice.randint(1, 99)}"},
                {"end": "2028-01-31"},
                {"end": None},
            ]
        )
        rows[index] = replace(row, **change)
    if dice.random() < 0.5:
        customer = dice.choice(rows).customer
        rows.append(Row(customer, f"N{dice.randint(1, 999)}", None, 1, "10.00"))
    if campaign.prunes and len(rows) > CUSTOMERS and dice.random() < 0.5:
        gone = dice.choice(rows)
        if sum(row.customer == gone.customer for row in rows) > 1:
            rows.remove(gone)
    unique = list({row.content: row for row in rows}.values())
    if dice.random() > 0.4:
        return unique, set()
    index = dice.randrange(len(unique))
    return changed(unique, index, quantity="many"), {index + 2}


# The night


class Storm:
    """Drives one campaign."""

    def __init__(self, campaign: Campaign, night: Night, seed: int) -> None:
        self.campaign, self.night = campaign, night
        self.dice = random.Random(seed)
        self.seed = seed
        self.judge = Judge(night, prunes=campaign.prunes)
        self.story: list[str] = []
        self._seen: dict[tuple[str, str, bytes], int] = {}
        self._file: Path | None = None

    def run(self) -> None:
        campaign, night = self.campaign, self.night
        night.write(first_table(self.dice, campaign))
        hold_some(night, self.dice, campaign)
        self.judge.sees_held()
        self.judge.sees_table()
        if campaign.by_plan:
            self._file = night.folder / "plan.jsonl"
            planned = night.command("plan", night.table, "--out", self._file)
            assert planned.code == 0, planned
        for number in range(STORM):
            if number and campaign.edits:
                self._edit()
            elif number and not campaign.by_plan:
                self._grow(number)
            night.proxy.weather = self._weather(night.proxy.weather)
            self._stormy_run()
        self._calm_down()

    def _weather(self, _: object) -> Callable[[Exchange], Fate | None]:
        """The fate of a request depends on the seed and on the request, not on the order in which requests arrive."""
        limit = RateLimit(self.campaign.limit) if self.campaign.limit else None

        def choose(exchange: Exchange) -> Fate | None:
            if limit is not None and (fate := limit(exchange)) is not None:
                return fate
            key = (exchange.method, exchange.target, exchange.body)
            self._seen[key] = count = self._seen.get(key, 0) + 1
            return self.campaign.weather(exchange, random.Random(f"{self.seed} {key} {count}"))

        return choose

    def _edit(self) -> None:
        rows, self.judge.rejected = edited(self.night.rows, self.dice, self.campaign, self.judge.rejected)
        self.night.write(rows)
        self.judge.sees_table()

    def _grow(self, number: int) -> None:
        """Give the next run something to do."""
        customers = self.dice.sample(sorted({row.customer for row in self.night.rows}), CUSTOMERS // 3)
        new = [Row(customer, f"N{number}", None, index, "10.00") for index, customer in enumerate(customers, 1)]
        self.night.write([*self.night.rows, *new])
        self.judge.sees_table()

    def _stormy_run(self) -> None:
        night = self.night
        night.proxy.forget_watches()
        run: list[Run] = []
        kinds = self.dice.sample(self.campaign.violence, min(len(self.campaign.violence), self.dice.randint(1, 2)))
        if {INTERRUPT, TERMINATE} <= set(kinds):
            kinds.remove(TERMINATE)  # a second signal stops a run at once, without a report
        for kind in kinds:
            self._plan_violence(kind, run)
        approval: tuple[str, ...] = ()
        for _ in range(10):  # reads fail, so each plan can have other customers and need another approval
            run[:] = [started := night.start_apply(*self.campaign.options, *approval, file=self._file)]
            if self.campaign.twice:
                self._start_second(started)
            ended = started.wait()
            self._judge(ended)
            # A guard looks at all changes of the table together; a person would approve them.
            approved, approval = approval, approval_in(ended)
            if not approval:
                return
            if approval == approved:
                self.judge.wrong.append(f"what was approved is stopped again: {ended}")

    def _plan_violence(self, kind: str, run: list[Run]) -> None:
        """Let something happen at a moment that the seed chooses."""
        proxy, dice = self.night.proxy, self.dice
        # Early enough that work is left for the runs after it.
        requests, writes = dice.randint(1, 2 * CUSTOMERS), dice.randint(1, 2 + CUSTOMERS // 3)
        pause, silence = dice.choice([0.0, 0.002, 0.02]), dice.uniform(0.2, 2 * SETTLE)
        self.story.append(f"{kind} at request {requests} or write {writes}")

        def act(what: Callable[[Run], None]) -> Callable[[], None]:
            return lambda: proxy.later(pause, lambda: [what(each) for each in run])

        # A run reads and plans everything before its first write.
        which, count = dice.choice([("*", requests), ("WRITE", writes)])
        if kind == KILL:
            proxy.watch(which, count, dice.choice(["arrived", "answered"]), act(Run.kill))
        elif kind == KILL_REACHED:
            proxy.watch("WRITE", writes, "reached", lambda: [each.kill() for each in run])
        elif kind == INTERRUPT:
            proxy.watch(which, count, "arrived", act(Run.interrupt))
        elif kind == TERMINATE:
            proxy.watch(which, count, "arrived", act(Run.terminate))
        elif kind == DARK:
            proxy.watch(which, count, dice.choice(["arrived", "reached"]), lambda: proxy.go_dark(silence))
        elif kind == STOP:

            def stop(each: Run) -> None:
                each.stop()
                proxy.later(silence, each.go_on)

            proxy.watch(which, count, dice.choice(["arrived", "answered"]), act(stop))

    def _start_second(self, first: Run) -> None:
        """Start a second run with a journal of its own while the first surely goes on: it is stopped."""
        night = self.night
        before = len(night.proxy.sent())
        wait_until(lambda: bool(night.proxy.sent(since=before)) or first.has_ended(), "a request of the first run")
        first.stop()
        if first.has_ended():
            return
        second = night.apply(*self.campaign.options, journal=night.folder / "second.journal")
        first.go_on()
        if second.code != 1 or "--no-lock" not in second.output:
            self.judge.wrong.append(f"a second run at the same time must be refused: {second}")

    def _judge(self, ended: Ended) -> None:
        self.story.append(str(ended)[:600])
        self.judge.judge(ended)

    def _calm_down(self) -> None:
        """Run the same command until all is done, then once more."""
        night = self.night
        if self.judge.rejected:
            night.write([replace(row, quantity=7) if row.quantity == "many" else row for row in night.rows])
            self.judge.rejected = set()
            self.judge.sees_table()
        night.proxy.forget_rules()
        for _ in range(CALM_RUNS):
            ended = night.apply_approved(*self.campaign.options, file=self._file)
            self._judge(ended)
            if ended.code == 0:
                break
        else:
            self.judge.wrong.append(f"not done after {CALM_RUNS} calm runs: {ended}")
        night.proxy.wait_until_quiet()
        self.judge.judge_end()
        self._file = None
        if NIGHTLY:
            self.judge.judge_rest(night.apply(*self.campaign.options))
        self.judge.judge_log()


@pytest.mark.parametrize("engine", ["httpx", "reqwest"], indirect=True)
@pytest.mark.parametrize("name", [name for name in CAMPAIGNS if NIGHTLY or name in SHORT])
def test_a_night_that_goes_wrong_ends_with_every_charge_once(
    name: str, engine: str, billing_mock: Mock, ledger: str, tmp_path: Path
) -> None:
    seed = SEED + zlib.crc32(f"{name} {engine}".encode())
    with night_on(billing_mock, ledger, tmp_path, settle=SETTLE, timeout=TIMEOUT) as night:
        storm = Storm(CAMPAIGNS[name], night, seed)
        storm.run()
        night.proxy.wait_until_quiet()
    story, wrong = "\n- ".join(storm.story), "\n\n".join(storm.judge.wrong)
    assert not storm.judge.wrong, (
        f"campaign {name!r} on {engine}, CAMPAIGN_SEED={SEED}:\n\n{wrong}\n\nstory:\n- {story}"
    )
