"""Probes of credentials: without the token of the ledger, a request reads, reveals and changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import refusals
from ..api import (
    CUSTOMER_NO,
    Api,
    charges_path,
    customer_path,
    customers_path,
    new_customer,
    subscriptions_path,
)
from ..exchange import CONTRACT, Exchange
from ..scene import Ask, Scene
from ..states import few
from ._registry import probe

DENIED = "a_refused_request_does_nothing"
# Headers, cookies and parameters that some servers take a token from. The contract has the Authorization header only.
OTHER_HEADERS = (
    "X-Api-Key", "X-Auth-Token", "X-Access-Token", "X-Authorization", "X-Forwarded-Authorization",
    "Proxy-Authorization",
    "Authentication", "Access-Token", "Api-Key", "Token", "Bearer", "X-Token", "X-Amz-Security-Token",
    "WWW-Authenticate",
)  # fmt: skip
COOKIES = ("token", "access_token", "session", "Authorization", "auth", "jwt", "bearer")
PARAMETERS = (
    "access_token",
    "token",
    "api_key",
    "apikey",
    "key",
    "authorization",
    "Authorization",
    "auth",
    "bearer",
    "jwt",
)


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def wrong_tokens(token: str, ledger: str) -> list[str]:
    """Return tokens that are not the token, most of them nearly."""
    half = len(token) // 2
    near = [
        token[:-1], token[1:], token[:half], token[half:], token[:1], token + "x", "x" + token, token + token[-1],
        token + token, token[::-1], token.swapcase(), token.upper(), token.lower(), token[:-1] + "~", "~" + token[1:],
        f'"{token}"', f"'{token}'", f"<{token}>", f"({token})", f"{token},", f",{token}", f"{token},{token}",
        f"{token}, {token}", f"{token};", f"{token};x=1", f"{token}=", f"={token}", f"token={token}",
        f'token="{token}"',
        f"access_token={token}", f"{token} x", f"x {token}", f"{token} {token}", f"Bearer {token}", f"{token}.x",
        f"x.{token}", f"{token}/", f"{token}#x", f"{token}?x", f"{token}&x", f"{token}%20", f"%20{token}",
        f"{token}%00",
        f"{token}*", f"{token[:half]}*", f"{token[:half]}%", "%" + f"{ord(token[0]):02x}" + token[1:], f"{token}\xa0",
        f"{token}:", f"{ledger}:{token}", f"{token}:{ledger}", base64.b64encode(token.encode()).decode(), ledger,
    ]  # fmt: skip
    guessed = [
        "*",
        "%",
        ".*",
        "null",
        "undefined",
        "none",
        "true",
        "0",
        "1",
        "admin",
        "anonymous",
        "test",
        "token",
        "' OR '1'='1",
    ]
    return [each for each in dict.fromkeys((*near, *guessed)) if each != token]


def wrong_headers(token: str, ledger: str) -> list[dict[str, str | None]]:
    """Return the headers of requests without the right token in the right place."""
    values: list[str | None] = [None, "", " ", "Bearer", "Bearer ", "Bearer ,", "Bearer  ", "bearer", token]
    values += [f"Bearer {each}" for each in wrong_tokens(token, ledger)]
    schemes = (
        "Basic",
        "Token",
        "Digest",
        "ApiKey",
        "OAuth",
        "Negotiate",
        "JWT",
        "DPoP",
        "MAC",
        "Bearers",
        "Bear",
        "xBearer",
        "B",
    )
    values += [f"{scheme} {token}" for scheme in schemes]
    values += [f"Bearer{mark}{token}" for mark in ("", ":", "=", ",", "/", "_")]
    values += [
        _basic(text) for text in (token, f"{token}:", f":{token}", f"user:{token}", f"{ledger}:{token}", "user:pass")
    ]
    values += [f"Basic Bearer {token}", f"Basic x, Bearer x{token}", f"Digest token={token}"]
    found: list[dict[str, str | None]] = [{"Authorization": value} for value in values]
    for wrong in (None, "Bearer wrong-token"):
        found += [{"Authorization": wrong, name: f"Bearer {token}"} for name in OTHER_HEADERS]
        found += [{"Authorization": wrong, name: token} for name in OTHER_HEADERS]
        found += [{"Authorization": wrong, "Cookie": f"{name}={token}"} for name in COOKIES]
    return found


def _refused_everywhere(scene: Scene, headers: Iterable[Mapping[str, str | None]], codes: Sequence[str]) -> None:
    """Check that every operation is refused with each of the headers, and that nothing is written."""
    api = scene.api
    for ask in scene.asks():
        for each in headers:
            exchange = replace(ask, headers=each).send(api)
            api.refused(exchange, exchange.code if exchange.code in codes else codes[0])
        _not_created(scene, ask)
    scene.is_untouched(DENIED)


def _not_created(scene: Scene, ask: Ask) -> None:
    if ask.operation.role == "create" and ask.operation.kind == "customer":
        read = scene.api.get(*customer_path(ask.body[CUSTOMER_NO]))
        scene.api.same(DENIED, read.succeeded, False, read)


@probe("tenants and credentials")
def nothing_is_done_without_the_token(api: Api) -> None:
    """Every operation is refused with 401 without the token, with a wrong one or one nearly right; nothing is done."""
    headers = wrong_headers(api.token, api.ledger)
    scene = Scene(api)
    _refused_everywhere(scene, few(api, headers, 6), ("unauthorized",))
    if api.real:  # the wrong tokens above were few; one GET is tried with more of them
        for token in wrong_tokens(api.token, api.ledger)[:24]:
            read = api.get(*customer_path(scene.customer), headers={"Authorization": f"Bearer {token}"})
            api.refused(read, "unauthorized")


@probe("tenants and credentials")
def a_token_in_the_query_or_body_is_no_token(api: Api) -> None:
    """A token in the URL, where logs would keep it, or in the body is not taken."""
    scene = Scene(api)
    for ask in scene.asks():
        for name in few(api, PARAMETERS, 2):
            for headers in ({"Authorization": None}, {"Authorization": "Bearer wrong-token"}):
                sent = replace(ask, headers=headers, query=f"{name}={api.token}")
                api.refused(sent.send(api), "unauthorized")
                if ask.body is not ...:
                    sent = replace(ask, headers=headers, body={**ask.body, name: api.token})
                    api.refused(sent.send(api), "unauthorized")
        _not_created(scene, ask)
    scene.is_untouched(DENIED)


@probe("tenants and credentials")
def a_token_before_is_no_token_now(api: Api) -> None:
    """A request with the right token, on this connection or another, does not open the way for one without it."""
    scene = Scene(api)
    wrong: list[dict[str, str | None]] = [{"Authorization": None}, {"Authorization": "Bearer wrong-token"}]
    if api.other is not None:
        wrong.append({"Authorization": f"Bearer {api.other.token}"})
    read = customer_path(scene.customer)
    for ask in scene.asks():
        for headers in few(api, wrong, 2):
            for connection in few(api, ("keep-alive", "close"), 1):
                api.succeeds(api.get(*read, headers={"Connection": connection}))
                if ask.operation.method == "GET":
                    api.succeeds(ask.send(api))
                exchange = replace(ask, headers=headers).send(api)
                codes = ("unauthorized", "forbidden") if headers is wrong[-1] and api.other else ("unauthorized",)
                api.refused(exchange, exchange.code if exchange.code in codes else codes[0])
                if api.other is not None and not api.real:
                    # The other ledger's good request in between must not open the way either.
                    api.other.missing(api.other.get(*read), "customer")
                    exchange = replace(ask, headers=headers).send(api)
                    api.refused(exchange, exchange.code if exchange.code in codes else codes[0])
        _not_created(scene, ask)
    scene.is_untouched(DENIED)


@probe("tenants and credentials")
def two_credentials_are_not_better_than_one(api: Api) -> None:
    """A request with two Authorization headers is refused if both are wrong, and never makes the server fail."""
    scene = Scene(api)
    wrong = ["Bearer wrong-token", "Basic dXNlcjpwYXNz"]
    for ask in scene.asks():
        for first, second in ((wrong[0], wrong[1]), (wrong[1], wrong[0]), (wrong[0], wrong[0])):
            exchange = replace(ask, headers={"Authorization": first, "authorization": second}).send(api)
            api.expect(exchange, (401, CONTRACT.problem_types["validation"].status))
        if ask.operation.method == "GET":  # which of two different headers counts is not said
            for first, second in ((f"Bearer {api.token}", wrong[0]), (wrong[0], f"Bearer {api.token}")):
                replace(ask, headers={"Authorization": first, "authorization": second}).send(api)
    scene.is_untouched(DENIED)


@probe("tenants and credentials")
def the_scheme_is_written_in_any_case(api: Api) -> None:
    """`Bearer` is taken in upper and lower case, as HTTP has it."""
    customer = api.customer()
    for scheme in ("Bearer", "bearer", "BEARER"):
        api.succeeds(api.get(*customer_path(customer), headers={"Authorization": f"{scheme} {api.token}"}))


@probe("tenants and credentials")
def credentials_come_before_everything_else(api: Api) -> None:
    """Without a token the answer does not tell what exists, or what would be valid."""
    held = Scene(api)
    nobody = api.number()
    for headers in ({"Authorization": None}, {"Authorization": "Bearer wrong-token"}):
        answers: list[Exchange] = []
        for customer in (held.customer, nobody, "x" * 40):
            for segments in (customer_path(customer), subscriptions_path(customer), charges_path(customer, "9")):
                answers += [api.expect(api.get(*segments, headers=headers), 401, "unauthorized")]
        bodies: list[Any] = [new_customer(number) for number in (held.customer, nobody, "x" * 40)]
        for body in (*bodies, {}, []):
            if api.real and not (isinstance(body, dict) and body.get(CUSTOMER_NO, "").startswith(api.prefix)):
                continue  # outside the prefix
            answers += [api.expect(api.post(*customers_path(), body=body, headers=headers), 401, "unauthorized")]
        told = {(each.problem.get("title"), each.problem.get("detail")) for each in answers}
        api.same("a_refusal_tells_nothing", len(told), 1, answers[0])


@probe("tenants and credentials")
def a_refusal_of_credentials_does_not_tell_what_exists(api: Api) -> None:
    """Without the right token, a response is the same for what exists and for what does not."""
    scene = Scene(api)
    tokens = [None, "Bearer wrong-token", *([f"Bearer {api.other.token}"] if api.other else [])]
    for ask in scene.asks():
        asks = [ask, *(reason.apply(ask) for reason in refusals.missing(ask))]
        if ask.body is not ...:
            asks += [reason.apply(ask) for reason in refusals.business(scene, ask)]
        for token in few(api, tokens, 2):
            told = []
            for each in asks:
                exchange = replace(each, headers={"Authorization": token}).send(api)
                problem = {name: value for name, value in exchange.problem.items() if name != "instance"}
                told.append({"status": exchange.status, "problem": problem, "headers": exchange.meaningful_headers})
                api.same("a_refusal_tells_nothing", told[-1], told[0], exchange)


@probe("tenants and credentials")
def the_right_token_is_always_taken(api: Api) -> None:
    """No request with the right token is refused, however many there are."""
    customer = api.customer()
    for _ in range(20 if api.real else 300):
        api.succeeds(api.get(*customer_path(customer)))
