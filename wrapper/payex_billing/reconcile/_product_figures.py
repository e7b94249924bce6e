"""The figures of one product: its prices, rates and quantities as held, and how the run changes them. Pure."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import takewhile
from typing import Final, TypeAlias, TypeVar

import attrs

from .._contract import Quantity
from ._json import Pairs
from ._match import Step
from ._samples import Samples, Worst, plain, tally

MOST_VALUES: Final = 256  # distinct prices that are counted by themselves
STORED_VALUES: Final = 8
ZERO: Final = Decimal(0)
Amount: TypeAlias = Quantity | int
Rate: TypeAlias = Decimal | None
K = TypeVar("K")


def _parts_that_differ(old: str, new: str) -> tuple[str, str]:
    """Two texts without what they have in common at the beginning and at the end."""
    start = _common(old, new)
    old, new = old[start:], new[start:]
    end = _common(old[::-1], new[::-1])
    return old[: len(old) - end], new[: len(new) - end]


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@attrs.define
class ProductFigures:
    """The figures of one product in a run.

    Attributes:
        held: charges held that have not ended.
        positive: those with a price above 0.
        negative: those with a price below 0, which are credits.
        unpriced: those without a price of their own.
        most: the highest quantity held.
        low, high: the lowest and the highest price held, without its sign; 0 is left out.
        prices: how often each price is held; beyond 256 prices, prices are counted by their first two digits.
        rates: how often each VAT rate is held.
        created: new charges.
        created_prices, created_rates, created_most: the same of those.
        changed: charges whose price changes from one to another.
        percents: how many change by which share, in whole percent.
        moves: how many change from which price to which.
        rate_moves: how many change from which VAT rate to which.
        texts: how many change which part of their text to what.
        new_rates: charges that get a rate, new or changed, by the rate.
    """

    held: int = 0
    positive: int = 0
    negative: int = 0
    unpriced: int = 0
    most: Amount = 0
    low: Decimal = ZERO
    high: Decimal = ZERO
    prices: Counter[Decimal] = attrs.field(factory=Counter)
    rates: Counter[Rate] = attrs.field(factory=Counter)
    created: int = 0
    created_prices: Counter[Decimal] = attrs.field(factory=Counter)
    created_rates: Counter[Rate] = attrs.field(factory=Counter)
    created_most: Amount = 0
    changed: int = 0
    percents: Counter[int] = attrs.field(factory=Counter)
    moves: Counter[tuple[Decimal, Decimal]] = attrs.field(factory=Counter)
    rate_moves: Counter[tuple[Rate, Rate]] = attrs.field(factory=Counter)
    texts: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    new_rates: Pairs[Rate, Worst] = attrs.field(factory=Pairs)
    samples: Samples = attrs.field(factory=Samples)

    def hold(self, price: Decimal | None, rate: Decimal | None, quantity: Amount) -> None:
        """Count an existing charge."""
        self.held += 1
        self.most = max(self.most, quantity)
        self.rates[rate] += 1
        if price is None:
            self.unpriced += 1
            return
        prices = self.prices
        if price in prices:
            prices[price] += 1
        else:
            self._note_price(price)
        if price > 0:
            self.positive += 1
        elif price < 0:
            self.negative += 1

    def _note_price(self, price: Decimal) -> None:
        """Count a price for the first time."""
        size = abs(price)
        if size:
            self.low = min(self.low or size, size)
            self.high = max(self.high, size)
        if len(self.prices) >= MOST_VALUES:
            price = Decimal(f"{price:.1e}")
        tally(self.prices, price, 2 * MOST_VALUES)

    def create(self, step: Step, price: Decimal | None, rate: Decimal | None, quantity: Amount) -> None:
        """Count a new charge."""
        self.created += 1
        self.created_most = max(self.created_most, quantity)
        tally(self.created_rates, rate, MOST_VALUES)
        self.samples.add("created_quantity", step, float(quantity), "is new with quantity", quantity)
        self._new_rate(step, rate, "is new with VAT", plain(rate))
        if price is None:
            self.samples.add("emptied", step, 0, "is new without a unit price")
            return
        tally(self.created_prices, price, MOST_VALUES)
        self._new_price(step, price, "is new with unit price", price)

    def _new_price(self, step: Step, price: Decimal, told: str, *values: object) -> None:
        """Compare a price that had none before it, or none but 0."""
        if price:
            size = float(abs(price))
            self.samples.add("new_high", step, size, told, *values)
            self.samples.add("new_low", step, -size, told, *values)
            self.samples.add("new_positive" if price > 0 else "new_negative", step, 1, told, *values)

    def change_price(self, step: Step, old: Decimal | None, new: Decimal | None, quantity: Amount) -> None:
        """Count a price that changes."""
        if new is None:
            self.samples.add("emptied", step, float(abs(old or ZERO) * quantity), "unit price", old, "→ none")
        elif not old:
            self._new_price(step, new, "unit price", old, "→", new)
        else:
            self.changed += 1
            ratio = float(new / old)
            self.percents[max(-100, min(300, int((ratio - 1) * 1000 + 1e-9) // 10))] += 1
            tally(self.moves, (old, new), MOST_VALUES)
            if ratio > 0:
                size = float(abs(new))
                self.samples.add("to_high", step, size, "unit price", old, "→", new)
                self.samples.add("to_low", step, -size, "unit price", old, "→", new)
                self.samples.add("ratio", step, max(ratio, 1 / ratio), "unit price", old, "→", new)
            else:
                kind = "sign" if ratio < 0 else "zero"
                self.samples.add(kind, step, float(abs(new - old) * quantity), "unit price", old, "→", new)

    def change_quantity(self, step: Step, old: Amount, new: Amount) -> None:
        """Count a quantity that changes."""
        if new > old:
            self.samples.add("quantity_up", step, float(new / old), "quantity", old, "→", new, number=float(new))
        else:
            self.samples.add("quantity_down", step, float(old / new), "quantity", old, "→", new)

    def change_rate(self, step: Step, old: Decimal | None, new: Decimal | None) -> None:
        """Count a VAT rate that changes."""
        tally(self.rate_moves, (old, new), MOST_VALUES)
        self._new_rate(step, new, "VAT", old, "→", new)

    def change_text(self, old: str | None, new: str | None) -> None:
        """Count a text that changes, by the part that differs."""
        tally(self.texts, _parts_that_differ(old or "", new or ""), MOST_VALUES)

    def _new_rate(self, step: Step, rate: Decimal | None, *told: object) -> None:
        if rate in self.new_rates or len(self.new_rates) < MOST_VALUES // 8:
            self.new_rates.setdefault(rate, Worst()).add(step, 1, *told)

    def settled(self) -> ProductFigures:
        """The figures after the run: what it creates and changes is held, and nothing is about to change."""
        sizes = [size for size in (self.low, self.high, *map(abs, self.created_prices)) if size]
        return ProductFigures(
            held=self.held + self.created,
            positive=self.positive + sum(count for price, count in self.created_prices.items() if price > 0),
            negative=self.negative + sum(count for price, count in self.created_prices.items() if price < 0),
            unpriced=self.unpriced + self.created - self.created_prices.total(),
            most=max(self.most, self.created_most),
            low=min(sizes, default=ZERO),
            high=max(sizes, default=ZERO),
            prices=_after(self.prices, self.created_prices, self.moves),
            rates=_after(self.rates, self.created_rates, self.rate_moves),
        )

    def stored(self) -> ProductFigures:
        """The figures after the run with the most frequent prices and rates: what the next run needs."""
        after = self.settled()
        after.prices = Counter(dict(after.prices.most_common(STORED_VALUES)))
        after.rates = Counter(dict(after.rates.most_common(STORED_VALUES)))
        return after

    def carry(self, last: ProductFigures) -> None:
        """Take over what the last run knew where this run read less, because customers were skipped."""
        known = last.settled()
        if known.held > self.held:
            for name in ("held", "positive", "negative", "unpriced", "most", "low", "high", "prices", "rates"):
                setattr(self, name, getattr(known, name))

    @property
    def priced(self) -> int:
        """Charges held with a price."""
        return self.held - self.unpriced

    @property
    def median(self) -> Decimal:
        """The middle price held, without its sign; 0 if none is held."""
        sizes = sorted((abs(price), count) for price, count in self.prices.items())
        middle, seen = sum(self.prices.values()) / 2, 0
        for size, count in sizes:
            seen += count
            if seen >= middle:
                return size
        return ZERO


def _after(held: Counter[K], created: Counter[K], moves: Counter[tuple[K, K]]) -> Counter[K]:
    """Return how often each value is held after the run."""
    after = held + created
    for (old, new), count in moves.items():
        after[old] -= count
        after[new] += count
    return +after
