"""Probes: one promise of the contract each, tried with requests of its own against any target.

A probe is a function of an `Api`; it raises `Broken` when the promise is broken and `NotTried` when the target does
not allow to try it. Probes need no order and leave no traces that another minds.
"""

from __future__ import annotations

from . import (
    bodies,
    credentials,
    hypermedia,
    inputs,
    ledgers,
    numbers,
    paths,
    protocol,
    refusals,
    relations,
    siblings,
    state,
    unknown,
    values,
    weight,
)
from ._registry import PROBES, Probe

__all__ = ["PROBES", "Probe"]

# Each module registers its probes when it is imported.
_ = (
    inputs, bodies, paths, protocol, credentials, ledgers, refusals, state, unknown, hypermedia, weight, values,
    numbers, siblings, relations,
)  # fmt: skip
