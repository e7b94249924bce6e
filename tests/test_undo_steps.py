"""What takes a run back, for any customer and any rows: the comparison alone, without a server."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import Charge, RecurringProduct
from payex_billing.reconcile import Content, Held, Kind, Level, Row, Step, difference
from payex_billing.reconcile._records import Intent, Result
from payex_billing.reconcile._undo import Inverse, fates, inverse

TODAY = date(2026, 6, 1)
CONTENTS = st.fixed_dictionaries(
    {"product_code": st.sampled_from(["P01", "P02"])},
    optional={
        "quantity": st.integers(1, 2),
        "unit_price": st.sampled_from([Decimal("1.50"), Decimal(0), Decimal(-1)]),
        "text": st.sampled_from(["Fibre", ""]),
        "start_date": st.sampled_from([date(2026, 1, 1), date(2026, 2, 1)]),
        "end_date": st.just(date(2027, 1, 1)),
    },
)
LEVELS = st.sampled_from([None, "s1", "s2"])
CHARGES = st.lists(st.tuples(LEVELS, CONTENTS), max_size=5)


class Ledger:
    """One customer: what a server would hold of it."""

    def __init__(self, charges: list[tuple[Level, dict[str, Any]]]) -> None:
        self.exists = True
        self.charges: dict[Level, dict[str, RecurringProduct]] = {None: {}}
        self._numbers = 0
        for level, values in charges:
            self.add(level, Content(**values))

    def add(self, level: Level, content: Content) -> str:
        self._numbers += 1
        own_id = f"c{self._numbers}"
        self.put(level, own_id, content)
        return own_id

    def put(self, level: Level, own_id: str, content: Content) -> None:
        values = {field.name: getattr(content, field.name) for field in attrs.fields(Content)}
        self.charges.setdefault(level, {})[own_id] = RecurringProduct(id=own_id, uri=f"/x/{own_id}", **values)

    def held(self) -> Held:
        found = {level: tuple(charges.values()) for level, charges in self.charges.items()}
        return Held(exists=self.exists, charges=found)

    def fingerprint(self) -> tuple[set[Level], Counter[tuple[Any, ...]]]:
        contents = Counter(
            (level, *(getattr(charge, field.name) or None if field.name == "text" else getattr(charge, field.name)
                      for field in attrs.fields(Content)))
            for level, charges in self.charges.items()
            for charge in charges.values()
        )  # fmt: skip
        return set(self.charges), contents

    def write(self, step: Step) -> str | None:
        """Do a step as a server would; return the id of a new charge."""
        level = step.subscription_no
        match step.kind:
            case Kind.CREATE_SUBSCRIPTION:
                self.charges.setdefault(level, {})
            case Kind.REMOVE_SUBSCRIPTION:
                assert not self.charges.pop(level), "its charges would have gone with it"
            case Kind.CREATE if step.charge is not None:
                return self.add(level, step.charge)
            case Kind.REMOVE if step.charge_id is not None:
                del self.charges[level][step.charge_id]
            case Kind.UPDATE | Kind.END if step.charge_id is not None:
                present = Content.of(self.charges[level][step.charge_id])
                self.put(level, step.charge_id, attrs.evolve(present, **step.changes))
            case _:
                raise AssertionError(step)
        return None


def run(ledger: Ledger, steps: tuple[Step, ...], first: int = 1) -> list[Intent]:
    """Write steps; return what the journal then holds of them."""
    intents = []
    for number, step in enumerate(steps, first):
        known = frozenset(ledger.charges.get(step.subscription_no, {}))
        charge_id = ledger.write(step)
        own_id = charge_id or step.charge_id
        shown = ledger.charges.get(step.subscription_no, {}).get(own_id or "")
        intents.append(
            Intent(
                id=number, run=1, position=number, step=step, known=known, noted=0.0, sent=0.0, result=Result.DONE,
                charge_id=charge_id, after=None if shown is None else Content.of(shown),
            )
        )  # fmt: skip
    return intents


def night(ledger: Ledger, wanted: list[tuple[Level, dict[str, Any]]], *, prune: bool) -> list[Intent]:
    rows = [
        Row(line=line, customer_no="1", subscription_no=level, charge=Charge(**values))
        for line, (level, values) in enumerate(wanted, start=2)
    ]
    return run(ledger, difference("1", rows, ledger.held(), prune=prune, today=TODAY).steps)


def take_back(ledger: Ledger, writes: list[Intent]) -> Inverse:
    found = inverse(writes, ledger.held())
    run(ledger, found.steps)
    return found


@given(present=CHARGES, wanted=CHARGES, prune=st.booleans())
def test_an_undone_night_leaves_what_was_there(present: Any, wanted: Any, prune: bool) -> None:
    ledger = Ledger(present)
    before = ledger.fingerprint()
    writes = night(ledger, wanted, prune=prune)
    found = take_back(ledger, writes)
    assert found.left == ()
    assert ledger.fingerprint() == before


@given(present=CHARGES, wanted=CHARGES, prune=st.booleans())
def test_an_undone_undo_leaves_what_the_night_left(present: Any, wanted: Any, prune: bool) -> None:
    ledger = Ledger(present)
    writes = night(ledger, wanted, prune=prune)
    after = ledger.fingerprint()
    undo = run(ledger, inverse(writes, ledger.held()).steps)
    take_back(ledger, undo)
    assert ledger.fingerprint() == after


@given(present=CHARGES, wanted=CHARGES, prune=st.booleans(), redone=st.integers(1, 3))
def test_a_night_that_was_undone_and_redone_can_be_undone_again(
    present: Any, wanted: Any, prune: bool, redone: int
) -> None:
    ledger = Ledger(present)
    before = ledger.fingerprint()
    writes = night(ledger, wanted, prune=prune)
    after = ledger.fingerprint()
    later: list[Intent] = []
    last, first = writes, 1_000
    for _ in range(2 * redone):  # an undo, and the undo of that
        last = run(ledger, inverse(last, ledger.held()).steps, first)
        later, first = [*later, *last], first + 1_000
    assert ledger.fingerprint() == after
    found = inverse(writes, ledger.held(), fates(later))
    run(ledger, found.steps)
    assert (ledger.fingerprint(), found.left) == (before, ())


@given(present=CHARGES, wanted=CHARGES, prune=st.booleans(), data=st.data())
def test_an_undo_that_was_killed_anywhere_is_finished_by_the_next(
    present: Any, wanted: Any, prune: bool, data: st.DataObject
) -> None:
    ledger = Ledger(present)
    before = ledger.fingerprint()
    writes = night(ledger, wanted, prune=prune)
    steps = inverse(writes, ledger.held()).steps
    done = run(ledger, steps[: data.draw(st.integers(0, len(steps)))], first=100)
    run(ledger, inverse(writes, ledger.held(), fates(done)).steps)
    assert ledger.fingerprint() == before


@given(present=CHARGES, wanted=CHARGES, prune=st.booleans(), data=st.data())
def test_what_somebody_else_did_since_stays(present: Any, wanted: Any, prune: bool, data: st.DataObject) -> None:
    ledger = Ledger(present)
    writes = night(ledger, wanted, prune=prune)
    foreign: dict[tuple[Level, str], Content | None] = {}
    everything = [(level, own_id) for level, charges in ledger.charges.items() for own_id in charges]
    for level, own_id in (
        data.draw(st.lists(st.sampled_from(everything), max_size=2, unique=True)) if everything else []
    ):
        if data.draw(st.booleans()):
            changed = attrs.evolve(Content.of(ledger.charges[level][own_id]), unit_price=Decimal(77), text="by hand")
            ledger.put(level, own_id, changed)
            foreign[level, own_id] = changed
        else:
            del ledger.charges[level][own_id]
            foreign[level, own_id] = None
    for level in data.draw(st.lists(st.sampled_from(list(ledger.charges)), max_size=2)):
        content = Content(product_code="P09", unit_price=Decimal(99))
        foreign[level, ledger.add(level, content)] = content
    take_back(ledger, writes)
    for (level, own_id), content in foreign.items():
        found = ledger.charges.get(level, {}).get(own_id)
        if content is None or found is None:
            assert (found, content) == (None, None)
        else:  # other fields of a charge that somebody has changed may get their former values
            names = ("product_code", "unit_price", "text")
            assert [getattr(found, name) for name in names] == [getattr(content, name) for name in names]


def test_a_charge_that_was_billed_stays_and_is_named() -> None:
    ledger = Ledger([])
    writes = night(ledger, [(None, {"product_code": "P01"})], prune=False)
    (own_id,) = ledger.charges[None]
    billed = attrs.evolve(ledger.charges[None][own_id], billed_until=date(2026, 5, 31))
    ledger.charges[None][own_id] = billed
    found = take_back(ledger, writes)
    assert found.steps == ()
    assert [str(each) for each in found.left] == [
        f"customer 1, charge {own_id}: it has been billed until 2026-05-31. End it instead"
    ]


def test_a_removed_charge_that_somebody_added_again_is_not_doubled() -> None:
    ledger = Ledger([(None, {"product_code": "P01", "quantity": 2})])
    writes = night(ledger, [], prune=True)
    assert ledger.charges == {None: {}}
    again = ledger.add(None, Content(product_code="P01", quantity=2))
    found = take_back(ledger, writes)
    assert found.steps == ()
    assert found.left[0].reason == f"an equal charge was added since: {again}"


def test_a_subscription_of_the_run_stays_while_somebody_elses_charge_is_in_it() -> None:
    ledger = Ledger([])
    writes = night(ledger, [("s1", {"product_code": "P01"})], prune=False)
    other = ledger.add("s1", Content(product_code="P09"))
    found = take_back(ledger, writes)
    assert [step.kind for step in found.steps] == [Kind.REMOVE]
    assert found.left[0].reason == f"the subscription has charges that stay: {other}"


def test_a_field_that_somebody_else_changed_elsewhere_keeps_its_value() -> None:
    ledger = Ledger([(None, {"product_code": "P01", "unit_price": Decimal(1), "start_date": date(2026, 1, 1)})])
    (own_id,) = ledger.charges[None]
    row = {"product_code": "P01", "unit_price": Decimal(2), "start_date": date(2026, 1, 1)}
    writes = night(ledger, [(None, row)], prune=False)
    ledger.put(None, own_id, attrs.evolve(Content.of(ledger.charges[None][own_id]), text="by hand"))
    take_back(ledger, writes)
    charge = ledger.charges[None][own_id]
    assert (charge.unit_price, charge.text) == (Decimal(1), "by hand")


def test_a_cleared_price_whose_response_was_lost_is_named_as_uncertain() -> None:
    ledger = Ledger([(None, {"product_code": "P01", "unit_price": Decimal(100)})])
    (own_id,) = ledger.charges[None]
    writes = night(ledger, [(None, {"product_code": "P01"})], prune=False)
    ledger.put(None, own_id, attrs.evolve(Content.of(ledger.charges[None][own_id]), unit_price=Decimal(50)))
    lost = [attrs.evolve(writes[0], result=Result.REPEATED, after=None)]
    (left,) = take_back(ledger, lost).left
    assert left.reason == "its unit_price was cleared, and the response was lost: somebody may have changed it since"
