"""The figures of one product: its prices, rates and quantities as held, and how the run changes them. Pure."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import takewhile
from typing import Any, Final, Self, TypeAlias

from .._contract import Quantity
from ._match import Step
from ._samples import Samples, Worst

MOST_VALUES: Final = 256  # distinct prices that are counted by themselves
STORED_VALUES: Final = 8
COUNTS: Final = ("held", "positive", "negative", "unpriced", "created", "changed")
AMOUNTS: Final = ("most", "created_most")
Amount: TypeAlias = Quantity | int


def plain(value: Decimal | None) -> str:
    """Return a number without an exponent."""
    return "none" if value is None else f"{value:f}"


def sentence(step: Step, *told: object) -> str:
    """A row and what is told of it, as a sentence."""
    charge = step.charge or step.before
    line = "" if step.line is None else f"line {step.line}, "
    code = "" if charge is None else f", {charge.product_code}"
    words = " ".join(
        "none" if word is None else plain(word) if isinstance(word, Decimal) else str(word) for word in told
    )
    return f"{line}customer {step.customer_no}{code}: {words.strip()}"


def _parts_that_differ(old: str, new: str) -> tuple[str, str]:
    """Two texts without what they have in common at the beginning and at the end."""
    start = _common(old, new)
    old, new = old[start:], new[start:]
    end = _common(old[::-1], new[::-1])
    return old[: len(old) - end], new[: len(new) - end]


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _decimal(text: str) -> Decimal | None:
    return None if text == "none" else Decimal(text)


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

    __slots__ = (
        "changed", "created", "created_most", "created_prices", "created_rates", "held",
         "high", "low", "most", "moves", "negative", "new_rates", "percents", "positive",
        "prices", "rate_moves", "rates", "samples", "texts", "unpriced",
    )  # fmt: skip

    def __init__(self) -> None:
        self.held = self.positive = self.negative = self.unpriced = 0
        self.created = self.changed = 0
        self.most: Amount = 0
        self.created_most: Amount = 0
        self.low = self.high = Decimal(0)
        self.prices: Counter[Decimal] = Counter()
        self.rates: Counter[Decimal | None] = Counter()
        self.created_prices: Counter[Decimal] = Counter()
        self.created_rates: Counter[Decimal | None] = Counter()
        self.percents: Counter[int] = Counter()
        self.moves: Counter[tuple[Decimal, Decimal]] = Counter()
        self.rate_moves: Counter[tuple[Decimal | None, Decimal | None]] = Counter()
        self.texts: Counter[tuple[str, str]] = Counter()
        self.new_rates: dict[Decimal | None, Worst] = {}
        self.samples = Samples()

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
        if len(self.prices) < 2 * MOST_VALUES or price in self.prices:
            self.prices[price] += 1

    def create(self, step: Step, price: Decimal | None, rate: Decimal | None, quantity: Amount) -> None:
        """Count a new charge."""
        self.created += 1
        self.created_most = max(self.created_most, quantity)
        if len(self.created_rates) < MOST_VALUES or rate in self.created_rates:
            self.created_rates[rate] += 1
        self._sample("created_quantity", step, float(quantity), "is new with quantity", quantity)
        self._new_rate(step, rate, "is new with VAT", plain(rate))
        if price is None:
            self._sample("emptied", step, 0, "is new without a unit price")
            return
        if len(self.created_prices) < MOST_VALUES or price in self.created_prices:
            self.created_prices[price] += 1
        self._new_price(step, price, "is new with unit price", price)

    def _new_price(self, step: Step, price: Decimal, told: str, *values: object) -> None:
        """Compare a price that had none before it, or none but 0."""
        if price:
            size = float(abs(price))
            self._sample("new_high", step, size, told, *values)
            self._sample("new_low", step, -size, told, *values)
            self._sample("new_positive" if price > 0 else "new_negative", step, 1, told, *values)

    def change_price(self, step: Step, old: Decimal | None, new: Decimal | None, quantity: Amount) -> None:
        """Count a price that changes."""
        if new is None:
            self._sample("emptied", step, float(abs(old or Decimal(0)) * quantity), "unit price", old, "→ none")
        elif not old:
            self._new_price(step, new, "unit price", old, "→", new)
        else:
            self.changed += 1
            ratio = float(new / old)
            self.percents[max(-100, min(300, int((ratio - 1) * 1000 + 1e-9) // 10))] += 1
            if len(self.moves) < MOST_VALUES or (old, new) in self.moves:
                self.moves[old, new] += 1
            if ratio > 0:
                size = float(abs(new))
                self._sample("to_high", step, size, "unit price", old, "→", new)
                self._sample("to_low", step, -size, "unit price", old, "→", new)
                self._sample("ratio", step, max(ratio, 1 / ratio), "unit price", old, "→", new)
            else:
                kind = "sign" if ratio < 0 else "zero"
                self._sample(kind, step, float(abs(new - old) * quantity), "unit price", old, "→", new)

    def change_quantity(self, step: Step, old: Amount, new: Amount) -> None:
        """Count a quantity that changes."""
        if new > old:
            self._sample("quantity_up", step, float(new / old), "quantity", old, "→", new, number=float(new))
        else:
            self._sample("quantity_down", step, float(old / new), "quantity", old, "→", new)

    def change_rate(self, step: Step, old: Decimal | None, new: Decimal | None) -> None:
        """Count a VAT rate that changes."""
        if len(self.rate_moves) < MOST_VALUES or (old, new) in self.rate_moves:
            self.rate_moves[old, new] += 1
        self._new_rate(step, new, "VAT", old, "→", new)

    def change_text(self, old: str | None, new: str | None) -> None:
        """Count a text that changes, by the part that differs."""
        part = _parts_that_differ(old or "", new or "")
        if len(self.texts) < MOST_VALUES or part in self.texts:
            self.texts[part] += 1

    def _new_rate(self, step: Step, rate: Decimal | None, *told: object) -> None:
        if rate in self.new_rates or len(self.new_rates) < MOST_VALUES // 8:
            worst = self.new_rates.setdefault(rate, Worst())
            if worst.wants(1):
                worst.put(1, sentence(step, *told))

    def _sample(self, kind: str, step: Step, score: float, *told: object, number: float = 0.0) -> None:
        worst = self.samples.wanted(kind, score)
        if worst is not None:
            worst.put(score, sentence(step, *told), number)

    def settled(self) -> ProductFigures:
        """The figures after the run: what it creates and changes is held, and nothing is about to change."""
        after = ProductFigures()
        after.held = self.held + self.created
        after.unpriced = self.unpriced + self.created - sum(self.created_prices.values())
        after.prices = self.prices + self.created_prices
        for (old, new), count in self.moves.items():
            after.prices[old] -= count
            after.prices[new] += count
        after.prices = +after.prices
        after.rates = self.rates + self.created_rates
        for (was, now), count in self.rate_moves.items():
            after.rates[was] -= count
            after.rates[now] += count
        after.rates = +after.rates
        after.positive = self.positive + sum(count for price, count in self.created_prices.items() if price > 0)
        after.negative = self.negative + sum(count for price, count in self.created_prices.items() if price < 0)
        after.most = max(self.most, self.created_most)
        sizes = [size for size in (self.low, self.high, *map(abs, self.created_prices)) if size]
        after.low, after.high = min(sizes, default=Decimal(0)), max(sizes, default=Decimal(0))
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
        return Decimal(0)

    def to_json(self, *, samples: bool) -> dict[str, Any]:
        """Plain data for JSON; without samples, only what the next run needs."""
        if not samples:
            after = self.settled()
            most = STORED_VALUES
            return _counts(after) | {
                "low": str(after.low),
                "high": str(after.high),
                "prices": [[plain(price), count] for price, count in after.prices.most_common(most)],
                "rates": [[plain(rate), count] for rate, count in after.rates.most_common(most)],
            }
        return _counts(self) | {
            "low": str(self.low),
            "high": str(self.high),
            "prices": [[plain(price), count] for price, count in self.prices.items()],
            "rates": [[plain(rate), count] for rate, count in self.rates.items()],
            "created_prices": [[plain(price), count] for price, count in self.created_prices.items()],
            "created_rates": [[plain(rate), count] for rate, count in self.created_rates.items()],
            "percents": [[percent, count] for percent, count in self.percents.items()],
            "moves": [[plain(old), plain(new), count] for (old, new), count in self.moves.items()],
            "rate_moves": [[plain(old), plain(new), count] for (old, new), count in self.rate_moves.items()],
            "texts": [[old, new, count] for (old, new), count in self.texts.items()],
            "new_rates": [[plain(rate), worst.to_json()] for rate, worst in self.new_rates.items()],
            "samples": self.samples.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Create figures from plain data."""
        figures = cls()
        for name in COUNTS:
            setattr(figures, name, int(data[name]))
        for name in AMOUNTS:
            setattr(figures, name, Quantity(data[name]))
        figures.low, figures.high = Decimal(data["low"]), Decimal(data["high"])
        figures.prices = Counter({Decimal(price): int(count) for price, count in data["prices"]})
        figures.rates = Counter({_decimal(rate): int(count) for rate, count in data["rates"]})
        if "samples" not in data:
            return figures
        figures.created_prices = Counter({Decimal(price): int(count) for price, count in data["created_prices"]})
        figures.created_rates = Counter({_decimal(rate): int(count) for rate, count in data["created_rates"]})
        figures.percents = Counter({int(percent): int(count) for percent, count in data["percents"]})
        figures.moves = Counter({(Decimal(old), Decimal(new)): int(n) for old, new, n in data["moves"]})
        figures.rate_moves = Counter({(_decimal(old), _decimal(new)): int(n) for old, new, n in data["rate_moves"]})
        figures.texts = Counter({(str(old), str(new)): int(count) for old, new, count in data["texts"]})
        figures.new_rates = {_decimal(rate): Worst.from_json(worst) for rate, worst in data["new_rates"]}
        figures.samples = Samples.from_json(data["samples"])
        return figures


def _counts(figures: ProductFigures) -> dict[str, Any]:
    counts: dict[str, Any] = {name: getattr(figures, name) for name in COUNTS}
    return counts | {name: str(getattr(figures, name)) for name in AMOUNTS}
