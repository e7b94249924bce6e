"""Refusals, and how they are written: RFC 9457 problems in the style of the house."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from .contract import Failure, ProblemType

TYPE_PREFIX = "billing/customer/problems/"


class Refusal(Exception):
    """A request that is answered with a problem.

    `code` is one of the contract's problem types; the status follows from it.
    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        failures: Sequence[Failure] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.failures = tuple(failures)
        self.headers = dict(headers or {})


def invalid(failures: Sequence[Failure]) -> Refusal:
    """A refusal that names every parameter that failed."""
    count = len({failure.parameter for failure in failures})
    detail = "1 parameter is not valid" if count == 1 else f"{count} parameters are not valid"
    return Refusal("validation", detail, failures=failures)


def problem(kind: ProblemType, refusal: Refusal) -> dict[str, Any]:
    """The body of a problem, with an instance id of its own."""
    body: dict[str, Any] = {"type": TYPE_PREFIX + kind.code, "title": kind.title, "status": kind.status}
    if refusal.detail is not None:
        body["detail"] = refusal.detail
    body["instance"] = f"urn:uuid:{uuid.uuid4()}"
    if refusal.failures:
        body["problems"] = [{failure.parameter: failure.message} for failure in refusal.failures]
    return body
