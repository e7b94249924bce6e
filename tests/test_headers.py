"""The caller's own header fields, and who the User-Agent says is calling."""

from __future__ import annotations

import re
import traceback
from typing import Any

import payex_billing as pb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import Billing
from payex_billing._session.headers import all_headers, masked
from payex_billing_mock import MockServer
from payex_billing_mock.app import Request

from tests.support import LEDGER, TOKEN, open_client

KEY = "gateway-5ecret"


@pytest.fixture(params=["httpx", "reqwest"])
def engine_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PAYEX_ENGINE", request.param)
    return str(request.param)


def client(mock: MockServer, facade: str = "sync", **options: Any) -> Any:
    return open_client(facade, token=TOKEN, owner_no=LEDGER, base_url=mock.url, **options)


@pytest.mark.parametrize("facade", ["sync", "async"])
@pytest.mark.usefixtures("engine_name")
def test_own_headers_are_sent_with_every_request(mock: MockServer, asked: list[Request], facade: str) -> None:
    own = {"X-Gateway-Key": KEY, "traceparent": "00-1-2-03", "Cookie": "a=b; c=d"}
    with client(mock, facade, headers=own) as billing:
        billing.customer("1").ensure()
        billing.customer("1").get()
    assert len(asked) == 2
    for request in asked:
        assert {name: request.headers[name.lower()] for name in own} == own
        assert request.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "authorization", "Host", "Content-Length", "Transfer-Encoding", "Connection", "CONNECTION",
        "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Upgrade", "Expect", "Accept",
        "Accept-Encoding", "Content-Type", "Content-Encoding", "User-Agent", "Range", "X-HTTP-Method-Override",
        "Idempotency-Key",
    ],
)  # fmt: skip
def test_a_header_that_is_not_the_callers_is_refused(name: str) -> None:
    with pytest.raises(pb.ConfigurationError, match=f"headers must not hold {name}: "):
        Billing(token="t", owner_no="1", headers={name: KEY})


@pytest.mark.parametrize(
    "name", ["", " X", "X ", "X:", "X\r\nY", "X\0", "Å", "X Y", "\ud800", ":method", "X\x7f", 1, None, b"X", ("X",)]
)
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(pb.ConfigurationError, match="no name of a header") as caught:
        Billing(token="t", owner_no="1", headers={name: KEY})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "value",
    [
        f"{KEY}\r\nX-Injected: 1", f"{KEY}\n", f"\r{KEY}", f"{KEY}\0", f" {KEY}", f"{KEY} ", f"{KEY}\t", f"{KEY}é",
        f"{KEY}\ud800", f"{KEY}\u2028", f"{KEY}\x7f", "", " ", KEY.encode(), 1, 1.5, None, True, [KEY],
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_that_cannot_be_sent_is_refused_and_not_shown(value: Any) -> None:
    with pytest.raises(pb.ConfigurationError, match="the value of the header X-Key") as caught:
        Billing(token="t", owner_no="1", headers={"X-Key": value})
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    own = [frame.locals or {} for frame in frames if frame.filename != __file__]
    assert own
    assert KEY not in f"{caught.value} {own}"


def test_a_name_in_two_spellings_is_refused() -> None:
    with pytest.raises(pb.ConfigurationError, match="headers holds x-a twice"):
        Billing(token="t", owner_no="1", headers={"X-A": "1", "x-a": "2"})


@pytest.mark.parametrize(
    "headers", [[("X-A", KEY)], KEY, KEY.encode(), 1, True, pytest.param(object(), id="object")], ids=repr
)
def test_headers_are_a_mapping(headers: Any) -> None:
    with pytest.raises(pb.ConfigurationError, match="headers must be a mapping") as caught:
        Billing(token="t", owner_no="1", headers=headers)
    assert KEY not in str(caught.value)


def test_a_header_value_is_not_shown_by_the_client(mock: MockServer) -> None:
    with client(mock, headers={"X-Key": KEY}) as billing:
        session = billing._runner.session
        assert KEY not in f"{billing!r} {billing.settings!r} {session!r} {session.environment!r}"


def test_a_mapping_that_changes_afterwards_changes_nothing(mock: MockServer, asked: list[Request]) -> None:
    own = {"X-A": "1"}
    with client(mock, headers=own) as billing:
        own["X-A"] = "2\r\nX-B: 3"
        billing.customer("1").ensure()
    assert {request.headers["x-a"] for request in asked} == {"1"}


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3))
def test_whatever_is_accepted_is_one_line_of_ascii(headers: dict[str, str]) -> None:
    try:
        checked = all_headers(masked(headers), None)
    except pb.ConfigurationError:
        return
    for name, value in checked.items():
        assert re.fullmatch(r"[\x21-\x7e]+: [\x20-\x7e]+", f"{name}: {value}")
    assert len({name.lower() for name in checked}) == len(headers) + 2


# app_info


@pytest.mark.parametrize("facade", ["sync", "async"])
@pytest.mark.parametrize(
    ("app_info", "first"), [("crm-sync/2.1", "crm-sync/2.1"), ("crm", "crm"), (("crm-sync", "2.1"), "crm-sync/2.1")]
)
def test_the_user_agent_names_the_program_first(
    mock: MockServer, asked: list[Request], facade: str, app_info: Any, first: str
) -> None:
    with client(mock, facade, app_info=app_info) as billing:
        billing.customer("1").ensure()
    assert asked[0].headers["user-agent"].split(" ")[:2] == [first, f"payex-billing/{pb.__version__}"]


def test_without_a_program_the_user_agent_names_this_package(mock: MockServer, asked: list[Request]) -> None:
    with client(mock) as billing:
        billing.customer("1").ensure()
    assert re.fullmatch(r"payex-billing/[0-9.]+ Python/3\.[0-9.a-z+]+", asked[0].headers["user-agent"])


@pytest.mark.parametrize(
    "app_info",
    [
        "", "crm sync", "crm/2/1", "/2", "crm/", "crm\r\nX: 1", "crm\n", "crm\0", "åäö", "\ud800", "x" * 101, "a(b)",
        ("crm",), ("crm", "2", "1"), ("crm", 2), ("crm", None), ("a/b", "1"), ("crm", ""), ["crm", "2"], 1, True, b"crm",
        {"name": "crm"},
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_program_is_refused(app_info: Any) -> None:
    with pytest.raises(pb.ConfigurationError, match="app_info must be"):
        Billing(token="t", owner_no="1", app_info=app_info)
