"""Probes of request bodies: only JSON in UTF-8 with the contract's media type is a body."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import malformed, refusals
from ..api import Api
from ..bodies import BODIES
from ..exchange import CONTRACT, Exchange, render
from ..routes import JSON
from ..scene import Ask, Scene
from ..states import few
from ._registry import probe

NOTHING = "a_refused_request_does_nothing"
NOT_OBJECTS: tuple[Any, ...] = (None, True, False, 0, -1, 1.5, "", "x", "{}", [], [1], [[]], [{}], [None])
OTHER_TYPES = (
    "", "*/*", "application/*", "json", "application", "application/", "/json", "application/jsonx",
    "application/xjson",
    "application/x-json", "application/json5", "application/jsonl", "application/json-seq", "application/json/x",
    "application json", "text/json", "text/plain", "text/html", "text/x-json", "application/javascript",
    "application/xml", "application/yaml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a",
    "application/octet-stream", "application/problem+json", "application/merge-patch+json",
    "application/json-patch+json", "application/vnd.api+json", "application/ld+json", "application/hal+json",
    "application/x+json", "image/png", "text/plain; application/json", "xapplication/json",
)  # fmt: skip


LENGTH_REQUIRED = 411


@probe("input accepted")
def malformed_json_is_refused_by_every_operation(api: Api) -> None:
    """A text that is not JSON by RFC 8259 is refused by every operation with a body, and nothing is written."""
    scene = Scene(api)
    for ask in scene.writes():
        for text in few(api, list(malformed.malformed(ask.body)), 6):
            api.refused(replace(ask, content=text).send(api), "validation")
        scene.is_untouched(NOTHING)


@probe("input accepted")
def a_body_that_is_no_object_is_refused(api: Api) -> None:
    """JSON that is no object is refused by every operation, also if a valid object is inside."""
    scene = Scene(api)
    for ask in scene.writes():
        values = [*NOT_OBJECTS, [ask.body], [ask.body, ask.body], [[ask.body]], render(ask.body)]
        for value in few(api, values, 6):
            api.refused(replace(ask, body=value).send(api), "validation")
        api.refused(replace(ask, content=b"").send(api), "validation")
        scene.is_untouched(NOTHING)


@probe("input accepted")
def an_object_around_the_body_is_not_the_body(api: Api) -> None:
    """A creation refuses a valid body inside another object: its required properties are missing."""
    scene = Scene(api)
    for ask in scene.writes():
        required = tuple(CONTRACT.resolve(ask.operation.body or {}).get("required", ()))
        missing = refusals.Reason("no required property", "body", ("validation",), lambda each: each, required)
        for name in few(api, ("data", "items", "body", CONTRACT.self_link, ""), 3):
            if not required or name in ask.body:
                continue
            found = [missing]
            if name in CONTRACT.server_set[ask.operation.kind]:  # x-rules, read-only-properties: ignored or refused
                found.append(replace(missing, name=f"{name} is given", parameters=(name,)))
            refusals.judge(api, replace(ask, body={name: ask.body}).send(api), *found)
        scene.is_untouched(NOTHING)


@probe("input accepted")
def odd_json_is_taken_or_refused(api: Api) -> None:
    """JSON that RFC 8259 leaves to the parser is taken or refused as not valid. It never makes the server fail."""
    scene = Scene(api)
    for ask in Scene(api).writes():
        for text in few(api, list(malformed.odd(_fresh(scene, ask).body)), 8):
            exchange = replace(ask, content=text).send(api)
            if not exchange.succeeded:
                _taken_or_refused(api, exchange)
    scene.is_untouched("a_request_leaves_others")


def _fresh(scene: Scene, ask: Ask) -> Ask:
    """Return a request like `ask` whose number was not used before."""
    number = scene.api.number()
    kind = ask.operation.kind
    return replace(ask, body=ask.body | ({CONTRACT.keys[kind]: number} if CONTRACT.keys[kind] in ask.body else {}))


def _taken_or_refused(api: Api, exchange: Exchange) -> None:
    """Check that a refusal has a reason that an odd body has: the body itself, or the number used by another text."""
    if exchange.role[0] == "create" and exchange.code == CONTRACT.duplicates[exchange.role[1]][1]:
        return
    api.refused(exchange, "validation")


@probe("input refused")
def the_same_json_in_other_words_is_taken(api: Api) -> None:
    """A server reads the same values from a body with other white space, escapes, zeros, order of names or charset."""
    scene = Scene(api)
    types = (JSON, JSON.upper(), f"{JSON}; charset=utf-8", f'{JSON};charset="UTF-8"', f"{JSON} ; Charset=UTF-8")
    for ask in scene.writes():
        kind, role = ask.operation.kind, ask.operation.role
        full = BODIES.full(kind) if role == "create" else BODIES.full_change()
        whole = {name: value for name, value in full.items() if name != CONTRACT.keys[kind]} | ask.body
        for index in range(len(list(malformed.equal(whole)))):
            fresh = _fresh(scene, replace(ask, body=whole))
            text = list(malformed.equal(fresh.body))[index]
            sent = replace(fresh, content=text, headers={"Content-Type": types[index % len(types)]}).send(api)
            shown = api.succeeds(sent).object
            for name, value in fresh.body.items() if shown else ():
                api.same("held_as_sent", shown.get(name), value, sent)


@probe("input refused")
def a_body_in_chunks_is_the_same_body(api: Api) -> None:
    """A body may come in chunks (RFC 9112, section 7.1); a server that wants to know its length answers 411."""
    scene = Scene(api)
    for ask in scene.writes():
        sent = replace(_fresh(scene, ask), headers={"Transfer-Encoding": "chunked"})
        exchange = sent.send(api, judged=False)
        if exchange.status == LENGTH_REQUIRED:
            continue
        api.judge(exchange)
        shown = api.succeeds(exchange).object
        for name, value in sent.body.items() if shown else ():
            api.same("held_as_sent", shown.get(name), value, exchange)


@probe("input accepted")
def only_the_contracts_media_types_are_taken(api: Api) -> None:
    """A body of another media type, or of none, is refused by every operation, and nothing is written."""
    scene = Scene(api)
    for ask in scene.writes():
        taken = refusals.media_types(ask)
        for media_type in few(api, (*OTHER_TYPES, None), 8):
            if media_type is None or media_type.partition(";")[0].strip() not in taken:
                exchange = replace(ask, headers={"Content-Type": media_type}).send(api)
                api.refused(exchange, "unsupported-media-type")
        scene.is_untouched(NOTHING)


@probe("input accepted")
def a_body_is_read_as_utf_8(api: Api) -> None:
    """A body with another charset or coding is refused, or read as RFC 8259 says: JSON is UTF-8."""
    scene = Scene(api)
    charsets = ("iso-8859-1", "utf-16", "us-ascii", "windows-1252", "x", "")
    odd: list[dict[str, str | None]] = [{"Content-Type": f"{JSON}; charset={each}"} for each in charsets]
    odd += [{"Content-Type": f"{JSON}; {each}"} for each in ("version=1", "charset", "charset=utf-8; charset=utf-16")]
    odd += [{"Content-Type": f"{JSON};"}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "x-unknown"}]
    for ask in scene.writes():
        texts = BODIES.fitting(text="Åsa 中 €") if ask.operation.kind == "charge" else {}
        for headers in few(api, odd, 6):
            fresh = _fresh(scene, replace(ask, body=ask.body | texts))
            exchange = replace(fresh, headers=headers).send(api)
            if exchange.succeeded:  # the rules compare the values
                continue
            code = "validation" if exchange.code == "validation" else "unsupported-media-type"
            api.refused(exchange, code)
