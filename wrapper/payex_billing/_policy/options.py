"""How long and how often a client tries."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

from .. import errors
from .._evidence import Attempt
from ..config import number_of


@attrs.frozen(kw_only=True)
class Options:
    """The time limits and the retry settings of a call.

    Attributes:
        timeout: seconds one attempt may take.
        deadline: seconds a call may take with all its attempts and waits.
        attempts: how often a request is sent at most.
        backoff: seconds the first wait takes at most; it doubles with every attempt.
        backoff_cap: seconds any wait takes at most.
        retry_after_cap: the longest Retry-After in seconds that the client waits; the error carries a longer one.
        wait_on_writes: whether writes too wait for a 429 or 503 with Retry-After.
        repeat_refused: whether the client retries a POST after a 429 or 503 that the POST may wait for.
        before_write: called right before each attempt of a write, after all waits for the pace.
        after_write: called with each attempt of a write.
    """

    timeout: float = 30.0
    deadline: float = 120.0
    attempts: int = 4
    backoff: float = 0.5
    backoff_cap: float = 8.0
    retry_after_cap: float = 30.0
    wait_on_writes: bool = False
    repeat_refused: bool = True
    before_write: Callable[[], None] | None = None
    after_write: Callable[[Attempt], None] | None = None


def changed(options: Options, **changes: float | bool | None) -> Options:
    """The same options but for the changes that are not None.

    Raises:
        InvalidArgument: a limit is not a positive number.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    for name, value in given.items():
        if name != "wait_on_writes" and not 0 < number_of(value) < math.inf:
            raise errors.InvalidArgument(name, "must be a finite number above 0")
    return attrs.evolve(options, **given)  # type: ignore[arg-type]


def with_less_time(options: Options, spent: float) -> Options:
    """Return the options for the next of several calls that share one deadline.

    Args:
        options: the options of the first call.
        spent: seconds that the calls so far have taken.

    Raises:
        DeadlineExceeded: no time is left.
    """
    left = options.deadline - spent
    if left <= 0:
        raise errors.DeadlineExceeded(f"the deadline of {options.deadline:g} s has passed")
    return attrs.evolve(options, deadline=left)
