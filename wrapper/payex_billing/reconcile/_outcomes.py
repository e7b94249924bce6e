"""How a run ended that raised an error."""

from __future__ import annotations

import asyncio

from ._before import GuardStopped
from ._ledger import Refused
from ._report import RunOutcome

_INTERRUPTED = (KeyboardInterrupt, asyncio.CancelledError)


def outcome_of(error: BaseException) -> RunOutcome:
    """Return how a run ended that raised this error."""
    if isinstance(error, GuardStopped):
        return RunOutcome.GUARD_STOPPED
    if isinstance(error, Refused):
        return RunOutcome.REFUSED
    return RunOutcome.INTERRUPTED if isinstance(error, _INTERRUPTED) else RunOutcome.FAILED
