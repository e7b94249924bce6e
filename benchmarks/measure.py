"""How things are measured: interleaved, repeated, by the median."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

ROUNDS = 7


@dataclass(frozen=True)
class Row:
    """One measured thing; `ratio` is to `base`, taken within each round."""

    name: str
    median: float
    unit: str
    ratio: float
    goal: float | None = None
    base: str = ""
    at_least: bool = False

    @property
    def missed(self) -> bool:
        """Whether it has not reached its goal."""
        if self.goal is None:
            return False
        return self.ratio < self.goal if self.at_least else self.ratio > self.goal

    @property
    def aim(self) -> str:
        """The goal in words."""
        return "" if self.goal is None else f"at {'least' if self.at_least else 'most'} {self.goal:g}"


def rounds_of(subjects: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Measure every subject once a round, in turn, so that what the machine does besides falls on all alike.

    Each round starts with another one: what the one before leaves behind falls on all alike, too.
    """
    found: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for each in range(rounds):
        first = each % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(subjects[name]())
    return found


def ratios(
    found: Mapping[str, Sequence[float]],
    unit: str,
    comparisons: Sequence[tuple[str, str, float | None]],
    *,
    at_least: bool = False,
) -> list[Row]:
    """What was measured, and then each comparison: a name, its base and the goal of the ratio."""
    rows = [Row(name, median(values), unit, 1.0) for name, values in found.items()]
    for name, base, goal in comparisons:
        ratio = median(value / reference for value, reference in zip(found[name], found[base], strict=True))
        rows.append(Row(name, median(found[name]), unit, ratio, goal, base, at_least))
    return rows


def side_by_side(
    subjects: Mapping[str, Callable[[], float]],
    unit: str,
    goals: Mapping[str, float],
    base: str,
    *,
    rounds: int = ROUNDS,
) -> list[Row]:
    """Measure all of them, each compared to one base."""
    found = rounds_of(subjects, rounds)
    comparisons = [(name, base, goals.get(name)) for name in subjects if name != base]
    return ratios(found, unit, comparisons)
