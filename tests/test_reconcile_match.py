"""What has to be written, worked out from rows and what is held: a match of multisets. Nothing is sent here."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import Charge, RecurringProduct
from payex_billing.reconcile import Content, Held, Kind, Row, Step, difference
from payex_billing.reconcile._json import from_plain, to_plain
from payex_billing.reconcile._match import content_of
from payex_billing.reconcile._plan import Plan

START = date(2026, 1, 1)


def row(line: int = 2, subscription: str | None = None, **values: Any) -> Row:
    return Row(
        line=line, customer_no="1", subscription_no=subscription, charge=Charge(**{"product_code": "P01", **values})
    )


def held(*charges: RecurringProduct, **of_subscriptions: Any) -> Held:
    return Held(exists=True, charges={None: charges, **of_subscriptions})


def product(own_id: str = "a", **values: Any) -> RecurringProduct:
    return RecurringProduct(**{"id": own_id, "uri": f"/x/{own_id}", "product_code": "P01", **values})


def kinds(rows: list[Row], found: Held, **options: Any) -> list[str]:
    return [step.kind.value for step in difference("1", rows, found, **options).steps]


def test_a_charge_that_is_held_is_left_alone() -> None:
    result = difference("1", [row(quantity=1)], held(product(quantity=1)))
    assert (result.steps, result.unchanged, result.surplus) == ((), (2,), ())


def test_parents_are_created_before_their_children() -> None:
    assert kinds([row(), row(3, "46")], Held(exists=False)) == [
        "create customer",
        "create",
        "create subscription",
        "create",
    ]


def test_a_missing_subscription_is_created() -> None:
    assert kinds([row(2, "46")], held()) == ["create subscription", "create"]


def test_another_price_is_an_update_of_what_differs_only() -> None:
    (step,) = difference("1", [row(unit_price=2, quantity=1)], held(product(unit_price=Decimal(1), quantity=1))).steps
    assert (step.kind, step.charge_id, step.changes) == (Kind.UPDATE, "a", {"unit_price": Decimal(2)})


def test_a_value_that_is_not_wanted_any_more_is_cleared() -> None:
    (step,) = difference("1", [row()], held(product(text="old"))).steps
    assert step.changes == {"text": None}


def test_an_end_alone_is_an_end_and_its_removal_an_update() -> None:
    ended = row(start_date=START, end_date=date(2026, 12, 31))
    assert kinds([ended], held(product(start_date=START))) == ["end"]
    assert kinds([row(start_date=START)], held(product(start_date=START, end_date=date(2026, 12, 31)))) == ["update"]


def test_another_start_is_another_charge() -> None:
    result = difference("1", [row(start_date=START)], held(product(start_date=date(2025, 1, 1))))
    assert [step.kind for step in result.steps] == [Kind.CREATE]
    assert [each.id for _, each in result.surplus] == ["a"]


def test_a_product_held_twice_matches_two_rows() -> None:
    assert kinds([row(2), row(3)], held(product("a"), product("b"))) == []
    assert kinds([row(2), row(3)], held(product("a"))) == ["create"]
    assert kinds([row(2)], held(product("a"), product("b")), prune=True) == ["remove"]


def test_equality_goes_before_the_start() -> None:
    rows = [row(2, quantity=1), row(3, quantity=2)]
    assert kinds(rows, held(product("a", quantity=2), product("b", quantity=1))) == []
    (step,) = difference("1", rows, held(product("a", quantity=2), product("b", quantity=3))).steps
    assert (step.charge_id, step.changes) == ("b", {"quantity": 1})


def test_of_several_with_one_start_the_nearest_is_changed() -> None:
    found = held(product("far", text="x", quantity=9), product("near", text="y", quantity=1))
    (step,) = difference("1", [row(text="y", quantity=2)], found).steps
    assert step.charge_id == "near"


def test_a_row_without_a_start_means_the_charge_of_its_product_whatever_its_start() -> None:
    """A server may show the day of creation as the start. A second charge would be billed beside the first."""
    result = difference("1", [row(quantity=1)], held(product(quantity=1, start_date=START)))
    assert (result.steps, result.unchanged, result.surplus) == ((), (2,), ())


def test_a_row_with_a_start_takes_its_charge_before_one_without() -> None:
    rows = [row(2, quantity=1), row(3, quantity=1, start_date=START)]
    (step,) = difference("1", rows, held(product(quantity=1, start_date=START))).steps
    assert (step.kind, step.line) == (Kind.CREATE, 2)


def test_a_row_without_a_start_does_not_make_a_charge_that_ended_start_again() -> None:
    ended = product(start_date=START, end_date=date(2026, 3, 31))
    assert kinds([row()], held(ended), today=date(2026, 4, 1)) == ["create"]
    assert kinds([row()], held(ended), today=date(2026, 3, 31)) == ["update"]


@pytest.mark.parametrize("value", [None, Decimal("49.00")])
def test_an_empty_cell_is_at_rest_while_the_server_shows_the_value_of_the_master_product(value: Decimal | None) -> None:
    found = held(product("a", unit_price=value))
    assert kinds([row()], found, shown=lambda charge_id, name: "49") == []


def test_an_empty_cell_clears_a_value_that_is_not_the_one_the_server_showed() -> None:
    (step,) = difference(
        "1", [row()], held(product("a", unit_price=Decimal(50))), shown=lambda charge_id, name: "49"
    ).steps
    assert step.changes == {"unit_price": None}


def test_a_held_value_beyond_the_limits_of_the_contract_is_no_error() -> None:
    found = held(product("a", text="x" * 80, quantity=0), product("b", product_code="TOO LONG"))
    assert kinds([row(text="short")], found) == ["update"]


def test_levels_are_apart() -> None:
    found = held(product("a"), s=(product("b"),))
    assert kinds([row(2, "s")], found) == []
    assert kinds([row(2, "s")], found, prune=True) == ["remove"]


def test_nothing_is_removed_unless_the_table_is_the_whole_truth() -> None:
    assert kinds([row()], held(product(), product("b", product_code="P99"))) == []


def test_money_a_month_is_quantity_times_price_of_what_has_not_ended() -> None:
    charges = (
        product("a", quantity=3, unit_price=Decimal("1.10")),
        product("b", quantity=None, unit_price=Decimal("-0.30")),
        product("c", unit_price=5, end_date=date(2025, 12, 31)),
        product("d", unit_price=None),
    )
    plan = Plan(ledger="1")
    plan.add("1", [], held(*charges), prune=False, today=START)
    assert (plan.before, plan.after, plan.without_price) == (Decimal("3.00"), Decimal("3.00"), 1)


VALUES = st.fixed_dictionaries(
    {"product_code": st.sampled_from(["P01", "P02"])},
    optional={
        "quantity": st.integers(1, 2),
        "unit_price": st.sampled_from([Decimal("1.50"), Decimal(-1)]),
        "start_date": st.sampled_from([START, date(2026, 2, 1)]),
        "text": st.sampled_from(["a", "b"]),
    },
)
LEVEL = st.sampled_from([None, "s1", "s2"])
WANTED = st.lists(st.tuples(LEVEL, VALUES), max_size=6)


def carried_out(steps: tuple[Step, ...], found: Held) -> Counter[tuple[str | None, Any]]:
    """What is held after the steps."""
    charges = {(number, each.id): Content.of(each) for number, owned in found.charges.items() for each in owned}
    known = set(found.charges) | {None}
    exists = found.exists
    for index, step in enumerate(steps):
        key = step.subscription_no, step.charge_id or f"new{index}"
        match step.kind:
            case Kind.CREATE_CUSTOMER:
                assert not exists
                exists = True
            case Kind.CREATE_SUBSCRIPTION:
                known.add(step.subscription_no)
            case Kind.REMOVE:
                del charges[key]
            case _:
                assert exists
                assert step.subscription_no in known
                assert step.charge is not None
                charges[key] = step.charge
    return Counter((number, content_of(charge)) for (number, _), charge in charges.items())


@given(WANTED, WANTED, st.booleans())
def test_carrying_out_the_steps_leads_to_what_is_wanted(wanted: Any, present: Any, prune: bool) -> None:
    rows = [row(line, level, **values) for line, (level, values) in enumerate(wanted, start=2)]
    levels: dict[str | None, list[RecurringProduct]] = {None: []}
    for index, (level, values) in enumerate(present):
        levels.setdefault(level, []).append(product(f"h{index}", **values))
    found = Held(exists=True, charges=levels)

    result = difference("1", rows, found, prune=prune)

    after = carried_out(result.steps, found)
    asked = Counter((each.subscription_no, content_of(each.charge)) for each in rows)
    surplus = Counter((number, content_of(each)) for number, each in result.surplus)
    # A row without a start date can mean a charge that has one.
    assert _without_start(after) == _without_start(asked if prune else asked + surplus)
    assert not Counter({key: count for key, count in asked.items() if key[1][5] is not None}) - after
    assert len(result.unchanged) + sum(step.line is not None for step in result.steps) == len(rows)
    again = Held(
        exists=True,
        charges={
            level: tuple(product(f"n{i}", **_values(c)) for i, c in enumerate(after.elements()) if c[0] == level)
            for level in {None, *(k[0] for k in after)}
        },
    )
    assert difference("1", rows, again, prune=prune).steps == ()  # and then there is nothing left to do


def _without_start(charges: Counter[tuple[str | None, Any]]) -> Counter[tuple[str | None, Any]]:
    return Counter((level, (*content[:5], content[6])) for level, content in charges.elements())


def _values(found: tuple[str | None, Any]) -> dict[str, Any]:
    names = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
    return dict(zip(names, found[1], strict=True))


@given(st.sampled_from(Kind), LEVEL, VALUES, st.none() | st.integers(1, 9))
def test_a_step_survives_being_written_down(kind: Kind, level: str | None, values: Any, line: int | None) -> None:
    step = Step(
        kind=kind, customer_no="A/B å", subscription_no=level, charge=Content(**values), line=line, charge_id="7"
    )
    assert from_plain(Step, json.loads(json.dumps(to_plain(step)))) == step


OPTIONAL = ["quantity", "unit_price", "vat_rate", "text", "start_date", "end_date"]


@given(WANTED, WANTED, st.sets(st.sampled_from(OPTIONAL)))
def test_what_a_table_has_no_column_for_stays_as_it_is_held(wanted: Any, present: Any, managed: set[str]) -> None:
    names = frozenset({"customer_no", "subscription_no", "product_code", *managed})
    rows = [
        attrs.evolve(
            row(line, level, **{name: value for name, value in values.items() if name in names}), managed=names
        )
        for line, (level, values) in enumerate(wanted, start=2)
    ]
    levels: dict[str | None, list[RecurringProduct]] = {None: []}
    for index, (level, values) in enumerate(present):
        levels.setdefault(level, []).append(product(f"h{index}", **values))

    result = difference("1", rows, Held(exists=True, charges=levels))

    for step in result.steps:
        if step.kind in {Kind.UPDATE, Kind.END}:
            assert set(step.changes) <= managed
            assert step.changes
        if step.kind is Kind.CREATE and step.charge is not None:
            same = [each for _, each in result.surplus if each.product_code == step.charge.product_code]
            assert "start_date" in managed or not [
                each for number, each in result.surplus if number == step.subscription_no and each in same
            ]
    assert len(result.wanted) == len(rows)
