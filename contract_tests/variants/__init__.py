"""Servers that differ from the mock, and that the contract and HTTP allow. The suite must find no fault in any of them.

Each variant is a behaviour in place of the mock, as a fault is, with the reason why it is allowed.
"""

from __future__ import annotations

from . import contract, http, representation
from ._registry import VARIANTS, serve

__all__ = ["VARIANTS", "serve"]

_ = (http, contract, representation)  # each module registers its variants on import
