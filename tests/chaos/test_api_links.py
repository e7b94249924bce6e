"""Links from the server: the client follows only links below the ledger, and only a limited number of pages.

`lands_below` decides where a link leads. It is written from the RFCs and from the known behaviour of proxies: they
decode twice, treat a backslash as a slash, cut the path at a zero byte, and drop the text after a semicolon. The
function shares no code with the client.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import payex_billing as pb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.chaos.backend import (
    ENGINES,
    FACADES,
    FOUR,
    ROOT,
    RST,
    Backend,
    Fault,
    Reply,
    Request,
    charge_body,
    client,
    in_threads,
    json_reply,
    raised,
    tried,
)
from tests.support import NIGHTLY

LIST = f"{ROOT}/customers/A/recurring-products"
UNSAFE_TAILS = [
    "/..%2f..%2f5678/customers", "/%2e%2e%2f5678", "/%2e%2e/5678", "/%2E%2E%2F5678", "/..%5c..%5c5678", "/..;/5678",
    "/..;a=b/5678", "/%2e%2e;/5678", "/%252e%252e/5678", "/%252e%252e%252f5678", "/%25252e%25252e/5678", "/..%00/5678",
    "/%00/5678", "/x%00", "/x%2500", "/../5678", "/./x", "/x/..", "/x/.", "/customers/../../5678", "/x%2f..%2f..%2f..",
    "/\uff0e\uff0e/5678", "/\uff0e./5678", "/%EF%BC%8E%EF%BC%8E/5678", "/..\uff0f5678", "/..%EF%BC%8F5678",
    "/..\uff3c5678", "/..\\5678", "\\..\\5678", "/x\\y", "/\t../5678", "/.\t./5678", "/.\n./5678",
    "/.\r./5678", "/x\ty", "/x\ny", "/x\r\nX-Evil: 1", "/x\x00y", "/x y\x7f", "/\ud800", "/x\udfffy",
    "//..//5678", "/%%32%65%%32%65/x",
    "/x?a=\r\nX-Evil: 1", "/x?\ud800",
]  # fmt: skip


# These links are not in the issue's list. Old servers decode over-long UTF-8 and %u. Other servers drop invisible
# characters.
DUBIOUS_TAILS = [
    "/\u2025/5678", "/%c0%ae%c0%ae/5678", "/%u002e%u002e/5678", "/..%u2215x", "/..%c0%af5678", "/%e0%80%ae%e0%80%ae/5678", "/%", "/%2",
    "/%zz", "/x\u2028y", "/x\u202ey", "/x\u00ad/..", "/.\u200b./5678", "/..%e2%80%8b/5678", "/..\u22155678",
]  # fmt: skip


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A") as running:
        running.put_charge("A")
        yield running


@pytest.fixture
def evil() -> Iterator[Backend]:
    """Another server on this machine. It must not receive any request."""
    with Backend() as running:
        yield running


def unsafe_links(backend: Backend, evil: Backend) -> list[str]:
    here, there = backend.url, f"127.0.0.1:{evil.port}"
    port = backend.port
    return [
        *(ROOT + tail for tail in UNSAFE_TAILS),
        *(f"{ROOT}/customers/A{tail}" for tail in UNSAFE_TAILS if ".." in tail),
        *(here + ROOT + tail for tail in UNSAFE_TAILS[:20]),
        f"//{there}{ROOT}/x", f"///{there}{ROOT}/x", f"/\\{there}{ROOT}/x", f"\\\\{there}{ROOT}/x", f"/\t/{there}{ROOT}/x",
        f"http://{there}{ROOT}/x", f"http:/{there}{ROOT}/x", f"http:{there}{ROOT}/x", f"http:\\\\{there}{ROOT}/x", f"HTTP://{there}{ROOT}/x",
        f"https://127.0.0.1:{port}{ROOT}/x", f"ftp://127.0.0.1:{port}{ROOT}/x", f"file:" f"//{ROOT}/x", f"unix:{ROOT}/x",
        f"http://user@127.0.0.1:{port}{ROOT}/x", f"http://user:pass@127.0.0.1:{port}{ROOT}/x", f"http://@127.0.0.1:{port}{ROOT}/x",
        f"http://127.0.0.1:{port}@{there}{ROOT}/x", f"http://{there}\\@127.0.0.1:{port}{ROOT}/x", f"http://{there}#@127.0.0.1:{port}{ROOT}/x",
        f"http://{there}?@127.0.0.1:{port}{ROOT}/x", f"http://127.0.0.1{ROOT}/x", f"http://127.0.0.1:0{ROOT}/x", f"http://127.0.0.1:99999{ROOT}/x",
        f"http://127.0.0.1:{port}x{ROOT}/x", f"http://127.0.0.1:\u0661{ROOT}/x", f"http://127.0.0.1:{evil.port}#{here}{ROOT}/x",
        f"http://localhost:{port}{ROOT}/x", f"http://127.1:{port}{ROOT}/x", f"http://2130706433:{port}{ROOT}/x", f"http://0x7f.1:{port}{ROOT}/x",
        f"http://127.0.0.1.:{port}{ROOT}/x", f"http://[::ffff:127.0.0.1]:{port}{ROOT}/x", f"http://[::1{ROOT}/x", f"http://127。0。0。1:{port}{ROOT}/x",
        f"http://{there}", "http://", "http:", ":", "//", "/", "", " ", "?", "#", "x", "customers", "./x", "../x", "?page=2", "#x", ";x",
        ROOT, f"{ROOT}5/customers", f"{ROOT}%2f", f"{ROOT}%2f..", f"{ROOT}\x00/x", f"{ROOT};x/y", f"{ROOT}?x", f" {ROOT}/x", f"{ROOT.upper()}/x",
        "/billing/customer/v1/5678/customers/A", "/billing/customer/v1/1234x/customers", "/billing/customer/v1//1234/customers", "/billing//customer/v1/1234/x",
        "/billing/customer/v2/1234/customers", "/billing/usage/v1/1234/customers", "/mock/faults", "/billing/customer/v1/123%34/../5678",
        "data:text/html,x", "javascript:alert(1)", "*", "%2Fbilling", "\ud800", "\ufeff" + ROOT + "/x",
    ]  # fmt: skip


def lands_below(target: str, top: str = f"{ROOT}/") -> bool:
    """Return whether a request stays below the ledger, however a proxy or server interprets its path."""
    path = re.split(r"[?#]", target)[0]
    for _ in range(8):
        for form in (path, unicodedata.normalize("NFKC", path)):
            steps: list[str] = []
            for step in form.split("\x00")[0].replace("\\", "/").split("/"):
                name = re.sub(r"[\t\r\n]", "", step.split(";")[0])
                if name == "..":
                    steps = steps[:-1]
                elif name != ".":
                    steps.append(name)
            if not "/".join(steps).startswith(top):
                return False
        path = unquote(path)
    return True


def test_the_judge_itself_can_tell() -> None:
    for tail in ("/customers/A%2FB", "/x%20y", "/%C3%A5", "/...", "/a..b", "/x?a=/../.."):
        assert lands_below(ROOT + tail), tail
    for tail in ("/../x", "/..%2f..", "/%252e%252e/x", "/..;/x", "/..%5cx", "/..%00/x", "/%EF%BC%8E%EF%BC%8E/x", "5/x"):
        assert not lands_below(ROOT + tail), tail


@FOUR
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_an_unsafe_operation_is_not_followed(
    backend: Backend, evil: Backend, engine_name: str, facade: str, method: str
) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        for link in unsafe_links(backend, evil):
            operation = pb.Operation(rel="x", method=method, href=link)
            error = tried(lambda operation=operation: billing.follow(operation, None if method == "GET" else {}))
            if not isinstance(error, pb.UnsafeLink):
                wrong.append(f"{link!a}: {error!r}")
    seen = [request.target for request in backend.sent()]
    assert not wrong, f"{len(wrong)} followed, and sent {seen}:\n" + "\n".join(wrong)
    assert not seen
    assert not evil.requests


@FOUR
def test_an_unsafe_next_page_is_not_read(backend: Backend, evil: Backend, engine_name: str, facade: str) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        for link in unsafe_links(backend, evil):
            if not link:
                continue  # a server may send an empty link to say that there is no next page
            for form in (link, {"href": link}, {"@id": link}):
                reply = json_reply(200, {"items": [], "navigation": {"@id": LIST, "next": form}})
                backend.on("GET", Fault(reply=reply))
                error = tried(lambda: list(charges.list()))
                if not isinstance(error, pb.UnsafeLink) and not (
                    form is not link and isinstance(error, pb.BillingError)
                ):
                    wrong.append(f"{form!a}: {error!r}")
    seen = [request.target for request in backend.sent() if request.target != LIST]
    assert not wrong, f"{len(wrong)} followed, and sent {seen}:\n" + "\n".join(wrong)
    assert not seen
    assert not evil.requests


@FOUR
def test_a_link_that_only_a_broken_server_would_read_as_a_way_up_is_not_followed(
    backend: Backend, engine_name: str, facade: str
) -> None:
    with client(engine_name, facade, backend) as billing:
        outcomes = {
            tail: tried(lambda tail=tail: billing.follow(pb.Operation(rel="x", method="GET", href=ROOT + tail)))
            for tail in DUBIOUS_TAILS
        }
    wrong = [f"{tail!a}: {error!r}" for tail, error in outcomes.items() if not isinstance(error, pb.UnsafeLink)]
    assert not wrong, "\n".join(wrong)


PIECES = st.sampled_from(
    [
        "..", ".", "/", "\\", ";", "%2f", "%2F", "%5c", "%2e", "%2E", "%25", "%", "%00", "//", "?", "#", "@", ":", "customers",
        "A", "å", "%C3%A5", "%20", " ", "\t", "\n", "\x00", "%c0%ae", "%c0%af", "%EF%BC%8E", "\uff0e", "\uff0f", "\u2025", "\u2024",
        "\ufe52", "\u2215", "\ud800", "%ud800", "=", "&", "+", "~", "1234", "5678", "\u00ad", "\u200b", "%0a", "%0d", "\x7f", "%7f",
    ]
)  # fmt: skip
TAILS = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=30)
STARTS = st.sampled_from([f"{ROOT}/", f"{ROOT}/customers/A/", ROOT, "/", "", "/billing/", "HERE", f"HERE{ROOT}/", "//"])


@FOUR
def test_whatever_link_is_followed_stays_below_the_ledger(backend: Backend, engine_name: str, facade: str) -> None:
    backend.on("*", Fault(reply=json_reply(200, {"items": [], "navigation": {"@id": LIST}})), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        once = billing.with_options(attempts=1)
        charges = once.customer("A").recurring_products

        @settings(
            max_examples=3000 if NIGHTLY else 150, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(STARTS, TAILS, st.booleans())
        @example(f"{ROOT}/", "customers/A%2FB", False)
        @example(f"{ROOT}/", "..%2f..%2fx", True)
        def holds(start: str, tail: str, as_next: bool) -> None:
            link = start.replace("HERE", backend.url) + tail
            before = len(backend.requests)
            if as_next and link:
                page = json_reply(200, {"items": [], "navigation": {"@id": LIST, "next": link}})
                backend.forget_rules()
                backend.on("GET", Fault(reply=page))
                backend.on(
                    "*", Fault(reply=json_reply(200, {"items": [], "navigation": {"@id": LIST}})), times=math.inf
                )
                outcome = tried(lambda: list(charges.list()))
            else:
                outcome = tried(lambda: once.follow(pb.Operation(rel="x", method="GET", href=link)))
            assert not isinstance(outcome, Exception) or isinstance(outcome, pb.BillingError), repr(outcome)
            for request in backend.requests[before:]:
                assert lands_below(request.target), (link, request.target)
                assert request.target.isascii()
                assert request.headers["host"] == f"127.0.0.1:{backend.port}"

        holds()


@FOUR
def test_whatever_number_is_asked_for_the_request_stays_below_the_ledger(
    backend: Backend, engine_name: str, facade: str
) -> None:
    # The customer numbers come from a CRM, where the customers themselves often entered them. Such a number must not
    # send a request to another ledger, even through a proxy that decodes %2F.
    backend.on("*", Fault(reply=json_reply(404, {})), times=math.inf)
    numbers = ["..", ".", "../B", "../../5678/c/B"[:15], "x/../../../5678", "%2e%2e", "..\\B", "A/..", "A/.", "./A", "/../x", "..;", "A;b", "",
               "A\x00", "A\n", "\ud800", "A?x", "A#x", "%2F", "\uff0e\uff0e", "A" * 16, "A/", "/A", "//", "A//B"]  # fmt: skip
    wrong = []
    with client(engine_name, facade, backend) as billing:
        once = billing.with_options(attempts=1)
        for number in numbers:
            calls: dict[str, Callable[[], Any]] = {
                "customer": lambda number=number: once.customer(number).get(),
                "subscription": lambda number=number: once.customer("A").subscription(number).get(),
                "charge": lambda number=number: once.customer("A").recurring_products.get(number),
                "list": lambda number=number: list(once.customer(number).recurring_products.list()),
                "delete": lambda number=number: once.customer("A").subscription(number).delete(),
            }
            for what, call in calls.items():
                before = len(backend.requests)
                error = tried(call)
                if not isinstance(error, pb.BillingError):
                    wrong.append(f"{what} {number!a}: {error!r}")
                wrong += [
                    f"{what} {number!a}: sent {request.target}"
                    for request in backend.requests[before:]
                    if not lands_below(request.target, ROOT)
                ]
    assert not wrong, "\n".join(wrong)


LEGAL = {
    f"{ROOT}/customers/A%2FB": f"{ROOT}/customers/A%2FB",
    f"{ROOT}/customers/A%2fB/subscriptions": f"{ROOT}/customers/A%2FB/subscriptions",
    f"{ROOT}/customers/A%20B": f"{ROOT}/customers/A%20B",
    f"{ROOT}/customers/%C3%A5": f"{ROOT}/customers/%C3%A5",
    f"{ROOT}/customers/å": f"{ROOT}/customers/%C3%A5",
    f"{ROOT}/customers/A&B_c-d.e": f"{ROOT}/customers/A&B_c-d.e",
    f"{ROOT}/customers/A%26B": f"{ROOT}/customers/A&B",
    f"{ROOT}/customers/...": f"{ROOT}/customers/...",
    f"{ROOT}/customers/a..b": f"{ROOT}/customers/a..b",
    f"{LIST}?page=2&size=100": f"{LIST}?page=2&size=100",
    f"{LIST}?from=2026-01-01T00:00:00%2B01:00": f"{LIST}?from=2026-01-01T00:00:00%2B01:00",
    f"{LIST}?cursor=a/b+c==": f"{LIST}?cursor=a/b+c==",
    f"{LIST}?path=%2e%2e%2fx": f"{LIST}?path=%2e%2e%2fx",
    f"{LIST}?x=1#part": f"{LIST}?x=1",
}


def equal(one: str, other: str) -> bool:
    """Return whether two targets are equal.

    The percent-encoding of unreserved characters and the case of hex digits do not matter.
    """

    def plain(target: str) -> tuple[list[str], str]:
        path, _, query = target.partition("?")
        return [unquote(step) for step in path.split("/")], unquote(query)

    return plain(one) == plain(other)


@FOUR
def test_a_legal_link_is_followed_as_it_is(backend: Backend, engine_name: str, facade: str) -> None:
    wrong = []
    page = json_reply(200, {"items": [], "navigation": {"@id": LIST}})
    with client(engine_name, facade, backend) as billing:
        for written, target in LEGAL.items():
            for link in (written, backend.url + written):
                backend.forget_rules()
                first = json_reply(200, {"items": [], "navigation": {"@id": LIST, "next": link}})
                backend.on("GET", Fault(reply=first))
                backend.on("GET", Fault(reply=page), times=math.inf)
                for follow in (
                    lambda: list(billing.customer("A").recurring_products.list()),
                    lambda link=link: billing.follow(pb.Operation(rel="x", method="GET", href=link)),
                ):
                    outcome, sent = tried(follow), backend.requests[-1].target
                    wrong += [f"{link}: {outcome!r}, {sent}"] * (
                        isinstance(outcome, Exception) or not equal(sent, target)
                    )
    assert not wrong, "\n".join(wrong)


# Lists that do not end


def pages(next_link: Callable[[int], Any], items: int = 1) -> Callable[[Request, Reply], Reply]:
    """Return a reply function for a list: every page has new charges and the link that `next_link` gives."""
    numbers = itertools.count(1)

    def reply(_: Request, __: Reply) -> Reply:
        number = next(numbers)
        held = [
            charge_body(f"{ROOT}/customers/A", f"p{number}i{item}", {"productCode": "P01"}) for item in range(items)
        ]
        return json_reply(200, {"items": held, "navigation": {"@id": LIST, "next": next_link(number)}})

    return reply


ENDLESS: dict[str, Callable[[int], Any]] = {
    "all different": lambda number: f"{LIST}?page={number + 1}",
    "ever longer": lambda number: f"{LIST}?page=" + "9" * number,
    "other path": lambda number: f"{LIST}/{number}",
    "other customers": lambda number: f"{ROOT}/customers/{number}/recurring-products",
}
CIRCLES: dict[str, Callable[[int], Any]] = {
    "itself": lambda _: LIST,
    "itself by another name": lambda number: f"{LIST}#{number}",
    "of two": lambda number: f"{LIST}?page={number % 2}",
    "of three": lambda number: f"{LIST}?page={number % 3}",
    "back to the middle": lambda number: f"{LIST}?page={number if number < 4 else 3}",
    "other encoding": lambda number: f"{ROOT}/customers/{'A' if number % 2 else '%41'}/recurring-products",
}


@FOUR
def test_a_list_without_end_ends_with_an_error_by_the_deadline(engine_name: str, facade: str) -> None:
    def read(next_link: Callable[[int], Any], items: int, delay: float, times: int) -> Any:
        # The list ends after `times` pages. A client without a limit then fails this test and does not block it.
        with Backend().holds("A") as backend, client(engine_name, facade, backend, timeout=5, deadline=1) as billing:
            backend.on("GET", Fault(reply=pages(next_link, items), delay=delay), times=times)
            return tried(lambda: list(billing.customer("A").recurring_products.list()))

    cases = {name: (next_link, 1, 0.01, 500) for name, next_link in {**ENDLESS, **CIRCLES}.items()}
    # Each page arrives well within the timeout of one request, but the list is too long for the deadline.
    cases["slow"] = (ENDLESS["all different"], 0, 0.3, 20)
    results = in_threads([lambda case=case: read(*case) for case in cases.values()])
    wrong = [
        f"{name}: {result!r}"[:200]
        for name, result in zip(cases, results, strict=True)
        if not isinstance(result, pb.BillingError)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("engine_name", "facade"),
    list(itertools.product(ENGINES, FACADES)) if NIGHTLY else [("httpx", "async"), ("reqwest", "sync")],
)
def test_a_list_without_end_ends_without_the_deadline_too(backend: Backend, engine_name: str, facade: str) -> None:
    # With a deadline of one day, the client must not read pages into memory for a whole day.
    backend.on("GET", Fault(reply=pages(ENDLESS["all different"], items=0)), times=20_000)
    with client(engine_name, facade, backend, deadline=86_400) as billing:
        error = raised(lambda: list(billing.customer("A").recurring_products.list()))
        assert isinstance(error, pb.BillingError), repr(error)
        assert len(backend.requests) < 20_000


@FOUR
def test_a_long_honest_list_is_read_to_its_end(engine_name: str, facade: str) -> None:
    with Backend().holds("A") as backend, client(engine_name, facade, backend) as billing:
        keys = [backend.put_charge("A") for _ in range(600)]
        backend.page_size = 2
        assert [charge.id for charge in billing.customer("A").recurring_products.list()] == keys
        assert len(backend.requests) == 300


@FOUR
def test_a_charge_that_a_moving_list_shows_twice_is_one_charge_to_the_look_up(
    backend: Backend, engine_name: str, facade: str
) -> None:
    # A list that grows while its pages are read shows the same charge on two pages.
    def twice(request: Request, honest: Reply) -> Reply:
        page = honest.changed(navigation={"@id": LIST, "next": f"{LIST}?page=2"})
        return honest if request.target.endswith("page=2") else page

    backend.on("POST", Fault(reply=RST))
    with client(engine_name, facade, backend) as billing:
        charge = pb.Charge(product_code="P05", quantity=1)
        error = raised(lambda: billing.customer("A").recurring_products.create(charge, known="read"))
        backend.on("GET", Fault(reply=twice), times=math.inf)
        assert billing.look_up(error.lost).outcome is pb.Outcome.CREATED
