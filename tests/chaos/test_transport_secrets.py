"""Raw bytes of the server, and the client's own token, appear in no message, log, hook or traceback.

A message may contain the texts of a problem (title, detail, problems). No message has more than 2,000 characters.
"""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import payex_billing
import pytest
from payex_billing import BillingError, Charge

from tests.chaos.hostile import (
    CUSTOMERS,
    FOUR,
    Connection,
    HostileServer,
    Kind,
    Pki,
    Request,
    charge_body,
    chunked,
    collected,
    customer_body,
    done,
    head,
    name_of,
    opened,
    response,
    run,
)

MARK = "SECRET-TOKEN-77"
RAW = MARK.encode()
TOKEN = "CLIENT-TOKEN-88"
PERSON = "197001019999"  # a customer number that is a personal number
PACKAGE = str(Path(payex_billing.__file__).parent)
HERE = str(Path(__file__).parent)

JSON = "Content-Type: application/json"
IN_CHUNKS = head(200, JSON, "Transfer-Encoding: chunked")

# The responses that the server sends, by name. MARK must not appear in any message, log, hook or traceback.

Make = Callable[[Request], bytes]


def raw(data: bytes) -> Make:
    return lambda _: data


def good(request: Request) -> Any:
    if request.method == "POST":
        return charge_body(f"{CUSTOMERS}/{PERSON}/recurring-products", "id-1", request.json)
    if "recurring-products" in request.segments:
        return charge_body(f"{CUSTOMERS}/{PERSON}/recurring-products", "id-1", {"productCode": "P01"})
    return customer_body(PERSON)


def changed(**members: Any) -> Make:
    return lambda request: response(201 if request.method == "POST" else 200, {**good(request), **members})


def listed(*items: Any, **navigation: Any) -> Make:
    uri = f"{CUSTOMERS}/{PERSON}/recurring-products"
    return lambda _: response(200, {"items": list(items), "navigation": {"@id": uri, **navigation}})


def body(data: bytes, *lines: str) -> Make:
    return lambda request: response(201 if request.method == "POST" else 200, data, *lines)


RESPONSES: dict[str, Make] = {
    "a line that is no status line": raw(RAW + b"\r\n\r\n"),
    "a version": raw(b"HTTP/" + RAW + b" 200 OK\r\n\r\n"),
    "a status": raw(b"HTTP/1.1 " + RAW + b" OK\r\n\r\n"),
    "behind a status": raw(b"HTTP/1.1 200" + RAW + b"\r\n\r\n"),
    "a reason with NUL": raw(b"HTTP/1.1 200 \0" + RAW + b"\r\n\r\n"),
    "the reason of a 400": raw(b"HTTP/1.1 400 " + RAW + b"\r\nContent-Length: 0\r\n\r\n"),
    "the reason of a 500": raw(b"HTTP/1.1 500 " + RAW + b"\r\nContent-Length: 0\r\n\r\n"),
    "the reason of a 302": raw(b"HTTP/1.1 302 " + RAW + b"\r\nContent-Length: 0\r\n\r\n"),
    "the reason of a 999": raw(b"HTTP/1.1 999 " + RAW + b"\r\nContent-Length: 0\r\n\r\n"),
    "a header without colon": raw(b"HTTP/1.1 200 OK\r\n" + RAW + b"\r\n\r\n"),
    "a header's name with a space": raw(b"HTTP/1.1 200 OK\r\nX " + RAW + b": a\r\n\r\n"),
    "a header's value with NUL": raw(b"HTTP/1.1 200 OK\r\nX: \0" + RAW + b"\r\n\r\n"),
    "a header of a good response": lambda request: response(200, good(request), f"X-Trace: {MARK}", f"Set-Cookie: {MARK}"),
    "a first folded line": raw(b"HTTP/1.1 200 OK\r\n " + RAW + b"\r\n\r\n"),
    "a length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + RAW + b"\r\n\r\n"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: " + RAW + b"\r\n\r\n"),
    "a transfer coding": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + RAW + b"\r\n\r\n"),
    "a content encoding": body(RAW, f"Content-Encoding: {MARK}"),
    "a content type": lambda _: response(200, RAW, kind=MARK),
    "a Location": lambda _: response(302, b"", f"Location: https://{MARK}.invalid/{MARK}"),
    "a Location that is none": lambda _: response(302, b"", f"Location: http://[{MARK}"),
    "a challenge": lambda _: response(401, b"", f"WWW-Authenticate: Bearer realm={MARK}"),
    "a proxy's challenge": lambda _: response(407, b"", f"Proxy-Authenticate: Basic realm={MARK}"),
    "a Retry-After of a 429": lambda _: response(429, b"", f"Retry-After: {MARK}"),
    "a Retry-After of a 503": lambda _: response(503, b"", f"Retry-After: {MARK}"),
    "an upgrade": raw(head(101, f"Upgrade: {MARK}", "Connection: upgrade")),
    "a 103": raw(head(103, f"Link: {MARK}") + head(200, "Content-Length: 0")),
    "a broken 103": raw(b"HTTP/1.1 103 " + RAW + b"\r\n" + RAW + b"\r\n\r\n"),
    "a chunk size": raw(IN_CHUNKS + RAW + b"\r\n"),
    "behind a chunk size": raw(IN_CHUNKS + b"5 " + RAW + b"\r\n"),
    "a chunk extension": raw(IN_CHUNKS + b"2;\0" + RAW + b"\r\n{}\r\n0\r\n\r\n"),
    "behind a chunk": raw(IN_CHUNKS + b"2\r\n{}" + RAW + b"\r\n0\r\n\r\n"),
    "a trailer": raw(IN_CHUNKS + b"2\r\n{}\r\n0\r\n" + RAW + b"\r\n\r\n"),
    "a good trailer": lambda request: chunked(200, good(request), trailers=b"X: " + RAW + b"\r\n"),
    "behind the response": lambda request: response(200, good(request)) + RAW,
    "a stale response": lambda request: response(200, good(request)) + response(400, {"title": MARK}),
    "a body cut off": raw(head(200, JSON, "Content-Length: 500") + b'{"a": "' + RAW),
    "a body that is no JSON": body(RAW),
    "HTML": lambda _: response(200, b"<title>" + RAW + b"</title>", kind="text/html"),
    "HTML of a 502": lambda _: response(502, b"<title>" + RAW + b"</title>", kind="text/html"),
    "text of a 400": lambda _: response(400, RAW, kind="text/plain"),
    "JSON with an unquoted value": body(b'{"customerNo": ' + RAW + b"}"),
    "JSON with an unquoted name": body(b"{" + RAW + b": 1}"),
    "JSON with junk behind": body(b"{} " + RAW),
    "JSON that ends in a text": body(b'{"a": "' + RAW),
    "JSON with a bad escape": body(b'{"a": "' + RAW + b'\\x"}'),
    "JSON with bad UTF-8": body(b'{"' + RAW + b'": "\xff"}'),
    "a JSON text": body(json.dumps(MARK).encode()),
    "a JSON array": body(json.dumps([MARK]).encode()),
    "an unknown name": changed(**{MARK: 1}),
    "said gzip, is plain": body(RAW, "Content-Encoding: gzip"),
    "a gzip name": body(b"\x1f\x8b\x08\x08" + bytes(6) + RAW + b"\0xx", "Content-Encoding: gzip"),
    "gzip of junk": body(gzip.compress(RAW), "Content-Encoding: gzip"),
    "gzip with junk behind": body(gzip.compress(b"{}") + RAW, "Content-Encoding: gzip"),
    "another customer": changed(customerNo=MARK),
    "another customer's links": changed(**{"@id": f"{CUSTOMERS}/{MARK}"}),
    "an id": changed(**{"@id": MARK}),
    "an id of another host": changed(**{"@id": f"https://{MARK}.invalid/"}),
    "an id that is an object": changed(**{"@id": {MARK: 1}}),
    "links": changed(recurringProducts=f"//{MARK}.invalid/", subscriptions=f"/{MARK}"),
    "a link that is a list": changed(recurringProducts=[MARK]),
    "operations": changed(operations=MARK),
    "an operation": changed(operations=[{"rel": MARK, "method": MARK, "href": f"https://{MARK}/"}]),
    "a product code": changed(productCode=MARK),
    "a long product code": changed(productCode=MARK * 300),
    "a quantity": changed(quantity=MARK),
    "a price": changed(unitPrice=MARK),
    "a VAT rate": changed(vatRate=MARK),
    "a text": changed(text={MARK: MARK}),
    "a start date": changed(startDate=MARK),
    "an end date": changed(endDate=MARK),
    "a date with a tail": changed(startDate=f"2026-01-01T{MARK}"),
    "a date that is a list": changed(startDate=[MARK]),
    "billed until": changed(billedUntil=MARK),
    "a charge's id": changed(recurringProductId=[MARK]),
    "items": lambda _: response(200, {"items": MARK, "navigation": {"@id": "/x"}}),
    "an item": listed(MARK),
    "a broken item": listed({"recurringProductId": MARK, "startDate": MARK}),
    "the next page on another host": listed(next=f"https://{MARK}.invalid/x"),
    "the next page of another ledger": listed(next=f"/billing/customer/v1/{MARK}/customers"),
    "the next page is no link": listed(next=[MARK]),
    "the next page with dots": listed(next=f"{CUSTOMERS}/..%2f{MARK}"),
    "the next page with a line break": listed(next=f"{CUSTOMERS}/x\r\n{MARK}"),
    "the next page with a surrogate": listed(next=f"{CUSTOMERS}/\ud800{MARK}"),
    "navigation": lambda _: response(200, {"items": [], "navigation": MARK}),
    "a problem without texts": lambda _: response(400, {"status": MARK, MARK: MARK}, kind="application/problem+json"),
    "a problem that is a text": lambda _: response(400, json.dumps(MARK).encode(), kind="application/problem+json"),
    "a broken problem": lambda _: response(400, b'{"title": ' + RAW + b"}", kind="application/problem+json"),
    "a broken problem of a 503": lambda _: response(503, b'{"title": ' + RAW, kind="application/problem+json"),
}  # fmt: skip

# the calls that are made for each response

CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda billing: billing.customer(PERSON).get(),
    "read": lambda billing: billing.customer(PERSON).recurring_products.get("id-1"),
    "create": lambda billing: billing.customer(PERSON).recurring_products.create(Charge(product_code="P01")),
    "list": lambda billing: collected(billing.customer(PERSON).recurring_products.list()),
    "delete": lambda billing: billing.customer(PERSON).recurring_products.delete("id-1"),
}


class Records(logging.Handler):
    """A handler that stores the messages of all loggers, with their arguments and tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        shown = [record.getMessage(), repr(record.args), repr({**record.__dict__})]
        if record.exc_info:
            shown.append("".join(traceback.format_exception(*record.exc_info)))
        self.texts.append((record.name, "\n".join(shown)))


@contextmanager
def every_logger_at_debug() -> Iterator[Records]:
    records = Records()
    root = logging.getLogger()
    named = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    before = [(logger, logger.level) for logger in [root, *named]]
    root.addHandler(records)
    try:
        for logger, _ in before:
            logger.setLevel(logging.DEBUG)
        yield records
    finally:
        root.removeHandler(records)
        for logger, level in before:
            logger.setLevel(level)


def chain(error: BaseException, *, suppressed: bool) -> Iterable[traceback.TracebackException]:
    """Yield the error and all its causes and contexts, each with the locals of its frames.

    No traceback shows a context that `from None` suppresses, but other tools can still read that context. With
    `suppressed`, this function also yields suppressed contexts.
    """
    pending: list[traceback.TracebackException | None] = [
        traceback.TracebackException.from_exception(error, capture_locals=True)
    ]
    while pending:
        link = pending.pop()
        if link is not None:
            yield link
            pending += [link.__cause__, link.__context__ if suppressed or not link.__suppress_context__ else None]


def seen_in(error: BaseException, secret: str, hooked: list[str], records: Records) -> list[str]:
    """Return the places where a secret of the server appears."""
    places = {
        "str": str(error),
        "repr": repr(error),
        "args": repr(error.args),
        "attempts": repr(getattr(error, "attempts", None)),
        "lost": repr(getattr(error, "lost", None)),
        "traceback": "".join(traceback.format_exception(error)),
        "hook": "\n".join(hooked),
        "log": "\n".join(text for name, text in records.texts if name.startswith("payex")),
    }
    # The locals of the package's frames are not checked here, because they may contain the response that the call is
    # processing. They must not contain the token; `token_in` checks that.
    return [place for place, text in places.items() if secret in text]


def token_in(error: BaseException, hooked: list[str], records: Records) -> list[str]:
    """Return the places where the client's own token appears. Frames of the tests do not count."""
    places = {
        "str": str(error),
        "repr": repr(error),
        "hook": "\n".join(hooked),
        "log": "\n".join(text for _, text in records.texts),
        "pickle": repr(pickle.dumps(error)),
    }
    found = [place for place, text in places.items() if TOKEN in text]
    for link in chain(error, suppressed=True):
        for frame in link.stack:
            if not frame.filename.startswith(HERE) and TOKEN in repr(frame.locals):
                names = [name for name, text in (frame.locals or {}).items() if TOKEN in text]
                found.append(f"local {', '.join(names)} of {Path(frame.filename).name}:{frame.name}")
    return found


class Says:
    """A server that sends the response from `make` to every request."""

    def __init__(self) -> None:
        self.make: Make = raw(b"")

    def handle(self, connection: Connection) -> None:
        if request := connection.read_request():
            connection.send(self.make(request))


Check = Callable[[BaseException, list[str], Records], list[str]]


def leaks(kind: Kind, check: Check, responses: dict[str, Make] = RESPONSES) -> list[str]:
    """Make every call with every response. Return all that `check` finds."""
    says = Says()
    found: list[str] = []
    raised = 0

    async def scenario(url: str) -> None:
        nonlocal raised
        hooked: list[str] = []
        for name, make in responses.items():
            says.make = make
            for call, act in CALLS.items():
                hooked.clear()
                with every_logger_at_debug() as records:
                    # Each call gets a new client, so that it also gets a new connection.
                    async with opened(kind, url, token=TOKEN, on_attempt=lambda *a: hooked.append(repr(a))) as billing:
                        try:
                            await done(act(billing.with_options(attempts=1)))
                        except BillingError as error:
                            raised += 1
                            places = check(error, hooked, records)
                            found.extend(f"{name}, {call}, {name_of(error)}: {place}"[:300] for place in places)

    with HostileServer(says.handle) as server:
        run(kind, scenario(server.url))
    assert raised
    return found


def person_in(error: BaseException, hooked: list[str], records: Records) -> list[str]:
    """Return the places where the customer number appears."""
    places = {
        "str": str(error),
        "attempts": repr(getattr(error, "attempts", None)),
        "hook": "\n".join(hooked),
        "log": "\n".join(text for name, text in records.texts if name.startswith("payex")),
    }
    return [place for place, text in places.items() if PERSON in text]


def all_places(error: BaseException, hooked: list[str], records: Records) -> list[str]:
    """Return the places that all three checks find. Each place starts with the name of its check."""
    raw_places = seen_in(error, MARK, hooked, records)
    return [
        *(f"raw: {place}" for place in raw_places if not place.startswith("log")),
        *("logged: log" for place in raw_places if place == "log"),
        *(f"token: {place}" for place in token_in(error, hooked, records)),
        *(f"person: {place}" for place in person_in(error, hooked, records)),
    ]


@cache
def found(kind: Kind) -> list[str]:
    """Return every leak of one client. The result is cached, so the tests below share one run."""
    return leaks(kind, all_places)


def of_check(kind: Kind, check: str) -> list[str]:
    return [line for line in found(kind) if f" {check}: " in line]


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_raw_bytes_of_the_server_are_seen_nowhere(kind: Kind) -> None:
    assert not of_check(kind, "raw"), "\n".join(of_check(kind, "raw"))


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_raw_bytes_of_the_server_are_in_no_log_of_the_package(kind: Kind) -> None:
    assert not of_check(kind, "logged"), "\n".join(of_check(kind, "logged"))


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_the_token_is_seen_nowhere(kind: Kind) -> None:
    assert not of_check(kind, "token"), "\n".join(of_check(kind, "token"))


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_customer_number_is_in_no_message_log_or_hook(kind: Kind) -> None:
    assert not of_check(kind, "person"), "\n".join(of_check(kind, "person"))


LONG = "long " * 200_000
LONG_TEXTS: dict[str, Make] = {
    **{
        f"a problem's {member}": lambda _, member=member: response(
            400, {"type": "x/validation", "title": "T", member: value_of(member)}, kind="application/problem+json"
        )
        for member in ("type", "title", "detail", "instance", "problems")
    },
    "many problems": lambda _: response(
        400, {"problems": [{f"p{number}": "x" * 50} for number in range(20_000)]}, kind="application/problem+json"
    ),
    "all texts of a 503": lambda _: response(
        503,
        {"type": "x/service-unavailable", "title": LONG, "detail": LONG, "problems": [{LONG: LONG}]},
        kind="application/problem+json",
    ),
    "a reason": raw(b"HTTP/1.1 400 " + b"a" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n"),
    "a link": listed(next=f"https://payex.invalid/{'x' * 500_000}"),
    "a date": changed(startDate="x" * 500_000),
    "a product code": changed(productCode="x" * 500_000),
    "a name": changed(**{"x" * 500_000: 1}),
    "a status line": raw(b"x" * 50_000 + b"\r\n\r\n"),
    "a chunk size": raw(IN_CHUNKS + b"x" * 10_000 + b"\r\n"),
    "a Retry-After": lambda _: response(429, b"", "Retry-After: " + "9" * 50_000),
}


def value_of(member: str) -> Any:
    return [{LONG: LONG}] if member == "problems" else LONG


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_no_text_is_longer_than_2000_characters(kind: Kind) -> None:
    def check(error: BaseException, hooked: list[str], records: Records) -> list[str]:
        texts = {
            "str": str(error),
            "attempts": repr(getattr(error, "attempts", None)),
            "hook": max(hooked, key=len, default=""),
        }
        return [f"{place} {len(text)}" for place, text in texts.items() if len(text) > 2000]

    long = leaks(kind, check, LONG_TEXTS)
    assert not long, "\n".join(long)


# failures before the client has sent the request


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


CONNECTS = {
    "the reason of a 407": b"HTTP/1.1 407 " + RAW + b"\r\nContent-Length: 0\r\n\r\n",
    "the reason of a 502": b"HTTP/1.1 502 " + RAW + b"\r\nContent-Length: 0\r\n\r\n",
    "a challenge": head(407, f"Proxy-Authenticate: Basic realm={MARK}", "Content-Length: 0"),
    "no status line": RAW + b"\r\n\r\n",
    "no status": b"HTTP/1.1 " + RAW + b"\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\n" + RAW + b"\r\n\r\n",
    "a body": b"HTTP/1.1 403 No\r\nContent-Length: 15\r\n\r\n" + RAW,
    "junk for TLS": b"HTTP/1.1 200 OK\r\n\r\n" + RAW,
}


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_raw_bytes_of_a_proxy_its_password_and_the_token_are_seen_nowhere(kind: Kind) -> None:
    found: list[str] = []

    async def scenario(url: str) -> None:
        for name, sent in CONNECTS.items():
            chosen.append(sent)
            hooked: list[str] = []
            with every_logger_at_debug() as records:
                async with opened(
                    kind,
                    "https://127.0.0.1:1",
                    token=TOKEN,
                    proxy=url.replace("//", "//someone:PROXY-PASSWORD-99@"),
                    on_attempt=lambda *a, hooked=hooked: hooked.append(repr(a)),
                ) as billing:
                    with pytest.raises(BillingError) as caught:
                        await done(billing.with_options(attempts=1).customer(PERSON).get())
            for secret in (MARK, "PROXY-PASSWORD-99"):
                places = seen_in(caught.value, secret, hooked, records)
                found.extend(f"{name}, {secret}: {place}" for place in places)
            found.extend(f"{name}, token: {place}" for place in token_in(caught.value, hooked, records))

    chosen: list[bytes] = []

    def handle(connection: Connection) -> None:
        if connection.read_head():
            connection.send(chosen[-1])

    with HostileServer(handle) as proxy:
        run(kind, scenario(proxy.url))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize(
    "token", ["line\nbreak-CLIENT-TOKEN-88", "CLIENT-TOKEN-88-ö", "CLIENT-TOKEN-88\0", " CLIENT-TOKEN-88\t"]
)
def test_a_token_that_cannot_be_sent_is_not_shown_in_the_error(kind: Kind, token: str) -> None:
    async def scenario(given: Any) -> BaseException | None:
        try:
            async with opened(kind, "http://127.0.0.1:1", token=given) as billing:
                await done(billing.with_options(attempts=1).customer(PERSON).get())
        except Exception as error:
            return error
        return None

    for given in (token, lambda: token):
        error = run(kind, scenario(given))
        assert isinstance(error, BillingError), repr(error).replace(token, "…")
        assert TOKEN not in "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_client_and_its_parts_do_not_show_the_token(kind: Kind) -> None:
    async def scenario() -> list[str]:
        async with opened(kind, "http://127.0.0.1:1", token=TOKEN) as billing:
            customer = billing.customer(PERSON)
            parts = [
                billing,
                billing.with_options(timeout=1),
                customer,
                customer.subscription("s"),
                customer.recurring_products,
            ]
            return [repr(part) + str(part) + repr(getattr(part, "__dict__", "")) for part in parts]

    assert [text for text in run(kind, scenario()) if TOKEN in text] == []


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_cookie_of_the_server_is_never_sent_back(kind: Kind) -> None:
    """A cookie from one response must not be sent with the request for another customer."""
    sent: list[str | None] = []

    def handle(connection: Connection) -> None:
        while request := connection.read_request():
            sent.append(request.headers.get("cookie"))
            connection.send(response(200, customer_body(request.customer_no), "Set-Cookie: session=a; Path=/"))

    async def scenario(url: str) -> None:
        async with opened(kind, url) as billing:
            await done(billing.customer("a").get())
            await done(billing.customer("b").get())

    with HostileServer(handle) as server:
        run(kind, scenario(server.url))
    assert sent == [None, None]
