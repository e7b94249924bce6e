"""Inputs that cost far more than others, and answers that grow with what is not theirs."""

from __future__ import annotations

import time

from payex_billing_mock import MockApp
from payex_billing_mock.app import Answer, Request
from payex_billing_mock.json_text import render

from ._planting import Next, behaves, read, with_body, with_header

FAMILY = "time and weight"
SECONDS = 0.1  # over fifty times the usual


@behaves(FAMILY, "a text of the greatest length takes long")
def longest_text_is_slow(app: MockApp, request: Request, ask: Next) -> Answer:
    if b"A" * 73 + b'"' in (request.body or b""):
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "a number with an ampersand takes long to look up")
def ampersand_is_slow(app: MockApp, request: Request, ask: Next) -> Answer:
    if request.method == "GET" and b"%26" in request.raw_path:
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "the longest number takes long to look up")
def longest_number_is_slow(app: MockApp, request: Request, ask: Next) -> Answer:
    if request.method == "GET" and request.raw_path.endswith(b"A" * 15):
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "a negative price takes long")
def credit_is_slow(app: MockApp, request: Request, ask: Next) -> Answer:
    if request.method == "POST" and b'"unitPrice":-' in (request.body or b""):
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "a list says how many charges all ledgers have")
def list_grows_with_others(app: MockApp, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if b'"items"' not in answer.body or answer.status != 200:
        return answer
    known = [each for ledger in app.ledgers for each in app.store.customers(ledger)]
    body = read(answer)
    body["navigation"]["known"] = "." * len(known)
    return with_body(answer, render(body))


@behaves(FAMILY, "a header grows with every request")
def header_grows(app: MockApp, request: Request, ask: Next) -> Answer:
    return with_header(ask(request), f"X-Request-{app.asked}", "1")  # type: ignore[attr-defined]
