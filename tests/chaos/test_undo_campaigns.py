"""Nights on a bad network that are taken back: the ledger then holds what it held before.

Each night creates, changes, ends and removes charges, and rejects rows. Somebody else changes some charges before the
undo; these changes must stay. Some nights are killed while they apply, and again while they undo. The truth comes from
the mock's database: every charge by its content, and every subscription. Customers stay, because the API removes none.

`make test-more` runs 50 nights, `make nightly` 1,000. Every choice comes from the number of the night.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from payex_billing import AsyncBilling, reconcile
from payex_billing.reconcile import JournalError, Plan, Report, Stopped
from payex_billing.reconcile._history import reading

from tests.chaos.apply_process import Held, Mock, Night, Row, Run, approval_in, night_on
from tests.chaos.failing_proxy import FIN, RST, Exchange, Fate, bare, problem
from tests.support import NIGHTLY

SETTLE, TIMEOUT = 0.4, 0.3  # seconds
IN_PROCESS, KILLED = (800, 200) if NIGHTLY else (40, 10)
BATCH = 5  # nights of one test: short tests spread over the workers
TRIES = 12
PRODUCTS = ("P01", "P02", "TV")


def bad_network(seed: int) -> Callable[[Exchange], Fate | None]:
    """Lose requests and responses, let writes take effect late, answer as a gateway does."""
    dice = random.Random(f"network {seed}")

    def choose(exchange: Exchange) -> Fate | None:
        if dice.random() > 0.15:
            return None
        if exchange.is_write and dice.random() < 0.4:
            return Fate(reaches=dice.uniform(0.05, 0.8) * SETTLE, answer=dice.choice([RST, FIN, bare(502), bare(504)]))
        return dice.choice(
            [
                Fate(reaches=None, answer=RST),
                Fate(answer=RST),
                Fate(answer=FIN),
                Fate(answer=bare(500)),
                Fate(reaches=None, answer=problem(503, "service-unavailable", "Retry-After: 0")),
                Fate(delay=0.02),
            ]
        )

    return choose


def row_of(dice: random.Random, customer: str) -> Row:
    return Row(
        customer,
        dice.choice(PRODUCTS),
        dice.choice([None, None, "46", "47"]),
        dice.randint(1, 3),
        dice.choice([None, "0", "99.00", "-10.25"]),
        dice.choice([None, "25.00"]),
        dice.choice([None, "Fiber, Åsgatan 12"]),
        dice.choice(["2026-01-01", "2026-02-01"]),
        dice.choice([None, None, "2027-12-31"]),
    )


class Undone:
    """One night, its undo, and the truth before and after."""

    def __init__(self, night: Night, seed: int) -> None:
        self.night = night
        self.dice = random.Random(seed)
        self.seed = seed
        self.customers = [f"C{seed}-{number}" for number in range(3)]
        self.story: list[str] = []

    def own(self) -> list[Held]:
        return [held for held in self.night.held if held.customer in self.customers]

    def places(self) -> set[tuple[str, str]]:
        """The subscriptions of the customers."""
        return {place for place in self.night.mock.places(self.night.ledger) if place[0] in self.customers and place[1]}

    def prepare(self) -> None:
        """Hold some charges; want some of them, others changed, and new ones."""
        dice, night = self.dice, self.night
        held = {row.identity: row for row in (row_of(dice, dice.choice(self.customers[:2])) for _ in range(5))}
        for row in held.values():
            night.add(row)
        wanted = {}
        for row in held.values():
            luck = dice.random()
            if luck < 0.7:
                changes: dict[str, Any] = dice.choice(
                    [{}, {"price": "12.50"}, {"end": "2028-01-31"}, {"text": "new"}, {"price": None}]
                )
                wanted[row.identity] = replace(row, **changes)
        for _ in range(dice.randint(0, 4)):
            row = row_of(dice, dice.choice(self.customers))
            wanted.setdefault(row.identity, row)
        rows = list(wanted.values()) or [row_of(dice, self.customers[2])]
        if dice.random() < 0.3:
            rows.append(replace(row_of(dice, rows[0].customer), product="BAD", quantity="many"))
        night.write(rows)
        self.before = {charge.id: charge for charge in self.own()}
        self.subscriptions = self.places()

    def meddle(self) -> None:
        """Let somebody else change one charge, or add one."""
        self.expected = Counter(charge.content for charge in self.before.values())
        self.kept: set[tuple[str, str]] = set()
        luck, held = self.dice.random(), self.own()
        if luck < 0.3 and held:
            # A late attempt of the night would change what is changed by hand, and nobody could help it.
            self.night.proxy.wait_until_quiet()
            charge = self.dice.choice(held)
            parent = f"/{charge.customer}" + (f"/subscriptions/{charge.subscription}" if charge.subscription else "")
            self.night.ask("PATCH", f"{parent}/recurring-products/{charge.id}", {"text": "by hand", "quantity": 77})
            changed = next(each for each in self.own() if each.id == charge.id)
            if charge.id in self.before:
                self.expected[self.before[charge.id].content] -= 1
                self.touched = charge.id
            self.expected[changed.content] += 1
            self.hand = changed
            self.kept.add((charge.customer, charge.subscription))
            self.story.append(f"changed by hand: {charge.id}")
        elif luck < 0.5:
            row = Row(self.dice.choice(self.customers[:2]), "HAND", self.dice.choice([None, "48"]), 1, "5.00")
            self.night.add(row)
            self.expected[row.content] += 1
            self.kept.add(row.place)
            self.story.append(f"added by hand: {row}")

    def judge(self) -> None:
        self.night.proxy.forget_rules()
        self.night.proxy.wait_until_quiet()
        found = Counter(charge.content for charge in self.own())
        story = "\n".join(self.story)
        for content in found.keys() | self.expected.keys():
            if found[content] != self.expected[content] and content not in self.partly():
                raise AssertionError(
                    f"night {self.seed}: {content}: {found[content]}, not {self.expected[content]}\n{story}"
                )
        assert self.subscriptions <= self.places() <= self.subscriptions | self.kept, story

    def partly(self) -> set[tuple[Any, ...]]:
        """Contents of the charge that was changed by hand: the undo may give its other fields their former values."""
        hand = getattr(self, "hand", None)
        if hand is None:
            return set()
        now = [charge for charge in self.own() if charge.id == hand.id]
        assert len(now) == 1, f"night {self.seed}: what was changed by hand is gone"
        values = now[0].document
        assert (values.get("text"), values.get("quantity")) == ("by hand", 77)
        return {now[0].content, hand.content}


# in this process


async def until_done(work: Callable[[AsyncBilling], Any], undone: Undone) -> Report:
    """Repeat a command until nothing is left, as a scheduler does."""
    night = undone.night
    async with AsyncBilling(
        token=f"token-{night.ledger}", owner_no=night.ledger, base_url=night.proxy.url, timeout=TIMEOUT
    ) as billing:
        for number in range(TRIES):
            if number == TRIES - 2:
                night.proxy.forget_rules()
            try:
                report: Report | None = await work(billing)
            except Stopped as error:
                undone.story.append(f"stopped: {error}")
                continue
            if report is None:
                return Report()
            undone.story.append(str(report.to_json()))
            if not (report.failed or report.not_removed or report.stopped):
                return report
    raise AssertionError(f"night {undone.seed}: not done after {TRIES} tries\n" + "\n".join(undone.story))


async def one_night(undone: Undone) -> None:
    options: dict[str, Any] = {
        "journal": undone.night.journal, "settle": SETTLE, "first_run": True, "max_removals": "100%", "patience": 5.0,
    }  # fmt: skip
    runs: list[int] = []

    async def apply(billing: AsyncBilling) -> Report:
        with reconcile.read(undone.night.table) as table:
            try:
                report = await reconcile.apply(billing, table, prune=prune, **options)
            except reconcile.GuardStopped as stop:
                report = await reconcile.apply(billing, table, prune=prune, approve=stop.digest, **options)
        if report.run and report.run not in runs:
            runs.append(report.run)
        return report

    async def undo(billing: AsyncBilling) -> Report | None:
        done = Report()
        for run in reversed(runs):
            made: Plan = await reconcile.plan_undo(
                billing, run, journal=undone.night.journal, settle=SETTLE, patience=5.0
            )
            undone.story += [f"left: {each}" for each in made.left]
            if made.failed:
                return Report(failed=made.failed)
            if made.changes:
                done = await reconcile.apply(billing, made, approve=made.digest, **options)
                if done.failed or done.stopped:
                    return done
        return None

    prune = undone.dice.random() < 0.5
    await until_done(apply, undone)
    undone.meddle()
    await until_done(undo, undone)


@pytest.mark.parametrize("batch", range(IN_PROCESS // BATCH))
def test_an_undone_night_on_a_bad_network_leaves_what_was_there(
    batch: int, billing_mock: Mock, ledger: str, tmp_path: Path
) -> None:
    with night_on(billing_mock, ledger, tmp_path, settle=SETTLE, timeout=TIMEOUT) as night:
        for seed in range(batch * BATCH, (batch + 1) * BATCH):
            undone = Undone(night, seed)
            undone.prepare()
            night.proxy.weather = bad_network(seed)
            asyncio.run(one_night(undone))
            undone.judge()


# in processes that are killed


def killed_run(undone: Undone, start: Callable[..., Run]) -> None:
    """Start a command and kill it at some write, then repeat it until it is done. A person approves each plan."""
    night, dice = undone.night, undone.dice
    night.proxy.forget_watches()
    which, count = dice.choice([("WRITE", dice.randint(1, 4)), ("*", dice.randint(1, 12))])
    runs: list[Run] = []
    night.proxy.watch(which, count, dice.choice(["arrived", "answered"]), lambda: [each.kill() for each in runs])
    approval: tuple[str, ...] = ()
    for number in range(TRIES):
        if number == TRIES - 2:
            night.proxy.forget_rules()
        runs[:] = [start(*approval)]
        ended = runs[0].wait()
        undone.story.append(str(ended)[:400])
        if ended.code == 0:
            night.proxy.forget_watches()
            return
        approval = approval_in(ended) or approval
    raise AssertionError(f"night {undone.seed}: not done after {TRIES} tries\n" + "\n".join(undone.story))


@pytest.mark.parametrize("batch", range(max(1, KILLED // BATCH)))
def test_a_night_that_was_killed_in_apply_and_in_undo_leaves_what_was_there(
    batch: int, billing_mock: Mock, ledger: str, tmp_path: Path
) -> None:
    with night_on(billing_mock, ledger, tmp_path, settle=SETTLE, timeout=TIMEOUT) as night:
        for seed in range(10_000 + batch * BATCH, 10_000 + batch * BATCH + min(BATCH, KILLED)):
            undone = Undone(night, seed)
            undone.prepare()
            rejected = any(row.quantity == "many" for row in night.rows)
            if rejected:
                night.write([row for row in night.rows if row.quantity != "many"])
            prune = ("--prune", "--max-removals", "100%") if undone.dice.random() < 0.5 else ()
            night.proxy.weather = bad_network(seed)
            options = ("--patience", "5", *prune)
            first = runs_of(night)
            killed_run(undone, partial(night.start_apply, *options))
            undone.meddle()
            for run in sorted(runs_of(night) - first, reverse=True):
                killed_run(undone, partial(_undo, night, run))
            undone.judge()


def runs_of(night: Night) -> set[int]:
    try:
        with reading(night.journal) as history:
            return {run.id for run in history.runs()}
    except JournalError:
        return set()


def _undo(night: Night, run: int, *approval: str) -> Run:
    return night.start(
        "undo", str(run), "--yes", "--journal", night.journal, "--settle", str(night.settle), *approval
    )  # fmt: skip
