"""The guards: which runs stop before the first write, and which go through. Nothing is read or sent here."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import Charge, InvalidArgument, RecurringProduct
from payex_billing.reconcile import Held, Row, Stop, TableError, difference
from payex_billing.reconcile._figures import Figures
from payex_billing.reconcile._guards import check
from payex_billing.reconcile._limits import Limits
from payex_billing.reconcile._samples import SKETCH, Sketch, neighbours

TODAY = date(2026, 11, 2)
PAST = date(2024, 3, 1)
Charges = dict[str, list[Charge]]


def charge(**values: Any) -> Charge:
    usual = {
        "product_code": "FIB",
        "quantity": 1,
        "unit_price": Decimal(499),
        "vat_rate": Decimal(25),
        "start_date": PAST,
    }
    return Charge(**{**usual, **values})


def ledger(customers: int = 100, **values: Any) -> Charges:
    """Return this number of customers with one charge each, numbered from 10001."""
    return {str(10_001 + index): [charge(text=f"Storgatan {index}", **values)] for index in range(customers)}


def changed(before: Charges, share: float = 1.0, **values: Any) -> Charges:
    """Return the ledger with other values for the first part of its customers."""
    count = round(len(before) * share)
    return {
        number: [attrs.evolve(each, **values) for each in charges] if index < count else charges
        for index, (number, charges) in enumerate(before.items())
    }


def figures_of(
    wanted: Charges, held: Charges | None = None, *, prune: bool = False, skipped: int = 0, **told: Any
) -> Figures:
    """Return the figures of a run that brings `held` to `wanted`."""
    figures = Figures()
    line = 2
    for number, charges in wanted.items():
        rows = []
        for each in charges:
            rows.append(Row(line=line, customer_no=number, subscription_no=None, charge=each))
            line += 1
        if skipped > 0:
            skipped -= 1
            figures.skip(number, len(rows))
            continue
        there = None if held is None else held.get(number)
        found = Held(exists=False) if there is None else Held(exists=True, charges={None: as_held(there)})
        figures.add(number, rows, found, difference(number, rows, found, prune=prune), TODAY)
    for name, value in told.items():
        setattr(figures, name, value)
    return figures


def as_held(charges: list[Charge]) -> tuple[RecurringProduct, ...]:
    return tuple(
        RecurringProduct(id=f"{at}", uri=f"/x/{at}", **{name: getattr(each, name) for name in VALUES})
        for at, each in enumerate(charges)
    )


VALUES = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")


def stops(
    before: Charges, after: Charges, *, limits: Limits | None = None, first_run: bool = False, prune: bool = False,
    told: dict[str, Any] | None = None, last_told: dict[str, Any] | None = None,
) -> list[Stop]:  # fmt: skip
    """Return the stops of a run that changes a ledger whose last run was quiet."""
    last = figures_of(before, before, **(last_told or {}))
    return check(figures_of(after, before, prune=prune, **(told or {})), last, limits or Limits(), first_run=first_run)


def guards(*arguments: Any, **options: Any) -> set[str]:
    return {stop.guard for stop in stops(*arguments, **options)}


# runs that go through


def test_a_quiet_night_goes_through() -> None:
    assert guards(ledger(), ledger()) == set()


@pytest.mark.parametrize("customers", [3, 30, 300, 3_000])
def test_an_honest_night_of_one_change_of_each_kind_goes_through(customers: int) -> None:
    before = ledger(customers)
    after = dict(before)
    numbers = list(before)
    after[numbers[0]] = [attrs.evolve(before[numbers[0]][0], end_date=date(2026, 11, 30))]
    after[numbers[1]] = [attrs.evolve(before[numbers[1]][0], quantity=2)]
    after[numbers[2]] = [*before[numbers[2]], charge(product_code="TV", start_date=TODAY)]
    after["20001"] = [charge(start_date=TODAY)]
    assert guards(before, after) == set()


def test_a_price_list_that_rises_by_some_percent_goes_through() -> None:
    assert guards(ledger(), changed(ledger(), unit_price=Decimal(519))) == set()


def test_a_campaign_on_one_product_goes_through() -> None:
    before = ledger() | {f"2{number}": [charge(product_code="TV", unit_price=99)] for number in ledger(20)}
    after = {
        number: [attrs.evolve(each, unit_price=Decimal(79)) if each.product_code == "TV" else each for each in charges]
        for number, charges in before.items()
    }
    assert guards(before, after) == set()


def test_a_new_vat_rate_of_one_product_goes_through() -> None:
    assert guards(ledger(vat_rate=12), changed(ledger(vat_rate=12), vat_rate=Decimal(6))) == set()


def test_one_vat_rate_for_everything_stops_the_run() -> None:
    before = ledger() | {f"2{number}": [charge(product_code="BOOK", vat_rate=6)] for number in ledger()}
    after = {
        number: [attrs.evolve(each, vat_rate=Decimal(25)) for each in charges] for number, charges in before.items()
    }
    assert "one_vat_rate" in guards(before, after)


def test_one_vat_rate_for_all_but_a_few_charges_that_are_in_no_row_stops_the_run() -> None:
    before = ledger(400) | {f"2{number}": [charge(product_code="BOOK", vat_rate=6)] for number in ledger(30)}
    kept = {f"3{number}": [charge(product_code="BOOK", vat_rate=6)] for number in ledger(3)}
    after = {
        number: [attrs.evolve(each, vat_rate=Decimal(25)) for each in charges] for number, charges in before.items()
    }
    assert "one_vat_rate" in guards(before | kept, after | kept)


def test_one_vat_rate_for_everything_stops_the_run_also_if_nearly_all_charges_had_it_before() -> None:
    before = ledger(2_000) | {f"2{number}": [charge(product_code="BOOK", vat_rate=6)] for number in ledger(15)}
    after = {
        number: [attrs.evolve(each, vat_rate=Decimal(25)) for each in charges] for number, charges in before.items()
    }
    assert "one_vat_rate" in guards(before, after)


def test_quantities_shifted_by_a_row_stop_the_run_however_few_customers_that_touches() -> None:
    before = {number: [charge(quantity=3 if at < 15 else 2)] for at, number in enumerate(ledger(300))}
    for at in range(40, 280, 20):
        before[list(before)[at]] = [charge(quantity=4)]
    quantities = [charges[0].quantity for charges in before.values()]
    shifted = zip(before.items(), [quantities[-1], *quantities], strict=False)
    after = {number: [attrs.evolve(charges[0], quantity=quantity)] for (number, charges), quantity in shifted}
    assert guards(before, after) == {"quantities_moved"}


def test_one_more_for_many_customers_goes_through() -> None:
    before = {number: [charge(quantity=1 + at % 2)] for at, number in enumerate(ledger(300))}
    after = dict(before)
    for number in list(before)[:40]:
        after[number] = [attrs.evolve(before[number][0], quantity=(before[number][0].quantity or 1) + 1)]
    assert guards(before, after) == set()


def test_a_new_name_of_a_product_in_all_its_texts_goes_through() -> None:
    after = {
        number: [attrs.evolve(charges[0], text=f"Fiber Plus, {(charges[0].text or '')[7:]}")]
        for number, charges in named().items()
    }
    assert guards(named(), after) == set()


@pytest.mark.parametrize("wrong", ["shifted", "mojibake", "the same for all"])
def test_texts_that_change_in_another_way_stop_the_run(wrong: str) -> None:
    texts = [charges[0].text or "" for charges in named().values()]
    others = {
        "shifted": texts[-1:] + texts[:-1],
        "mojibake": [text.encode().decode("latin-1") for text in texts],
        "the same for all": texts[:1] * len(texts),
    }[wrong]
    after = {
        number: [attrs.evolve(charges[0], text=text)]
        for (number, charges), text in zip(named().items(), others, strict=True)
    }
    assert guards(named(), after) == {"customers_touched"}


def named() -> Charges:
    """A ledger whose texts have the name of the product and a street."""
    return {number: [attrs.evolve(charges[0], text=f"Fiber, Åsgatan {number}")] for number, charges in ledger().items()}


def test_ended_charges_that_pruning_removes_do_not_count_as_removals() -> None:
    ended = charge(end_date=TODAY - timedelta(days=3))
    before = {number: [*charges, attrs.evolve(ended, product_code="TV")] for number, charges in ledger().items()}
    assert "ends_and_removals" not in guards(before, ledger(), prune=True)


# guards of shares


@pytest.mark.parametrize(
    ("after", "guard"),
    [
        (changed(ledger(), 0.2, quantity=2), "money_change"),
        (changed(ledger(quantity=2), 0.3, quantity=1), "money_change"),
        (changed(ledger(), 0.3, text="x"), "customers_touched"),
        (ledger() | {f"7{index}": [charge(start_date=TODAY)] for index in range(10, 20)}, "new_customers"),
        (changed(ledger(), 0.2, end_date=date(2026, 11, 30)), "ends_and_removals"),
        ({number: [*each, charge(product_code="TV", start_date=TODAY)] for number, each in ledger().items()},
         "new_charges"),
        (dict(list(ledger().items())[:50]), "rows_gone"),
        ({}, "rows_gone"),
        ({f"7{number}": charges for number, charges in ledger().items()}, "other_customers"),
        ({number: [attrs.evolve(each[0], product_code=f"P{number[-2:]}", start_date=TODAY)]
          for number, each in ledger().items()}, "new_products"),
    ],
)  # fmt: skip
def test_a_run_beyond_a_share_stops(after: Charges, guard: str) -> None:
    before = ledger(quantity=2) if guard == "money_change" and after["10100"][0].quantity == 2 else ledger()
    assert guard in guards(before, after)


def test_a_limit_that_is_raised_lets_the_run_through() -> None:
    after = changed(ledger(), 0.18, end_date=date(2026, 11, 30))
    assert guards(ledger(), after, limits=Limits(ends_and_removals=0.2)) == set()


def test_removals_and_ends_count_together() -> None:
    def after(ended: int, removed: int) -> Charges:
        result = {number: [*charges, charge(product_code="TV")] for number, charges in ledger().items()}
        for number in list(result)[:ended]:
            result[number] = [attrs.evolve(each, end_date=date(2026, 11, 30)) for each in result[number][:1]] + result[
                number
            ][1:]
        for number in list(result)[-removed:] if removed else []:
            result[number] = result[number][:1]
        return result

    before = after(0, 0)
    assert "ends_and_removals" not in guards(before, after(10, 0), prune=True)
    assert "ends_and_removals" not in guards(before, after(0, 10), prune=True)
    assert "ends_and_removals" in guards(before, after(10, 10), prune=True)


def test_charges_that_lose_their_end_stop_the_run() -> None:
    before = ledger(end_date=date(2026, 12, 31))
    assert "revivals" in guards(before, changed(before, 0.05, end_date=None))


def test_money_that_falls_and_rises_does_not_cancel_out() -> None:
    before = ledger(quantity=2)
    after = changed(changed(before, 0.6, quantity=3), 0.3, quantity=1)
    (up, down) = (figures_of(after, before).up, figures_of(after, before).down)
    assert up == down
    assert "money_change" in guards(before, after)


def test_skipped_customers_count_among_those_of_the_file() -> None:
    before = ledger()
    after = dict(list(before.items())[:80]) | dict(list(changed(before, text="x").items())[80:])
    last = figures_of(before, before)
    read_all = check(figures_of(after, before), last, Limits(customers_touched=0.25), first_run=False)
    skipped = check(figures_of(after, before, skipped=80), last, Limits(customers_touched=0.25), first_run=False)
    assert read_all == skipped == []


def test_a_price_list_is_told_from_single_prices_when_the_other_customers_were_skipped() -> None:
    before = ledger(1_000)
    after = dict(list(before.items())[:700]) | dict(list(changed(before, unit_price=Decimal(519)).items())[700:])
    last = figures_of(before, before)
    assert [stop.guard for stop in check(figures_of(after, before, skipped=700), last, Limits(), first_run=False)] == [
        "customers_touched"
    ]


def test_an_old_price_list_stops_the_run() -> None:
    old, new = ledger(), changed(ledger(), unit_price=Decimal(519))
    first, second, third = figures_of(old, old), figures_of(new, old), figures_of(new, new)
    assert check(second, first, Limits(), first_run=False) == []
    assert check(third, second, Limits(), first_run=False) == []
    assert "old_prices" in {stop.guard for stop in check(figures_of(old, new), third, Limits(), first_run=False)}


def test_a_rise_that_is_applied_twice_stops_the_run() -> None:
    prices = [ledger(unit_price=Decimal(price)) for price in (500, 520, 541)]
    first, second = figures_of(prices[0], prices[0]), figures_of(prices[1], prices[0])
    assert check(second, first, Limits(), first_run=False) == []
    again = check(figures_of(prices[2], prices[1]), second, Limits(), first_run=False)
    assert "risen_again" in {stop.guard for stop in again}


# guards of files


def test_an_older_file_stops_the_run() -> None:
    assert guards(ledger(), ledger(), told={"source_modified": 1.0}, last_told={"source_modified": 2.0}) == {"old_file"}
    assert guards(ledger(), ledger(), told={"source_modified": 2.0}, last_told={"source_modified": 2.0}) == set()


def test_a_copy_of_an_earlier_file_stops_the_run() -> None:
    told = {"last_told": {"digest": "b", "digests": ["a"]}}
    after = changed(ledger(), 0.01, text="x")
    assert guards(ledger(), after, told={"digest": "a"}, **told) == {"old_file"}
    assert guards(ledger(), changed(ledger(), unit_price=Decimal(519)), told={"digest": "a"}, **told) == set()
    assert guards(ledger(), ledger(), told={"digest": "b"}, **told) == set()
    assert guards(ledger(), ledger(), told={"digest": "c"}, **told) == set()


def test_figures_of_another_ledger_stop_the_run() -> None:
    assert guards(ledger(), ledger(), told={"ledger": "https://b/1"}, last_told={"ledger": "https://a/1"}) == {"ledger"}


def test_many_rejected_rows_stop_the_run() -> None:
    assert guards(ledger(), ledger(), told={"rejected": 11}) == {"rejected_rows"}
    assert guards(ledger(), ledger(), told={"rejected": 5}) == set()


# guards of rows


@pytest.mark.parametrize(
    ("values", "guard"),
    [
        ({"unit_price": Decimal(4990)}, "price_factor"),
        ({"unit_price": Decimal("4.99")}, "price_factor"),
        ({"unit_price": Decimal(949)}, "price_range"),
        ({"unit_price": Decimal(199)}, "price_range"),
        ({"unit_price": Decimal(-499)}, "price_sign"),
        ({"unit_price": None}, "price_empty"),
        ({"quantity": 11}, "quantity_factor"),
        ({"vat_rate": Decimal("0.25")}, "vat_share"),
        ({"vat_rate": Decimal("2.5")}, "vat_rates"),
        ({"vat_rate": Decimal(12)}, "vat_of_product"),
        ({"end_date": date(2062, 11, 30)}, "end_years"),
        ({"end_date": date(2025, 11, 30)}, "ends_back"),
        ({"start_date": date(2024, 3, 11)}, "doubled"),
        ({"product_code": "FIX"}, "doubled"),
    ],
)
def test_one_row_that_nobody_means_stops_the_run(values: dict[str, Any], guard: str) -> None:
    (stop,) = [each for each in stops(ledger(), changed(ledger(), 0.01, **values)) if each.guard == guard]
    assert stop.worst[0].startswith("line 2, customer 10001")


@pytest.mark.parametrize(
    ("values", "guard"),
    [
        ({"unit_price": Decimal(49900)}, "price_factor"),
        ({"unit_price": Decimal("4.99")}, "price_factor"),
        ({"quantity": 10}, "quantity_factor"),
        ({"start_date": date(2026, 3, 1)}, "back_days"),
        ({"start_date": date(2029, 3, 1)}, "ahead_days"),
        ({"end_date": date(2066, 3, 1)}, "end_years"),
    ],
)
def test_one_new_charge_that_nobody_means_stops_the_run(values: dict[str, Any], guard: str) -> None:
    new = charge(**{"start_date": TODAY, "text": "new", **values})
    assert guard in guards(ledger(), ledger() | {"10500": [new]})


def test_a_charge_that_had_ended_long_ago_and_goes_on_stops_the_run() -> None:
    before = ledger() | {"20001": [charge(end_date=date(2025, 6, 30))]}
    assert "revived" in guards(before, before | {"20001": [charge()]})


def test_an_end_at_the_end_of_the_calendar_means_no_end() -> None:
    assert guards(ledger(), changed(ledger(), 0.01, end_date=date(9999, 12, 31))) == set()


def test_a_quantity_that_others_of_the_product_have_goes_through() -> None:
    before = ledger() | {"20001": [charge(quantity=40)]}
    assert guards(before, changed(before, 0.01, quantity=12)) == set()


def test_the_price_of_a_new_charge_within_those_of_its_product_goes_through() -> None:
    before = ledger() | {f"2000{index}": [charge(unit_price=Decimal(4999))] for index in range(5)}
    assert guards(before, before | {"10500": [charge(unit_price=Decimal(4500), start_date=TODAY)]}) == set()


def test_prices_of_a_product_that_costs_everybody_something_else_are_not_compared_with_its_range() -> None:
    before = {number: [charge(unit_price=100 * (at + 1))] for at, number in enumerate(ledger())}
    assert guards(before, before | {"10500": [charge(unit_price=13_000, start_date=TODAY)]}) == set()


def test_a_mistyped_customer_number_stops_the_run() -> None:
    before = ledger()
    after = dict(before)
    after["10550"] = [attrs.evolve(each, start_date=None) for each in after.pop("10050")]
    assert "mistyped_customer" in guards(before, after)


def test_the_next_number_of_a_series_with_letters_is_a_new_customer_too() -> None:
    before = {f"K-{number}": charges for number, charges in ledger().items()}
    after = {number: charges for number, charges in before.items() if number != "K-10100"}
    assert guards(before, after | {"K-10101": [charge(start_date=TODAY)]}) == set()


def test_the_next_number_of_a_sequence_is_a_new_customer_though_it_is_like_one_that_left() -> None:
    before = ledger()
    after = {number: charges for number, charges in before.items() if number != "10100"}
    assert guards(before, after | {"10101": [charge(start_date=TODAY)]}) == set()


# first runs


def test_a_large_first_run_needs_to_be_called_one() -> None:
    figures = figures_of(ledger(1_001))
    (stop,) = check(figures, None, Limits(), first_run=False)
    assert stop.guard == "first_run_rows"
    assert check(figures, None, Limits(), first_run=True) == []


def test_a_small_first_run_goes_through() -> None:
    assert check(figures_of(ledger(1_000)), None, Limits(), first_run=False) == []


@pytest.mark.parametrize("first_run", [False, True])
def test_nonsense_stops_a_first_run_too(first_run: bool) -> None:
    for values, guard in (
        ({"vat_rate": Decimal("0.25")}, "vat_share"),
        ({"end_date": date(2062, 1, 1)}, "end_years"),
        ({"start_date": date(1926, 1, 1)}, "back_days"),
        ({"vat_rate": Decimal("2.5")}, "vat_rates"),
    ):
        found = check(figures_of(ledger(5, **values)), None, Limits(), first_run=first_run)
        assert [stop.guard for stop in found] == [guard]


def test_what_is_called_a_first_run_is_not_compared_with_the_last() -> None:
    assert guards(ledger(), ledger(500), first_run=True) == set()
    assert guards(ledger(), changed(ledger(), quantity=3), first_run=True) == set()


def test_a_first_run_on_a_ledger_in_use_may_not_end_its_charges() -> None:
    figures = figures_of(changed(ledger(), end_date=TODAY), ledger())
    assert "ends_and_removals" in {stop.guard for stop in check(figures, None, Limits(), first_run=False)}


# messages of stops


def test_a_stop_says_numbers_the_limit_and_the_five_worst_rows() -> None:
    (stop,) = [each for each in stops(ledger(), changed(ledger(), 0.2, quantity=2)) if each.guard == "money_change"]
    assert stop.reason == "20 customers would pay 9,980.00 (20 %) a month more; 10 % of 49,900.00 is allowed."
    assert len(stop.worst) == 5
    (row,) = stops(ledger(), changed(ledger(), 0.01, unit_price=Decimal(4990)))
    assert row.worst == ("line 2, customer 10001, FIB: unit price 499 → 4990",)


def test_the_worst_rows_come_first() -> None:
    after = ledger()
    for number, price in {"10010": 5_000, "10020": 50_000, "10030": 6_000}.items():
        after[number] = [attrs.evolve(after[number][0], unit_price=Decimal(price))]
    (stop,) = stops(ledger(), after)
    assert [sentence.rpartition(" ")[2] for sentence in stop.worst] == ["50000", "6000", "5000"]


# figures are stored


prices = st.decimals(min_value=-100, max_value=9_999, places=2)
charges = st.builds(
    charge,
    product_code=st.sampled_from(["FIB", "TV", "EL"]),
    unit_price=st.none() | prices,
    quantity=st.none() | st.integers(1, 100),
    vat_rate=st.sampled_from([None, Decimal(0), Decimal(12), Decimal(25), Decimal("0.25")]),
    start_date=st.none() | st.dates(date(2020, 1, 1), date(2027, 1, 1)),
    end_date=st.none() | st.dates(date(2027, 1, 1), date(2070, 1, 1)),
)
ledgers = st.dictionaries(st.sampled_from([str(number) for number in range(100, 130)]), st.lists(charges, max_size=3))


@given(before=ledgers, after=ledgers, last=ledgers)
def test_stored_figures_are_judged_as_those_just_made(before: Charges, after: Charges, last: Charges) -> None:
    def stored(figures: Figures) -> Figures:
        return Figures.from_json(json.loads(json.dumps(figures.to_json())))

    def judged(copy: Callable[[Figures], Figures]) -> list[Stop]:
        now, earlier = figures_of(after, before), figures_of(last, last)
        return check(copy(now), copy(earlier), Limits(), first_run=False)

    assert judged(stored) == judged(lambda figures: figures)


@given(before=ledgers, after=ledgers)
def test_money_and_customers_add_up(before: Charges, after: Charges) -> None:
    figures = figures_of(after, before)
    assert figures.all_customers == len(after)
    assert figures.touched <= figures.customers
    assert figures.customers_up + figures.customers_down <= figures.touched
    assert (figures.up == 0) == (figures.customers_up == 0)


def test_the_figures_of_a_large_run_stay_small() -> None:
    figures = Figures()
    for number in range(50_000):
        figures.skip(str(number), 2)
    for index in range(3_000):
        number = f"N{index}"
        row = Row(line=2, customer_no=number, subscription_no=None, charge=charge(product_code=f"{index:05}"))
        found = Held(exists=False)
        figures.add(number, [row], found, difference(number, [row], found), TODAY)
    figures.digests = ["0" * 32] * 400
    assert len(json.dumps(figures.to_json(samples=False))) < 150_000


# the sketch


@pytest.mark.parametrize(
    ("common", "mine", "theirs"),
    [(0, 0, 0), (0, 5, 7), (100, 3, 0), (SKETCH - 10, 10, 10), (2 * SKETCH, 500, 1_000), (3 * SKETCH, 0, SKETCH)],
)
def test_two_sketches_show_what_files_have_in_common(common: int, mine: int, theirs: int) -> None:
    one, other = Sketch(), Sketch()
    for index in range(common):
        one.add(f"c{index}")
        other.add(f"c{index}")
    for index in range(mine):
        one.add(f"m{index}")
    for index in range(theirs):
        other.add(f"t{index}")
    ours, others = one.compared(other)
    if common + max(mine, theirs) <= SKETCH:
        assert (len(ours & others), len(ours - others), len(others - ours)) == (common, mine, theirs)
    else:
        share = len(ours & others) / len(ours | others)
        assert abs(share - common / (common + mine + theirs)) < 0.05


def test_the_neighbours_of_a_number_are_what_one_slip_makes_of_it() -> None:
    found = set(neighbours("1234"))
    assert {"1243", "134", "12334", "12034", "1239", "1224"} <= found
    assert not {"1234", "4321", "1334567"} & found


# limits


def test_limits_are_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "guards.toml"
    file.write_text('money_change = 0.3\nnew_customers = "5 %"\nvat_rates = [0, 25, 25.5]\nfirst_run_rows = 50\n')
    limits = Limits.load(file)
    assert (limits.money_change, limits.new_customers, limits.first_run_rows) == (0.3, 0.05, 50)
    assert limits.vat_rates == (0, 25, Decimal("25.5"))
    assert limits.customers_touched == Limits().customers_touched


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("money_change = 10", "money_change"),
        ("money_change = true", "money_change"),
        ('money_change = "ten"', "money_change"),
        ("money_change = nan", "money_change"),
        ("new_customers = -0.1", "new_customers"),
        ("price_factor = 1", "price_factor"),
        ("price_factor = inf", "price_factor"),
        ("back_days = 1.5", "back_days"),
        ("back_days = -1", "back_days"),
        ("vat_rates = [0.25]", "vat_rates"),
        ("vat_rates = 25", "vat_rates"),
        ('vat_rates = "25"', "vat_rates"),
        ("vat_rates = [nan]", "vat_rates"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(tmp_path: Path, text: str, argument: str) -> None:
    file = tmp_path / "guards.toml"
    file.write_text(text)
    with pytest.raises(InvalidArgument, match=argument) as caught:
        Limits.load(file)
    assert caught.value.argument == argument


@pytest.mark.parametrize("content", [b"money_chance = 0.1", b"money_change =", b"\xff\xfe", None])
def test_a_file_of_limits_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "guards.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TableError, match=r"guards\.toml"):
        Limits.load(file)
