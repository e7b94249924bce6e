"""The requests a mock got and the statuses it sent, for its console and for tests. Never a token, never a body."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .app import Answer, Request

KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it.

    Attributes:
        number: its place among all requests, from 1.
        at: when the response was ready, UTC.
        method: the HTTP method.
        path: the path as sent.
        status: the status of the response; None when the client got no complete response.
        problem: the problem type of the response, if it was a problem.
        milliseconds: how long the mock worked on the request.
        fault: the fault that the request met, in text form.
        took_effect: whether the request reaches the mock's state: before the response, or later with `late-commit`.
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
    """The last requests of a mock. Safe to use from several threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=kept)
        self._lock = threading.Lock()
        self.count = 0

    def record(
        self,
        request: Request,
        answer: Answer | None,
        seconds: float,
        fault: str | None = None,
        took_effect: bool = True,
    ) -> None:
        """Note a request and its answer; no answer when the connection was cut."""
        with self._lock:
            self.count += 1
            exchange = Exchange(
                number=self.count,
                at=datetime.now(UTC),
                method=request.method,
                path=request.raw_path.decode("latin-1"),
                status=answer.status if answer is not None else None,
                problem=_problem(answer),
                milliseconds=round(seconds * 1000, 3),
                fault=fault,
                took_effect=took_effect,
            )
            self._exchanges.append(exchange)

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._exchanges.clear()
            self.count = 0

    def __iter__(self) -> Iterator[Exchange]:
        with self._lock:
            return iter(tuple(self._exchanges))


def _problem(answer: Answer | None) -> str | None:
    if answer is None or answer.headers.get("Content-Type") != "application/problem+json":
        return None
    return str(json.loads(answer.body).get("type", "")).rpartition("/")[2] or None
