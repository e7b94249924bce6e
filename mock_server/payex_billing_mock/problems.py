"""Refusals of the mock, and the problem responses of the contract that report them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .names import are_same, only, singular, stem, words
from .resources import Collection
from .schemas import ContractError, Node, Schemas
from .validation import Failure

TYPE_PREFIX = "billing/customer/problems/"
"""The start of a problem type, if no enumeration and no example of the contract shows a full problem type."""
_STATUSES = {
    "validation": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "content-too-large": 413,
    "unsupported-media-type": 415,
    "unprocessable": 422,
    "too-many-requests": 429,
    "internal-server-error": 500,
    "service-unavailable": 503,
}
"""The status of each refusal that belongs to no collection.

If the contract does not use the code of the refusal, the mock finds the problem type by this status.
"""
_NEEDED = ("validation", "unauthorized", "not-found", "method-not-allowed")


class Refusal(Exception):
    """The mock rejects a request and responds with a problem.

    Args:
        code: a problem type of the contract, or one of the mock's own codes, such as `validation`.
        detail: the text of `detail` in the problem.
        failures: the parameters that failed.
        headers: headers to add to the response.
        instead: the failure to report in a validation problem, if the contract does not have the problem type or the
            operation does not declare its status.
    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        failures: Sequence[Failure] = (),
        headers: Mapping[str, str] | None = None,
        instead: Failure | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.failures = tuple(failures)
        self.headers = dict(headers or {})
        self.instead = instead or Failure("body", detail or "is not accepted")


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
        ContractError: a refusal has no problem type.
    """

    def __init__(self, definitions: Mapping[str, Node], collections: Sequence[Collection]) -> None:
        self.by_code = {
            code: ProblemType(code, int(each["status"]), each["title"]) for code, each in definitions.items()
        }
        stems = {each: _stems(each) for each in collections}
        all_stems = {one for each in stems.values() for one in each}
        self._general = [code for code in self.by_code if not any(_has(code, one) for one in all_stems)]
        for collection, own in stems.items():
            codes = [code for one in own for code in self.by_code if _has(code, one)]
            missing = [code for code in codes if self.by_code[code].status in {404, 410}]
            collection.not_found = next(iter(missing), "not-found")
            taken = [code for code in codes if self.by_code[code].status == 409]
            taken += [code for code in codes if {"exists", "exist", "duplicate", "taken"} & set(words(code))]
            conflicts = [code for code in self._general if self.by_code[code].status == 409]
            collection.already_exists = next(iter(taken + conflicts), None)
        for code in _NEEDED:
            if self.find(code) is None:
                raise ContractError(f"x-problem-types has no problem type for {code!r} (status {_STATUSES[code]})")

    def find(self, code: str) -> ProblemType | None:
        """Return the problem type for the code of a refusal; None if the contract has none."""
        return self.by_code.get(code) or self.of_status(_STATUSES.get(code, 0))

    def of_status(self, status: int) -> ProblemType | None:
        """Return the first problem type with a status that belongs to no collection; None if there is none."""
        return next((self.by_code[code] for code in self._general if self.by_code[code].status == status), None)

    def of(self, refusal: Refusal, declares: Callable[[int], bool]) -> tuple[ProblemType, Refusal]:
        """Return the problem type for a refusal, and the refusal to report.

        The result is a validation problem if the contract does not have the problem type, or if the operation does not
        declare its status (status 401 needs no declaration).

        Args:
            refusal: the refusal.
            declares: returns whether the operation declares a status.
        """
        kind = self.find(refusal.code)
        if kind is not None and (declares(kind.status) or kind.status == 401):
            return kind, refusal
        validation = self.find("validation")
        assert validation is not None  # noqa: S101 - checked when the contract was loaded
        return validation, refusal if refusal.code == "validation" and refusal.failures else invalid([refusal.instead])


def _stems(collection: Collection) -> list[str]:
    names = [
        stem(f"{singular(collection.word)}-id"),
        stem(collection.id_parameter or ""),
        stem(collection.id_property or ""),
    ]
    return [name for name in dict.fromkeys([*names, *collection.titles]) if name]


def _has(code: str, name: str) -> bool:
    return f"-{name}-" in f"-{'-'.join(words(code))}-"


class ProblemView:
    """Writes problems in the form of one response of the contract.

    Args:
        schemas: the schemas of the contract.
        media_type: the media type of the response.
        schema: the schema of the response.
        types: the full `type` texts of problems in the examples of the contract.
    """

    def __init__(self, schemas: Schemas, media_type: str, schema: Node, types: Iterable[str]) -> None:
        self.media_type = media_type
        shape = schemas.shape(schema)
        self._names = list(shape.properties)
        self._texts = {name for name in self._names if "string" in schemas.types(shape.properties[name])}
        enums = [each for name in self._names for each in schemas.values(shape.properties[name], "enum")]
        self._types = [text for texts in (*enums, types) for text in texts if isinstance(text, str)]
        self._arrays = {name: _failure_writer(schemas, each) for name, each in shape.properties.items()}
        self._required = {
            name: schemas.sample(shape.properties.get(name, {}), name)
            for name in shape.required
            if not any(are_same(name, known) for known in ("type", "title", "status", "instance"))
        }

    def body(self, kind: ProblemType, refusal: Refusal) -> dict[str, Any]:
        """Return the body of a problem, with a new instance id."""
        values = {
            "type": self._type(kind.code),
            "title": kind.title,
            "status": kind.status,
            "detail": refusal.detail,
            "instance": f"urn:uuid:{uuid.uuid4()}",
        }
        body: dict[str, Any] = {}
        for name in self._names:
            write = self._arrays[name]
            value = next((value for role, value in values.items() if are_same(name, role)), None)
            if write is not None and refusal.failures:
                body[name] = write(refusal.failures)
            elif value is not None:
                body[name] = str(value) if name in self._texts else value
            elif name in self._required:
                body[name] = self._required[name]
        return body

    def _type(self, code: str) -> str:
        shown = [text for text in self._types if text.rpartition("/")[2] == code]
        prefixes = [text.removesuffix(text.rpartition("/")[2]) for text in self._types]
        return next(iter(shown), next(iter(prefixes), TYPE_PREFIX) + code)


def _failure_writer(schemas: Schemas, schema: Node) -> Callable[[Sequence[Failure]], Any] | None:
    """Return a function that writes the failed parameters as the value of a property.

    The property must be an array, or an object with one key for each parameter. Return None for other properties.
    """
    if schemas.is_array(schema):
        names = list(schemas.shape(schemas.items(schema)).properties)
        if not names:
            return lambda failures: [{failure.parameter: failure.message} for failure in failures]
        parameter = only(names, {"name", "parameter", "field", "path", "property", "pointer"}) or names[0]
        message = next((name for name in names if name != parameter), parameter)
        return lambda failures: [{parameter: failure.parameter, message: failure.message} for failure in failures]
    extra = next(iter(schemas.values(schema, "additionalProperties")), None)
    if "object" not in schemas.types(schema) or not isinstance(extra, Mapping):
        return None
    if schemas.is_array(extra):
        return lambda failures: {failure.parameter: [failure.message] for failure in failures}
    return lambda failures: {failure.parameter: failure.message for failure in failures}
