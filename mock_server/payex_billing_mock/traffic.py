"""Records the requests to a mock, for the console and for tests."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .messages import Answer, Handled

KEPT, KEPT_WHOLE = 1_000, 100


@dataclass(slots=True)  # made for every request, and a frozen one takes twice as long
class Exchange:
    """One request and its result.

    Attributes:
        number: the position of the request among all requests, from 1.
        at: the time in UTC when the response was ready.
        method: the HTTP method.
        path: the path as sent.
        status: the status of the response; None when the client got no complete response.
        problem: the problem type of the response, if it was a problem.
        milliseconds: how long the mock worked on the request.
        fault: the fault that the request met, in text form.
        took_effect: whether the mock carries out the request, before the response or later (fault `late-commit`).
    """

    number: int
    at: datetime
    method: str
    path: str
    status: int | None
    problem: str | None
    milliseconds: float
    fault: str | None = None
    took_effect: bool = True


class Traffic:
    """Keeps the last requests of a mock. Safe to use from several threads.

    An `Exchange` has neither a token nor a body. The last few requests are also kept whole, so whoever shows such a
    request must mask its secrets.

    Args:
        kept: the number of requests to keep.

    Attributes:
        count: the number of recorded requests since the last `clear`.
        changes: how often a request was recorded or all requests were deleted.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=kept)
        self._whole: deque[tuple[Exchange, Handled]] = deque(maxlen=KEPT_WHOLE)
        self._lock = threading.Lock()
        self.count = 0
        self.changes = 0

    def record(self, handled: Handled) -> None:
        """Record a request and its response. Pass this method to the mock as an observer."""
        with self._lock:
            self.count += 1
            answer = handled.answer
            exchange = Exchange(
                number=self.count,
                at=datetime.now(UTC),
                method=handled.request.method,
                path=handled.request.raw_path.decode("latin-1"),
                status=None if answer is None else answer.status,
                problem=_problem(answer) if answer is not None and answer.status >= 400 else None,
                milliseconds=round(handled.seconds * 1000, 3),
                fault=handled.fault,
                took_effect=handled.took_effect,
            )
            self._exchanges.append(exchange)
            self._whole.append((exchange, handled))
            self.changes += 1

    def clear(self) -> None:
        """Delete the recorded requests, and set the count to 0."""
        with self._lock:
            self._exchanges.clear()
            self._whole.clear()
            self.count = 0
            self.changes += 1

    def whole(self, number: int) -> tuple[Exchange, Handled] | None:
        """Return a request with its headers and bodies; None if the request is not kept whole."""
        with self._lock:
            return next((each for each in self._whole if each[0].number == number), None)

    def __iter__(self) -> Iterator[Exchange]:
        with self._lock:
            return iter(tuple(self._exchanges))


def _problem(answer: Answer) -> str | None:
    """Return the problem type of an error; None for an error without one. The key `type` may have any case."""
    if "json" not in answer.headers.get("Content-Type", ""):
        return None
    body = json.loads(answer.body)
    found = [value for name, value in body.items() if name.lower() == "type"] if isinstance(body, dict) else []
    return str(found[0]).rpartition("/")[2] if found else None
