"""Faults: some inputs are far slower than others, and some responses grow with unrelated data."""

from __future__ import annotations

import time

from contract_tests.exchange import render

from ._planting import Answer, MockWithFault, Next, Request, behaves, is_list, read, wire, with_body, with_header

FAMILY = "time and weight"
SECONDS = 0.1  # more than fifty times the usual duration


@behaves(FAMILY, "a text of the greatest length takes long")
def longest_text_is_slow(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if b"A" * 73 + b'"' in request.body:
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "a number with an ampersand takes long to look up")
def ampersand_is_slow(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if request.method == "GET" and b"%26" in request.raw_path:
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "the longest number takes long to look up")
def longest_number_is_slow(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if request.method == "GET" and request.raw_path.endswith(b"A" * 15):
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "a negative price takes long")
def credit_is_slow(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if request.method == "POST" and f'"{wire("unit_price")}":-'.encode() in request.body:
        time.sleep(SECONDS)
    return ask(request)


@behaves(FAMILY, "a list says how many charges all ledgers have")
def list_grows_with_others(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if not is_list(answer):
        return answer
    known = [customer for ledger in app.ledgers for customer in app.store.customers(ledger)]
    body = read(answer)
    body["navigation"]["known"] = "." * len(known)
    return with_body(answer, render(body))


@behaves(FAMILY, "a header grows with every request")
def header_grows(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return with_header(ask(request), f"X-Request-{app.asked}", "1")
