"""Error responses become typed exceptions: by problem type first, then by status. Never raises on any body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .. import errors
from .._contract import PROBLEMS
from .._text import printable
from ..errors import Problem, ProblemError

# A problem is a few hundred bytes. More is an ingress's page or an attack, and is not parsed.
MAX_PROBLEM_BYTES = 1_048_576
MAX_TEXT = 1_000
MAX_PARAMETERS = 1_000

BY_STATUS: Mapping[int, type[ProblemError]] = {
    400: errors.ValidationFailed,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.AlreadyExists,
    422: errors.Unprocessable,
    429: errors.RateLimited,
    500: errors.ServerFailed,
    501: errors.LedgerNotConfigured,
    503: errors.ServiceUnavailable,
}
# A problem type has the class of its status in the contract, or one of its own.
BY_CODE: Mapping[str, type[ProblemError]] = {
    **{code: BY_STATUS[status] for code, status in PROBLEMS.items() if status in BY_STATUS},
    "customer-not-found": errors.CustomerNotFound,
    "subscription-not-found": errors.SubscriptionNotFound,
    "recurring-product-not-found": errors.RecurringProductNotFound,
    "customer-already-exists": errors.CustomerAlreadyExists,
    "subscription-already-exists": errors.SubscriptionAlreadyExists,
}
_CLIENT_ERROR, _SERVER_ERROR = 4, 5


def read_problem(status: int, body: bytes) -> Problem:
    """Read what can be read of an error body: HTML, empty, truncated, huge or lying ones give the status alone."""
    fields = _fields(body)
    kind = _text(fields.get("type"))
    return Problem(
        status=status,
        code=_code(kind),
        type=kind,
        title=_text(fields.get("title")),
        detail=_text(fields.get("detail")),
        instance=_text(fields.get("instance")),
        problems=_parameter_problems(fields.get("problems")),
    )


def error_class(problem: Problem) -> type[ProblemError]:
    """The exception for an answer.

    The problem type decides, as long as it belongs to the same hundred as the status: a 500 that calls itself
    `customer-not-found` is still a failure of the server.
    """
    hundred = problem.status // 100
    code = problem.code or ""
    if code in BY_CODE and PROBLEMS.get(code, 0) // 100 == hundred:
        return BY_CODE[code]
    if hundred == _CLIENT_ERROR:
        return BY_STATUS.get(problem.status, errors.RequestRefused)
    if hundred == _SERVER_ERROR:
        return BY_STATUS.get(problem.status, errors.ServerFailed)
    return errors.UnexpectedStatus


def _fields(body: bytes) -> dict[str, Any]:
    """The properties with their names in lower case: published samples spell them in PascalCase."""
    if not body or len(body) > MAX_PROBLEM_BYTES:
        return {}
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return {name.lower(): item for name, item in value.items()} if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return printable(value[:MAX_TEXT]) if isinstance(value, str) and value else None


def _code(kind: str | None) -> str | None:
    """The last segment: `type` is a relative code, in an older sample an absolute URL."""
    if kind is None:
        return None
    path = kind.split("?", 1)[0].split("#", 1)[0]
    return path.rstrip("/").rsplit("/", 1)[-1].strip().lower() or None


def _parameter_problems(value: object) -> dict[str, str]:
    """`[{path: message}, …]` as one mapping; several messages for one path are joined."""
    found: dict[str, str] = {}
    entries = value if isinstance(value, list) else [value]
    for entry in entries[:MAX_PARAMETERS]:
        if isinstance(entry, dict):
            for raw_name, message in list(entry.items())[:MAX_PARAMETERS]:
                name, text = _text(raw_name) or "", _text(message) or ""
                found[name] = f"{found[name]}; {text}"[:MAX_TEXT] if name in found else text
    return found
