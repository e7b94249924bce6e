"""Faults to plant in the mock, which show whether the suite catches them.

Each fault is a small change of the mock's behaviour. `FAULTS` has the faults by name. `plant` makes a mock with one.
"""

from __future__ import annotations

from . import hypermedia, identity, inputs, problems, shape, siblings, state, status, tenants, unseen, values, weight
from ._planting import FAULTS, LEDGERS, Fault, plant

__all__ = ["FAULTS", "LEDGERS", "Fault", "plant"]

_ = (
    shape,
    status,
    problems,
    inputs,
    state,
    identity,
    hypermedia,
    tenants,
    weight,
    values,
    siblings,
    unseen,
)  # each module registers its faults on import
