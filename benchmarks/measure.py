"""How things are measured: interleaved, repeated, by the median."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

ROUNDS = 7


@dataclass(frozen=True)
class Row:
    """One measured thing; `ratio` is to the first of its section, taken within each round."""

    name: str
    median: float
    unit: str
    ratio: float
    goal: float | None = None

    @property
    def missed(self) -> bool:
        """Whether it is above its goal."""
        return self.goal is not None and self.ratio > self.goal


def side_by_side(
    subjects: Mapping[str, Callable[[], float]],
    unit: str,
    goals: Mapping[str, float],
    base: str,
    *,
    rounds: int = ROUNDS,
) -> list[Row]:
    """Measure every subject once a round, in turn, so that what the machine does besides falls on all alike."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            found[name].append(subject())
    return [
        Row(
            name,
            median(values),
            unit,
            median(value / reference for value, reference in zip(values, found[base], strict=True)),
            goals.get(name),
        )
        for name, values in found.items()
    ]
