"""Faults: ledgers and credentials are not kept apart."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from payex_billing_mock import Collection, Resource, Store

from contract_tests.exchange import CONTRACT

from ._planting import CUSTOMER_NO, LEDGERS, UPDATE, Answer, MockWithFault, Next, Request, behaves, refusal, stores
from .state import JsonObject

FAMILY = "tenants and credentials"
CHALLENGE = {"www-authenticate": "Bearer"}


def _ledger(request: Request) -> str:
    return unquote(request.raw_path.split(b"/")[4].decode()) if request.raw_path.count(b"/") > 4 else ""


def _allowed(app: MockWithFault, request: Request) -> Request:
    """Return the request with the token of its ledger."""
    for ledger, token in app.tokens.items():
        if ledger == _ledger(request):
            return replace(request, headers={**request.headers, "authorization": f"Bearer {token}"})
    return request


@behaves(FAMILY, "no token is needed")
def no_token_needed(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(request if request.headers.get("authorization") else _allowed(app, request))


@behaves(FAMILY, "any token will do")
def any_token(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(_allowed(app, request) if request.headers.get("authorization", "").startswith("Bearer ") else request)


@behaves(FAMILY, "a removal needs no token")
def delete_without_token(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(_allowed(app, request) if request.method == "DELETE" else request)


@behaves(FAMILY, "lists need no token")
def lists_without_token(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(_allowed(app, request) if request.method == "GET" and request.raw_path.endswith(b"s") else request)


@behaves(FAMILY, "the token of any ledger will do")
def token_of_any_ledger(app: MockWithFault, request: Request, ask: Next) -> Answer:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return ask(_allowed(app, request) if token in app.tokens.values() else request)


@behaves(FAMILY, "the token of any ledger may read")
def any_ledger_reads(app: MockWithFault, request: Request, ask: Next) -> Answer:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return ask(_allowed(app, request) if request.method == "GET" and token in app.tokens.values() else request)


@behaves(FAMILY, "the beginning of the token is enough")
def token_by_beginning(app: MockWithFault, request: Request, ask: Next) -> Answer:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return ask(
        _allowed(app, request)
        if len(token) > 3 and any(each.startswith(token) for each in app.tokens.values())
        else request
    )


@behaves(FAMILY, "upper and lower case in a token are the same")
def token_in_any_case(app: MockWithFault, request: Request, ask: Next) -> Answer:
    token = request.headers.get("authorization", "").removeprefix("Bearer ").lower()
    return ask(_allowed(app, request) if token in {each.lower() for each in app.tokens.values()} else request)


@behaves(FAMILY, "a token after another scheme is taken")
def any_scheme(app: MockWithFault, request: Request, ask: Next) -> Answer:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return ask(replace(request, headers={**request.headers, "authorization": f"Bearer {token}"}) if scheme else request)


@behaves(FAMILY, "a token in a cookie is taken")
def token_in_cookie(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(_allowed(app, request) if "token=" in request.headers.get("cookie", "") else request)


@behaves(FAMILY, "lower-case `bearer` is refused")
def lower_case_refused(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if request.headers.get("authorization", "").startswith("bearer"):
        return refusal("unauthorized", headers=CHALLENGE)
    return ask(request)


@behaves(FAMILY, "one request of 120 is refused with 401")
def sporadic_401(app: MockWithFault, request: Request, ask: Next) -> Answer:
    refused = app.asked % 120 == 0
    return refusal("unauthorized", headers=CHALLENGE) if refused else ask(request)


@behaves(FAMILY, "what does not exist is 404 before 401")
def not_found_before_401(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status == 401 and request.method == "GET":
        allowed = ask(_allowed(app, request))
        return allowed if allowed.status == 404 else answer
    return answer


@behaves(FAMILY, "what is not valid is 400 before 401")
def invalid_before_401(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status == 401 and request.method == "POST" and request.body.strip() in {b"{}", b"[]"}:
        return ask(_allowed(app, request))
    return answer


@behaves(FAMILY, "what exists is 409 before 401")
def duplicate_before_401(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if (
        answer.status == 401
        and request.method == "POST"
        and request.raw_path.endswith(f"/{CONTRACT.place('customer').segment}".encode())
    ):
        number = request.body.partition(f'"{CUSTOMER_NO}":"'.encode())[2].partition(b'"')[0].decode()
        if number in {customer.id for customer in app.store.customers(_ledger(request))}:
            return refusal(CONTRACT.duplicates["customer"][1])
    return answer


@behaves(FAMILY, "a write without a token is answered 401, but done")
def refused_but_done(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status == 401 and request.method in {"POST", UPDATE}:
        ask(_allowed(app, request))
    return answer


@behaves(FAMILY, "the detail of a 401 tells whether the token is known")
def tells_the_token(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status != 401:
        return answer
    exists = ask(_allowed(app, request)).status < 400
    return refusal("unauthorized", "no access to it" if exists else "no access", headers=CHALLENGE)


@behaves(FAMILY, "a ledger number is read as an integer")
def ledger_as_integer(app: MockWithFault, request: Request, ask: Next) -> Answer:
    segments = request.raw_path.split(b"/")
    try:
        segments[4] = str(int(unquote(segments[4].decode()))).encode()
    except (ValueError, IndexError):
        return ask(request)
    return ask(replace(request, raw_path=b"/".join(segments)))


@behaves(FAMILY, "what stands behind the token is not looked at")
def token_with_more_behind(app: MockWithFault, request: Request, ask: Next) -> Answer:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return ask(_allowed(app, request) if any(map(token.startswith, app.tokens.values())) else request)


@behaves(FAMILY, "a request without a token is let through after a good one")
def last_token_remembered(app: MockWithFault, request: Request, ask: Next) -> Answer:
    before: Request | None = app.__dict__.get("last")
    if "authorization" not in request.headers and before is not None:
        return ask(replace(request, headers={**before.headers, **request.headers}))
    answer = ask(request)
    app.__dict__["last"] = request if answer.status < 300 else None
    return answer


@behaves(FAMILY, "a write refused for another ledger's token is done in the token's ledger")
def done_in_the_tokens_ledger(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    own = next((ledger for ledger, each in app.tokens.items() if each == token), "")
    if answer.status == 401 and own and request.method == "POST":
        segments = request.raw_path.split(b"/")
        ask(replace(request, raw_path=b"/".join([*segments[:4], own.encode(), *segments[5:]])))
    return answer


@behaves(FAMILY, "the detail of a 404 tells that another ledger has the customer")
def tells_of_another_ledger(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    segments = unquote(request.raw_path.decode()).split("/")
    numbers = {str(each.id) for ledger in app.tokens for each in app.store.customers(ledger)}
    if answer.status == 404 and CONTRACT.not_found["customer"].encode() in answer.body and numbers & set(segments):
        return refusal(CONTRACT.not_found["customer"], "it is in another ledger")
    return answer


def _ledgers(store: Store) -> list[Resource]:
    return [store.ledger(number) for number in LEDGERS]


@stores(FAMILY, "another ledger's customer can be read")
class OtherLedgerReadable(Store):
    def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
        for each in _ledgers(self) if collection.role == "customer" else ():
            if number in each.items.get(collection.word, {}):
                return each.items[collection.word][number]
        return super().find(owner, collection, number)


@stores(FAMILY, "a number that another ledger has is refused")
class NumbersAcrossLedgers(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        for each in _ledgers(self) if collection.role == "customer" else ():
            if content[CUSTOMER_NO] in each.items.get(collection.word, {}):
                return super().create(each, collection, content)  # this call refuses the duplicate
        return super().create(owner, collection, content)


@stores(FAMILY, "another ledger's charges are listed")
class OtherLedgerListed(Store):
    def listed(self, owner: Resource, collection: Collection) -> list[Resource]:
        held = super().listed(owner, collection)
        if collection.role == "charge" and owner.collection.role == "customer":
            for ledger in _ledgers(self):
                other = ledger.items.get(owner.collection.word, {}).get(str(owner.id))
                if other is not None and other is not owner:
                    return held + list(other.charges.values())
        return held


@stores(FAMILY, "the removal of a subscription befalls all ledgers")
class RemovalInAllLedgers(Store):
    def remove(self, resource: Resource) -> None:
        super().remove(resource)
        for ledger in _ledgers(self):
            for customer in self.customers(str(ledger.id)):
                if resource.owner is not None and customer.id == resource.owner.id:
                    customer.items.get(resource.collection.word, {}).pop(str(resource.id), None)
