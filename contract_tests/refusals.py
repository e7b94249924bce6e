"""Derive from the contract every reason to refuse a request that a client can cause, for every operation.

A reason changes one part of a valid request: the credentials, a path parameter, the media type or the body. Reasons
that change different parts can be combined in one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import quote

from .api import Api, change, new_charge, new_customer, new_subscription
from .bodies import BODIES
from .exchange import CONTRACT, Exchange
from .routes import JSON, plain
from .scene import Ask, Scene
from .schemas import JUDGE, parameter_schema, refused, takes_parameter


@dataclass(frozen=True)
class Reason:
    """One reason to refuse a request.

    Attributes:
        part: the part of the request that the reason changes, such as `credentials`, `body` or `path 1`.
        codes: the problem types that the contract has for the reason.
        parameters: the parameters that a validation problem names; empty if the contract does not say which.
        given: the number of path parameters that must be right for the reason to exist.
        early: whether a server may find the reason before it knows who asks, because the reason is in the form of the
            request alone.
    """

    name: str
    part: str
    codes: tuple[str, ...]
    apply: Callable[[Ask], Ask]
    parameters: tuple[str, ...] = ()
    given: int = 0
    early: bool = False


def reasons(scene: Scene, ask: Ask) -> Iterator[Reason]:
    """Yield one reason of every sort that an operation has."""
    yield from credentials(scene.api, ask)
    yield from wrong_path(ask)
    yield from missing(ask)
    if ask.body is not ...:
        yield from wrong_media_type()
        yield from wrong_body(ask)
        yield from business(scene, ask)


def credentials(api: Api, ask: Ask) -> Iterator[Reason]:
    """Yield no token, a wrong token, and the token of another ledger."""
    wrong: dict[str, tuple[str | None, tuple[str, ...]]] = {
        "no token": (None, ("unauthorized",)),
        "a wrong token": ("Bearer wrong-token", ("unauthorized",)),
    }
    if api.other is not None:
        wrong["another ledger's token"] = (f"Bearer {api.other.token}", ("unauthorized", "forbidden"))
    for name, (value, codes) in wrong.items():
        yield Reason(name, "credentials", codes, _with_headers(Authorization=value))


def wrong_path(ask: Ask) -> Iterator[Reason]:
    """Yield values of each path parameter that its schema does not allow: one as it is, and one percent-encoded."""
    for index, name in enumerate(ask.parameters):
        values = wrong_numbers(ask, index)
        encoded = [value for value in values if quote(value) != value]
        for value in dict.fromkeys((*values[:1], *encoded[:1])):
            yield Reason(f"a wrong {name}", f"path {index}", ("validation",), _with_number(index, value), (name,))


def missing(ask: Ask) -> Iterator[Reason]:
    """Yield a number or id that no resource has, for each path parameter whose resource must exist."""
    for index, name in enumerate(ask.parameters):
        kind = ask.kind_at(index)
        unused = f"{ask.prefix}none" if ask.prefix and kind == "customer" else str(BODIES.unused(kind))
        code = CONTRACT.not_found[kind]
        yield Reason(f"no such {name}", f"path {index}", (code,), _with_number(index, unused), given=index)


def missing_statuses() -> set[int]:
    """Return the statuses of a path whose resource does not exist."""
    return {CONTRACT.problem_types[code].status for code in CONTRACT.not_found.values()} | {404}


def wrong_media_type() -> Iterator[Reason]:
    """Yield a media type that no operation has, and no media type."""
    code = ("unsupported-media-type",)
    yield Reason("another media type", "media type", code, _with_headers(**{"Content-Type": "text/plain"}), early=True)
    yield Reason("no media type", "media type", code, _with_headers(**{"Content-Type": None}), early=True)


def wrong_body(ask: Ask) -> Iterator[Reason]:
    """Yield a body that is not JSON, none, no object, one without a required property, and one wrong property each."""
    code = ("validation",)
    for name, content in (("a body that is not JSON", b'{"a":'), ("an empty body", b"")):
        yield Reason(name, "body", code, partial(_with_content, content), early=True)
    yield Reason("a body that is no object", "body", code, lambda each: replace(each, body=["x"]))
    schema = CONTRACT.resolve(ask.operation.body or {})
    for name in schema.get("required", ()):
        body = {key: value for key, value in ask.body.items() if key != name}
        yield Reason(f"no {name}", "body", code, _with_body(body), (name,))
    for name, value in wrong_values(schema).items():
        yield Reason(f"a wrong {name}", "body", code, _with_body({**ask.body, name: value}), (name,))


def business(scene: Scene, ask: Ask) -> Iterator[Reason]:
    """Yield what the contract refuses although the schema allows it: a duplicate, and an end before the start."""
    kind = ask.operation.kind
    if ask.operation.role == "create" and kind in {"customer", "subscription"}:
        body = new_customer(scene.customer) if kind == "customer" else new_subscription(scene.subscription)
        given = len(ask.numbers)
        yield Reason("a duplicate", "body", (CONTRACT.duplicates[kind][1],), _with_body(body), given=given)
    schema = CONTRACT.resolve(ask.operation.body or {})
    ends = BODIES.named(start_date="2026-01-02", end_date="2026-01-01") if kind == "charge" else {}
    if ends and all(JUDGE.takes(schema["properties"].get(name, {}), value) for name, value in ends.items()):
        body = new_charge(ends) if ask.operation.role == "create" else change(ends)
        yield Reason("an end before the start", "body", ("unprocessable",), _with_body(body))


def wrong_values(schema: Any) -> dict[str, Any]:
    """Return a value for each property that its schema does not allow: one beyond a limit, or else another type."""
    found = {}
    for name, node in schema["properties"].items():
        values = refused(node)
        usual = [each for each in values if type(each) in {int, Decimal} or (isinstance(each, str) and len(each) > 5)]
        if values:
            found[name] = (usual or values)[0]
    return found


def wrong_numbers(ask: Ask, index: int) -> list[str]:
    """Return the texts that a path parameter does not allow, and that are one segment of a path.

    On a real endpoint, those of a customer begin with the prefix, so that no write leaves the prefix.
    """
    kind = ask.kind_at(index)
    start = ask.prefix if kind == "customer" else ""
    texts = [start + each for each in refused(parameter_schema(kind)) if isinstance(each, str)]
    return [each for each in texts if each not in {"", ".", ".."} and not takes_parameter(kind, each)]


def judge(api: Api, exchange: Exchange, *found: Reason) -> None:
    """Check that a request was refused for one of its reasons, and that the problem is right for that reason.

    If several path parameters or properties are wrong, the problem names all of one part of the request: the contract
    says that `problems` names each parameter that failed, and has no order of the parts.
    """
    found = possible(*found)
    codes = [code for reason in found for code in reason.codes]
    code = exchange.code if exchange.code in codes else codes[0]
    if exchange.method == "HEAD":
        return
    api.refused(exchange, code)
    if code != "validation":
        return
    named = exchange.failed_parameters
    reasons = [each for each in found if "validation" in each.codes]
    parts = [{plain(name) for name in each.parameters} for each in reasons]
    if all(parts) and (not named <= set[str]().union(*parts) or not any(part <= named for part in parts)):
        expected = " or ".join(sorted(", ".join(each.parameters) for each in reasons))
        api.broke("names_the_parameter", f"{sorted(named)} are named, not {expected}", exchange)


def possible(*found: Reason) -> tuple[Reason, ...]:
    """Return the reasons that still exist beside the others: nothing is a duplicate below a missing customer."""
    broken = [int(each.part.removeprefix("path ")) for each in found if each.part.startswith("path")]
    left = tuple(each for each in found if all(index >= each.given or each.part == f"path {index}" for index in broken))
    secret = [each for each in left if each.part == "credentials"]
    if secret:
        # The contract has the token on every operation. What needs the ledger's state must not show without the token.
        return tuple(each for each in left if each in secret or each.early)
    return left


def combines(one: Reason, other: Reason) -> bool:
    """Return whether two reasons change different parts of a request."""
    return one.part != other.part


def media_types(ask: Ask) -> set[str]:
    """Return the media types of the bodies that the contract has for an operation."""
    path, method = ask.operation.path, ask.operation.method.lower()
    body = CONTRACT.resolve(CONTRACT.document["paths"][path][method].get("requestBody", {}))
    return {each.lower() for each in body.get("content", {JSON: {}})}


def _with_headers(**headers: str | None) -> Callable[[Ask], Ask]:
    return lambda ask: replace(ask, headers={**ask.headers, **headers})


def _with_content(content: bytes, ask: Ask) -> Ask:
    return replace(ask, content=content)


def _with_body(body: Any) -> Callable[[Ask], Ask]:
    return lambda ask: replace(ask, body=body)


def _with_number(index: int, value: str) -> Callable[[Ask], Ask]:
    def apply(ask: Ask) -> Ask:
        return replace(ask, numbers=(*ask.numbers[:index], value, *ask.numbers[index + 1 :]))

    return apply
