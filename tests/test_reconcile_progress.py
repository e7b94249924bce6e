"""The remaining writes of a customer after an interruption, for every point at which a run can be interrupted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from payex_billing import Charge, RecurringProduct
from payex_billing.reconcile import Content, Held, Kind, Level, Plan, PlannedCustomer, Row
from payex_billing.reconcile._progress import Progress, progress, unwritten
from payex_billing.reconcile._records import Intent, Result

TODAY = date(2026, 6, 1)
VALUES = st.fixed_dictionaries(
    {"product_code": st.sampled_from(["P01", "P02"])},
    optional={
        "quantity": st.integers(1, 2),
        "unit_price": st.sampled_from([Decimal("1.50"), Decimal(-1)]),
        "start_date": st.sampled_from([date(2026, 1, 1), date(2026, 2, 1)]),
        "end_date": st.just(date(2027, 1, 1)),
    },
)
WANTED = st.lists(st.tuples(st.sampled_from([None, "s1", "s2"]), VALUES), max_size=5)


def product(own_id: str, content: Content) -> RecurringProduct:
    return RecurringProduct(id=own_id, uri=f"/x/{own_id}", **attrs.asdict(content))


def held_of(present: Any) -> Held:
    charges: dict[Level, list[RecurringProduct]] = {None: []}
    for index, (level, values) in enumerate(present):
        charges.setdefault(level, []).append(product(f"h{index}", Content(**values)))
    return Held(exists=True, charges=charges)


def planned_of(wanted: Any, held: Held, *, prune: bool) -> PlannedCustomer:
    rows = [
        Row(line=line, customer_no="1", subscription_no=level, charge=Charge(**values))
        for line, (level, values) in enumerate(wanted, start=2)
    ]
    return Plan(ledger="x").add("1", rows, held, prune=prune, today=TODAY)


def noted(**values: Any) -> Intent:
    return Intent(run=1, known=frozenset(), noted=0.0, sent=0.0, **values)


def written(planned: PlannedCustomer, held: Held, positions: list[int]) -> tuple[Held, list[Intent]]:
    """Return the charges on the server after these steps, and the intents in the journal."""
    charges = {level: list(found) for level, found in held.charges.items()}
    exists, intents = held.exists, []
    for position in positions:
        step = planned.steps[position]
        charge_id = None
        level = charges.setdefault(step.subscription_no, [])
        match step.kind:
            case Kind.CREATE_CUSTOMER:
                exists = True
            case Kind.CREATE_SUBSCRIPTION:
                pass
            case Kind.CREATE if step.charge is not None:
                charge_id = f"n{position}"
                level.append(product(charge_id, step.charge))
            case Kind.REMOVE:
                level[:] = [charge for charge in level if charge.id != step.charge_id]
            case _ if step.charge is not None and step.charge_id is not None:
                level[:] = [
                    product(step.charge_id, step.charge) if charge.id == step.charge_id else charge for charge in level
                ]
        intents.append(noted(id=position, position=position, step=step, result=Result.DONE, charge_id=charge_id))
    return Held(exists=exists, charges=charges), intents


def interrupted(wanted: Any, present: Any, prune: bool, data: Any) -> tuple[PlannedCustomer, Held, list[Intent], int]:
    """A planned customer after some of its steps: what the server holds, what the journal notes, and how many."""
    held = held_of(present)
    planned = planned_of(wanted, held, prune=prune)
    assume(planned.steps)
    count = data.draw(st.integers(0, len(planned.steps)))
    after, intents = written(planned, held, list(range(count)))
    return planned, after, intents, count


@given(WANTED, WANTED, st.booleans(), st.data())
def test_what_was_written_is_recognised_and_the_rest_is_left(wanted: Any, present: Any, prune: bool, data: Any) -> None:
    planned, after, intents, count = interrupted(wanted, present, prune, data)

    found = progress(planned, after, intents)

    assert (found.changed, found.left) == (False, tuple(range(count, len(planned.steps))))
    assert not found.adopted


@given(WANTED, WANTED, st.booleans(), st.data())
def test_writes_that_are_harmless_to_repeat_need_no_note(wanted: Any, present: Any, prune: bool, data: Any) -> None:
    """A kill between the write and the note of its result."""
    planned, after, intents, _ = interrupted(wanted, present, prune, data)
    noted = [
        intent if intent.step.kind is Kind.CREATE else attrs.evolve(intent, result=Result.REPEATED)
        for intent in intents
    ]
    assert progress(planned, after, noted) == progress(planned, after, intents)


@given(WANTED, WANTED, st.booleans(), st.data())
def test_a_change_by_somebody_else_is_noticed(wanted: Any, present: Any, prune: bool, data: Any) -> None:
    planned, after, intents, _ = interrupted(wanted, present, prune, data)
    charges = {level: list(found) for level, found in after.charges.items()}
    level = data.draw(st.sampled_from(sorted(charges, key=str)))
    stranger = product("foreign", Content(product_code="P77", quantity=9))
    what = data.draw(st.sampled_from(["add", "change"] if charges[level] else ["add"]))
    if what == "add":
        charges[level].append(stranger)
    else:
        place = data.draw(st.integers(0, len(charges[level]) - 1))
        victim = charges[level][place]
        if victim.id.startswith("n"):  # this run has created it: what follows is another matter
            return
        charges[level][place] = attrs.evolve(victim, text="somebody else's")
    assert progress(planned, attrs.evolve(after, charges=charges), intents).changed


def one_creation(result: Result) -> tuple[PlannedCustomer, list[Intent]]:
    planned = planned_of([(None, {"product_code": "P01", "quantity": 1})], held_of([]), prune=False)
    (step,) = planned.steps
    return planned, [noted(id=5, position=0, step=step, result=result)]


def test_a_charge_that_a_refused_creation_made_all_the_same_is_taken_for_it() -> None:
    planned, intents = one_creation(Result.REFUSED)
    there = held_of([(None, {"product_code": "P01", "quantity": 1})])
    assert progress(planned, there, intents) == Progress(done={0: "h0"}, left=(), adopted={5: "h0"}, changed=False)


@pytest.mark.parametrize("result", [Result.ABSENT, Result.FAILED])
def test_a_new_charge_that_no_refused_creation_explains_is_somebody_elses(result: Result) -> None:
    planned, intents = one_creation(result)
    there = held_of([(None, {"product_code": "P01", "quantity": 1})])
    assert progress(planned, there, intents).changed


def test_a_level_that_is_blocked_is_not_compared() -> None:
    planned, _ = one_creation(Result.REFUSED)
    there = held_of([(None, {"product_code": "P77"})])
    found = progress(planned, there, [], blocked=[None])
    assert (found.changed, found.left) == (False, (0,))


@given(WANTED, WANTED, st.booleans(), st.data())
def test_a_confirmed_write_that_cannot_be_seen_is_named(wanted: Any, present: Any, prune: bool, data: Any) -> None:
    held = held_of(present)
    planned = planned_of(wanted, held, prune=prune)
    if not planned.steps:
        return
    everything = list(range(len(planned.steps)))
    _, intents = written(planned, held, everything)
    silent = data.draw(st.sampled_from(everything))
    step = planned.steps[silent]
    # A field that was cleared may show the value of the master product, which is what it can have shown before.
    if step.kind is Kind.CREATE_SUBSCRIPTION or None in step.changes.values():
        return
    without, _ = written(planned, held, [position for position in everything if position != silent])
    complete, _ = written(planned, held, everything)
    assert step in unwritten(planned, without, intents)
    assert unwritten(planned, complete, intents) == ()
