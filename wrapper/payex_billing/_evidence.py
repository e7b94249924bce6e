"""The attempts of a request, and the problem it was answered with. Public as part of `errors`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

__all__ = ["Attempt", "Phase", "Problem"]

# Of 4xx, those that a gateway sends when it gave up on a request that the server may have read.
ABANDONED_STATUSES = frozenset({408, 425, 460, 499})


class Phase(Enum):
    """How far an attempt came."""

    NEVER_SENT = "never sent"
    ANSWER_LOST = "answer lost"
    ANSWERED = "answered"


@attrs.frozen
class Attempt:
    """One attempt at sending a request.

    Attributes:
        phase: how far it came.
        status: the HTTP status, when it was answered.
        failure: what went wrong, in a few words, when it was not.
        wait: seconds waited before the next attempt; None when there was none.
    """

    phase: Phase
    status: int | None = None
    failure: str | None = None
    wait: float | None = None


@attrs.frozen
class Problem:
    """An error answer, as far as it could be read. Keys are read without regard to case.

    Attributes:
        status: the HTTP status of the answer, whatever its body says.
        code: the last segment of `type`, such as `customer-not-found`; None when there is no readable problem.
        type: the problem type as sent.
        title: the problem type in words.
        detail: this occurrence in words.
        instance: the id of this occurrence; quote it to the vendor's support.
        problems: the message for each parameter that failed, by parameter path.
    """

    status: int
    code: str | None = None
    type: str | None = None
    title: str | None = None
    detail: str | None = None
    instance: str | None = None
    problems: Mapping[str, str] = attrs.field(factory=dict, hash=False)
