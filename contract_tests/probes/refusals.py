"""Probes of refusals: every operation refuses every wrong request with the right problem, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

from .. import refusals
from ..api import Api, customer_path, new_charge
from ..bodies import BODIES
from ..exchange import CONTRACT
from ..refusals import combines, judge
from ..routes import JSON, plain
from ..scene import Ask, Scene
from ..schemas import JUDGE, refused
from ..states import few
from ._registry import probe

NOTHING = "a_refused_request_does_nothing"


def _is_unknown(scene: Scene, ask: Ask) -> None:
    """Check that the refused creation of a customer did not create the customer."""
    number = ask.body.get(CONTRACT.keys["customer"]) if isinstance(ask.body, dict) else None
    is_creation = ask.operation.role == "create" and ask.operation.kind == "customer"
    if is_creation and isinstance(number, str) and number not in {scene.customer, "", ".", ".."}:
        read = scene.api.get(*customer_path(number))
        scene.api.same(NOTHING, read.succeeded, False, read)


@probe("problems")
def every_operation_has_its_refusals(api: Api) -> None:
    """Each operation refuses each wrong part of a request with the contract's problem, and writes nothing."""
    scene = Scene(api)
    for ask in scene.asks():
        for reason in refusals.reasons(scene, ask):
            sent = reason.apply(ask)
            exchange = sent.send(api)
            judge(api, exchange, reason)
            if sent.operation.method != "GET":
                if not api.real:
                    scene.is_untouched(NOTHING, exchange)
                _is_unknown(scene, sent)
        if ask.operation.method != "GET":
            scene.is_untouched(NOTHING)


@probe("problems")
def a_refusal_is_the_same_in_other_words(api: Api) -> None:
    """A wrong request is refused alike with the scheme, Accept or the media type in other words that mean the same."""
    scene = Scene(api)
    forms: list[dict[str, str | None]] = [{"Accept": "*/*"}, {"Authorization": f"bearer {api.token}"}]
    forms += [{"Content-Type": media_type} for media_type in (f"{JSON}; charset=utf-8", JSON.upper())]
    for ask in scene.asks():
        for reason in few(api, list(refusals.reasons(scene, ask)), 4):
            for form in few(api, forms, 1):
                if "Content-Type" not in form or ask.body is not ...:
                    judge(api, reason.apply(replace(ask, headers=form)).send(api), reason)
    scene.is_untouched(NOTHING)


@probe("problems")
def of_two_reasons_one_is_the_answer(api: Api) -> None:
    """A request with two reasons to be refused is refused for one of them, and writes nothing."""
    scene = Scene(api)
    for ask in scene.asks():
        found = list(refusals.reasons(scene, ask))
        pairs = [pair for pair in combinations(found, 2) if combines(*pair)]
        for one, other in few(api, pairs, 3):
            sent = other.apply(one.apply(ask))
            judge(api, sent.send(api), one, other)
            _is_unknown(scene, sent)
        scene.is_untouched(NOTHING)


@probe("input accepted")
def a_path_parameter_is_checked_by_every_operation(api: Api) -> None:
    """Each operation refuses each value that a path parameter does not allow, and names the parameter."""
    scene = Scene(api)
    for ask in scene.asks():
        for index, name in enumerate(ask.parameters):
            for value in few(api, refusals.wrong_numbers(ask, index), 2):
                numbers = (*ask.numbers[:index], value, *ask.numbers[index + 1 :])
                exchange = replace(ask, numbers=numbers).send(api)
                api.refused(exchange, "validation")
                api.same("names_the_parameter", exchange.failed_parameters, {plain(name)}, exchange)
        scene.is_untouched(NOTHING)


@probe("problems")
def all_wrong_path_parameters_are_named(api: Api) -> None:
    """A request with two wrong path parameters names both."""
    scene = Scene(api)
    for ask in scene.asks():
        wrong = {index: refusals.wrong_numbers(ask, index) for index in range(len(ask.numbers))}
        for pair in combinations([index for index, values in wrong.items() if values], 2):
            numbers = tuple(wrong[index][0] if index in pair else each for index, each in enumerate(ask.numbers))
            exchange = replace(ask, numbers=numbers).send(api)
            api.refused(exchange, "validation")
            expected = {plain(ask.parameters[index]) for index in pair}
            api.same("names_the_parameter", exchange.failed_parameters, expected, exchange)


@probe("problems")
def every_wrong_property_is_named(api: Api) -> None:
    """A body with one, two or all properties wrong names exactly the wrong ones, and nothing is written."""
    scene = Scene(api)
    for ask in scene.writes():
        for body in few(api, list(_wrong_bodies(ask)), 10):
            wrong = {name for name, value in body.items() if name not in ask.body or ask.body[name] != value}
            wrong |= set(ask.body) - set(body)
            exchange = replace(ask, body=body).send(api)
            api.refused(exchange, "validation")
            api.same("names_the_parameter", exchange.failed_parameters, set(map(plain, wrong)), exchange)
        scene.is_untouched(NOTHING)


def _wrong_bodies(ask: Ask) -> Iterator[dict[str, Any]]:
    """Yield the valid body with one, two and all properties wrong, and without a required property."""
    schema = CONTRACT.resolve(ask.operation.body or {})
    wrong = refusals.wrong_values(schema)
    for count in (1, 2, len(wrong)):
        for names in combinations(wrong, count):
            yield {**ask.body, **{name: wrong[name] for name in names}}
    for absent in schema.get("required", ()):
        rest = {name: value for name, value in ask.body.items() if name != absent}
        yield rest
        yield from ({**rest, name: wrong[name]} for name in wrong if name != absent)


@probe("input accepted")
def null_is_refused_where_the_schema_has_none(api: Api) -> None:
    """Null, and a value of another type, is refused for each property beside values that are valid."""
    scene = Scene(api)
    for ask in scene.writes():
        schema = CONTRACT.resolve(ask.operation.body or {})
        kind = ask.operation.kind
        whole = BODIES.full(kind) if ask.operation.role == "create" else BODIES.full_change()
        whole |= {name: value for name, value in ask.body.items() if name == CONTRACT.keys[kind]}
        for name, node in schema["properties"].items():
            values = [each for each in refused(node) if not isinstance(each, str) or len(each) < 20]
            for value in few(api, values, 3):
                exchange = replace(ask, body={**whole, name: value}).send(api)
                api.refused(exchange, "validation")
                api.same("names_the_parameter", exchange.failed_parameters, {plain(name)}, exchange)
        scene.is_untouched(NOTHING)


@probe("problems")
def a_problem_does_not_depend_on_accept(api: Api) -> None:
    """A refusal is a problem whatever Accept says, or 406."""
    scene = Scene(api)
    ask = next(each for each in scene.asks() if each.operation.role == "read")
    reason = next(refusals.missing(ask))
    for accept in ("*/*", "application/problem+json", "text/html", "application/xml", "application/json;q=0", None):
        exchange = replace(reason.apply(ask), headers={"Accept": accept}).send(api, judged=False)
        if exchange.status != 406:  # RFC 9110, section 12.5.1: a server may refuse, or disregard the header
            api.judge(exchange)
            judge(api, exchange, reason)


@probe("problems")
def a_problem_type_is_the_same_everywhere(api: Api) -> None:
    """Each problem type has one `type` and one title in every response."""
    scene = Scene(api)
    seen: dict[str, Any] = {}
    for ask in scene.asks():
        for reason in few(api, list(refusals.reasons(scene, ask)), 5):
            exchange = reason.apply(ask).send(api)
            told = {name: exchange.problem.get(name) for name in ("type", "title")}
            api.same("a_problem_type_has_one_title", told, seen.setdefault(exchange.code, told), exchange)


@probe("input accepted")
def an_end_before_the_start_is_refused_with_other_changes(api: Api) -> None:
    """A charge that would end before it starts is refused on both levels, beside other valid values."""
    scene = Scene(api)
    for ask in scene.writes():
        if ask.operation.kind != "charge":
            continue
        whole = BODIES.full("charge") if ask.operation.role == "create" else BODIES.full_change()
        for start, end in (("2026-03-01", "2026-02-28"), ("2026-01-01", "2025-12-31"), ("9999-12-31", "0001-01-01")):
            dates = BODIES.named(start_date=start, end_date=end)
            schema = CONTRACT.resolve(ask.operation.body or {})["properties"]
            if all(JUDGE.takes(schema.get(name, {}), value) for name, value in dates.items()):
                for body in ({**whole, **dates}, new_charge(dates)):
                    api.refused(replace(ask, body=body).send(api), "unprocessable")
        scene.is_untouched(NOTHING)
