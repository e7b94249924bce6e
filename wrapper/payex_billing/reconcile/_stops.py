"""A guard that stops a run, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from .._text import counted
from ._limits import FLOORS
from ._samples import WORST, Worst

# What is wrong with the rows that a guard names; {} is its limit.
ROWS: Final = {
    "price_factor": "have a unit price {} times as high or as low as before, or as others of the product. Look at the "
    "decimal point, and at sorted columns.",
    "price_sign": "turn a charge into a credit, or a credit into a charge. Look for lost minus signs.",
    "price_empty": "have no unit price, though every charge of the product has one. The price of the master product "
    "would be billed.",
    "price_zero": "get the unit price 0.",
    "price_range": "have a unit price far outside those of all other charges of the product.",
    "quantity_factor": "have a quantity {} times as high or as low as before, or as others of the product.",
    "vat_rates": "have a VAT rate that no charge of the ledger has.",
    "vat_of_product": "have a VAT rate that no charge of the product has.",
    "doubled": "are new, while the same charge with another product code or start stays and is in no row: both would "
    "be billed.",
}


@attrs.frozen(kw_only=True)
class Stop:
    """A guard that stops the run.

    Attributes:
        guard: the name of the guard; the name of its limit if it has one.
        reason: one or two sentences: what is wrong, the numbers, the limit, and what to check.
        worst: at most five rows as sentences: line, customer, product, before → after.
    """

    guard: str
    reason: str
    worst: tuple[str, ...] = ()


def stops_of_rows(guard: str, worst: Worst, limit: float = 0, told: str = "") -> Iterator[Stop]:
    """Yield a stop if there are rows that the guard does not allow.

    `told` says what is wrong with several rows; if it is empty, the text is that of `ROWS`.
    """
    if worst.count <= FLOORS.get(guard, 0):
        return
    told = told or ROWS[guard]
    number = counted(worst.count, "row") if worst.count < WORST else f"{worst.count:,} or more rows"
    if worst.count == 1:
        verb, space, rest = told.partition(" ")
        told = f"{ {'have': 'has', 'go': 'goes', 'are': 'is'}.get(verb, verb + 's') }{space}{rest}"
    reason = f"{number} {told.format(f'{limit:g}')}" if "{}" in told else f"{number} {told}"
    yield Stop(guard=guard, reason=reason, worst=worst.sentences())
