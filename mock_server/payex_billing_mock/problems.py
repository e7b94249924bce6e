"""Refusals of the mock, and the problem responses of the contract that report them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .names import are_same, only, singular, stem, words
from .resources import Collection
from .schemas import ContractError, Node, is_array, items, sample, shape, types, values

TYPE_PREFIX = "billing/customer/problems/"
_STATUSES = {
    "validation": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "content-too-large": 413,
    "unsupported-media-type": 415,
    "unprocessable": 422,
}
"""The status of each refusal that belongs to no collection.

If the contract does not use the code of the refusal, the mock finds the problem type by this status.
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """One parameter that breaks the contract: the path of the parameter, such as `customerNo`, and the reason."""

    parameter: str
    message: str


@dataclass(eq=False)
class Refusal(Exception):
    """The mock rejects a request and responds with a problem.

    Attributes:
        code: a problem type of the contract, or one of the mock's own codes, such as `validation`.
        detail: the text of `detail` in the problem.
        failures: the parameters that failed.
        headers: headers to add to the response.
        instead: the failure to report in a validation problem, if the contract does not have the problem type or the
            operation does not declare its status.
    """

    code: str
    detail: str | None = None
    _: KW_ONLY
    failures: Sequence[Failure] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: Failure | None = None


def invalid(failures: Sequence[Failure]) -> Refusal:
    """Return a refusal that names every parameter that failed."""
    count = len({failure.parameter for failure in failures})
    detail = "1 parameter is not valid" if count == 1 else f"{count} parameters are not valid"
    return Refusal("validation", detail, failures=failures)


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A problem type: the last segment of `type`, with its status and title."""

    code: str
    status: int
    title: str


class ProblemTypes:
    """The problem types of the contract. Finds the problem type of each refusal.

    Raises:
        ContractError: the contract has no problem type for a request that breaks it.
    """

    def __init__(self, definitions: Mapping[str, Node], collections: Sequence[Collection]) -> None:
        self.by_code = {
            code: ProblemType(code, int(each["status"]), each["title"]) for code, each in definitions.items()
        }
        general = dict(self.by_code)
        for collection in collections:
            own = [kind for kind in self.by_code.values() if _is_about(kind.code, collection)]
            for kind in own:
                general.pop(kind.code, None)
            missing = [kind.code for kind in own if kind.status in {404, 410}]
            collection.not_found = next(iter(missing), "not-found")
            taken = [kind.code for kind in own if kind.status == 409 or {"exists", "duplicate"} & set(words(kind.code))]
            collection.already_exists = next(iter(taken), None)
        self._of_status = {kind.status: kind for kind in reversed(general.values())}
        validation = self._find("validation")
        if validation is None:
            raise ContractError("x-problem-types has no problem type for 'validation' (status 400)")
        self._validation = validation

    def of(self, refusal: Refusal, declares: Callable[[int], bool]) -> tuple[ProblemType, Refusal]:
        """Return the problem type for a refusal, and the refusal to report.

        The result is a validation problem if the contract does not have the problem type, or if the operation does not
        declare its status (status 401 needs no declaration).

        Args:
            refusal: the refusal.
            declares: returns whether the operation declares a status.
        """
        kind = self._find(refusal.code)
        if kind is not None and (declares(kind.status) or kind.status == 401):
            return kind, refusal
        if refusal.code == "validation" and refusal.failures:
            return self._validation, refusal
        return self._validation, invalid([refusal.instead or Failure("body", refusal.detail or "is not accepted")])

    def _find(self, code: str) -> ProblemType | None:
        return self.by_code.get(code) or self._of_status.get(_STATUSES.get(code, 0))


def _is_about(code: str, collection: Collection) -> bool:
    """Return whether the words of a problem type contain a name of the items of a collection."""
    ids = (f"{singular(collection.word)}-id", collection.id_parameter or "", collection.id_property or "")
    names = {stem(each) for each in ids} - {""}
    return any(f"-{name}-" in f"-{'-'.join(words(code))}-" for name in names)


_Writer = Callable[[ProblemType, Refusal], Any]
_ROLES: Mapping[str, _Writer] = {
    "type": lambda kind, refusal: TYPE_PREFIX + kind.code,
    "title": lambda kind, refusal: kind.title,
    "status": lambda kind, refusal: kind.status,
    "detail": lambda kind, refusal: refusal.detail,
    "instance": lambda kind, refusal: f"urn:uuid:{uuid.uuid4()}",
}
"""The value of each property of a problem, by the words of the property."""


class ProblemView:
    """Writes problems in the form of one response of the contract.

    Args:
        media_type: the media type of the response.
        schema: the schema of the response.
    """

    def __init__(self, media_type: str, schema: Node) -> None:
        self.media_type = media_type
        whole = shape(schema)
        self._writers = {name: _writer(name, each, name in whole.required) for name, each in whole.properties.items()}

    def body(self, kind: ProblemType, refusal: Refusal) -> dict[str, Any]:
        """Return the body of a problem, with a new instance id."""
        values = {name: write(kind, refusal) for name, write in self._writers.items()}
        return {name: value for name, value in values.items() if value is not None}


def _writer(name: str, schema: Node, is_required: bool) -> _Writer:
    """Return a function that returns the value of a property; None for a property to leave out."""
    for role, write in _ROLES.items():
        if are_same(name, role):
            return write
    report = _failure_writer(schema)
    if report is not None:
        return lambda kind, refusal: report(refusal.failures) if refusal.failures or is_required else None
    constant = sample(schema, name) if is_required else None
    return lambda kind, refusal: constant


def _failure_writer(schema: Node) -> Callable[[Sequence[Failure]], Any] | None:
    """Return a function that writes the failed parameters as the value of a property.

    The property must be an array, or an object with one key for each parameter. Return None for other properties.
    """
    if is_array(schema):
        names = list(shape(items(schema)).properties)
        if not names:
            return lambda failures: [{failure.parameter: failure.message} for failure in failures]
        parameter = only(names, {"name", "parameter", "field", "path", "property", "pointer"}) or names[0]
        message = next((name for name in names if name != parameter), parameter)
        return lambda failures: [{parameter: failure.parameter, message: failure.message} for failure in failures]
    if "object" in types(schema) and values(schema, "additionalProperties"):
        return lambda failures: {failure.parameter: [failure.message] for failure in failures}
    return None
