"""Faults planted in the mock, to see whether the suite catches them: each a small change of its behaviour.

`FAULTS` has them by name; `plant` makes a mock that has one.
"""

from __future__ import annotations

from . import hypermedia, identity, inputs, problems, shape, state, status, tenants, weight
from ._planting import FAULTS, LEDGERS, Fault, plant

__all__ = ["FAULTS", "LEDGERS", "Fault", "plant"]

_ = (shape, status, problems, inputs, state, identity, hypermedia, tenants, weight)  # each registers its faults
