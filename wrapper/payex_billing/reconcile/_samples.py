"""Samples in bounded memory: the five worst rows of a kind, a sketch of the customers in a file, counted values."""

from __future__ import annotations

import hashlib
import math
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, TypeVar

import attrs

from ._match import Step

K = TypeVar("K")

WORST: Final = 5
SKETCH: Final = 6_000
_BYTES: Final = 5  # 40 bits: among 6,000 numbers two are alike once in 60,000 sketches


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


def tally(counts: Counter[K], value: K, most: int, by: int = 1) -> None:
    """Count a value, unless `most` other values are counted already."""
    if value in counts or len(counts) < most:
        counts[value] += by


@attrs.define
class Worst:
    """The items with the highest scores, each with a sentence and a second number.

    Attributes:
        count: how many items there were in all.
        items: the worst, from the lowest score to the highest: score, sentence, number.
    """

    count: int = 0
    items: list[tuple[float, str, float]] = attrs.field(factory=list)

    def add(self, step: Step, score: float, *told: object, number: float = 0.0) -> None:
        """Count a row. Keep its sentence if it is one of the worst rows.

        The sentence is made only for a row that is kept, because it takes more time than everything else.
        """
        self.count += 1
        if len(self.items) < WORST or score > self.items[0][0]:
            self.put(score, sentence(step, *told), number)

    def put(self, score: float, sentence: str, number: float) -> None:
        """Keep an item if it is among the worst."""
        insort(self.items, (score, sentence, number))
        del self.items[:-WORST]

    def sentences(self) -> tuple[str, ...]:
        """The sentences, the worst first."""
        return tuple(sentence for _, sentence, _ in reversed(self.items))


@attrs.define
class Samples:
    """The worst items by kind."""

    kinds: dict[str, Worst] = attrs.field(factory=dict)

    def add(self, kind: str, step: Step, score: float | Decimal, *told: object, number: float = 0.0) -> None:
        """Count a row. Keep its sentence if it is one of the worst rows."""
        if kind not in self.kinds:
            self.kinds[kind] = Worst()
        self.kinds[kind].add(step, float(score), *told, number=number)

    def of(self, kind: str) -> Worst:
        """The worst items of a kind, which may be none."""
        return self.kinds.get(kind) or Worst()


@attrs.define
class Sketch:
    """A sample of customer numbers that is the same for the same customers: those with the lowest digests.

    It is the whole set up to 6,000 customers. Two sketches show which share of the customers two files have in common.

    Attributes:
        digests: the places of the numbers in the order of the sketch; a number that was added twice may be there twice.
        end: the place in the order up to which the sketch is complete.
    """

    digests: list[int] = attrs.field(factory=list)
    end: float = math.inf

    @staticmethod
    def digest(number: str) -> int:
        """Return a number's place in the order of the sketch."""
        return int.from_bytes(hashlib.blake2b(number.encode(), digest_size=_BYTES).digest())

    def add(self, number: str) -> None:
        """Add a customer."""
        digest = self.digest(number)
        if digest < self.end:
            self.digests.append(digest)
            if len(self.digests) >= 2 * SKETCH:
                self.cut()

    def cut(self) -> None:
        """Keep each number once, and the lowest 6,000 of them."""
        self.digests = sorted(set(self.digests))
        if len(self.digests) > SKETCH:
            self.end = self.digests[SKETCH]
            del self.digests[SKETCH:]

    def compared(self, other: Sketch) -> tuple[set[int], set[int]]:
        """Return the digests of both sketches, up to the last digest for which both are complete."""
        self.cut()
        other.cut()
        end = min(self.end, other.end)
        ours, theirs = ({digest for digest in each.digests if digest < end} for each in (self, other))
        return ours, theirs


def neighbours(number: str) -> Iterator[str]:
    """Yield the numbers that one typing error gives: a digit wrong, lost or doubled, or two swapped."""
    digits = "0123456789"
    for at, character in enumerate(number):
        yield number[:at] + number[at + 1 :]
        if character.isdigit():
            yield from (number[:at] + digit + number[at + 1 :] for digit in digits if digit != character)
        if at + 1 < len(number) and number[at + 1] != character:
            yield number[:at] + number[at + 1] + character + number[at + 2 :]
    for at in range(len(number) + 1):
        yield from (number[:at] + digit + number[at:] for digit in digits)
