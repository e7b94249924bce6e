"""Links are followed only inside the configured ledger: a token goes nowhere else."""

from __future__ import annotations

from urllib.parse import unquote

import payex_billing as pb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing._requests.links import path_under

BASE = "https://lf-api.payex.com"
PREFIX = "/billing/customer/v1/1234"


@pytest.mark.parametrize(
    ("link", "path"),
    [
        (f"{PREFIX}/customers/1", "/customers/1"),
        (f"{BASE}{PREFIX}/customers/1", "/customers/1"),
        (f"HTTPS://LF-API.PAYEX.COM{PREFIX}/customers/1", "/customers/1"),
        (f"{PREFIX}/customers?page=2&x=%20", "/customers?page=2&x=%20"),
        (f"{PREFIX}/customers/A%2FB%20%C3%A5", "/customers/A%2FB%20%C3%A5"),
        (f"{PREFIX}/customers/åäö", "/customers/%C3%A5%C3%A4%C3%B6"),
        (f"{PREFIX}/customers/...", "/customers/..."),
        (f"{PREFIX}/customers/1#part", "/customers/1"),
    ],
)
def test_a_link_inside_is_followed(link: str, path: str) -> None:
    assert path_under(BASE, PREFIX, link) == path


HOSTILE = [
    "",
    "customers/1",
    "/",
    "/elsewhere",
    PREFIX,
    f"{PREFIX}5/customers",
    "/billing/customer/v1/5678/customers",
    f"https://evil.example{PREFIX}/customers",
    f"http://lf-api.payex.com{PREFIX}/customers",
    f"https://lf-api.payex.com.evil.example{PREFIX}/customers",
    f"https://lf-api.payex.com:8443{PREFIX}/customers",
    f"https://lf-api.payex.com:443{PREFIX}/customers",
    f"https://user@lf-api.payex.com{PREFIX}/customers",
    f"https://lf-api.payex.com@evil.example{PREFIX}/customers",
    f"https://user:pass@lf-api.payex.com{PREFIX}/customers",
    f"//evil.example{PREFIX}/customers",
    f"//lf-api.payex.com{PREFIX}/customers",
    f"///evil.example{PREFIX}/customers",
    f"https:{PREFIX}/customers",
    f"javascript:{PREFIX}/customers",
    f"\\\\evil.example{PREFIX}/customers",
    f"/\\evil.example{PREFIX}/customers",
    f"{PREFIX}/customers\\..\\..",
    f"{PREFIX}/../5678/customers",
    f"{PREFIX}/customers/../../5678",
    f"{PREFIX}/customers/..",
    f"{PREFIX}/./customers",
    f"{PREFIX}/%2e%2e/5678/customers",
    f"{PREFIX}/%2E./5678/customers",
    f"{PREFIX}/.%2e/5678/customers",
    f"{PREFIX}/%2e/customers",
    f"{PREFIX}/customers\r\nHost: evil.example",
    f"{PREFIX}/customers\t",
    f" {PREFIX}/customers",
    f"{PREFIX}/customers\x00",
    "https://[::1",
    f"https://lf-api.payex.com:port{PREFIX}/customers",
]


@pytest.mark.parametrize("link", HOSTILE)
def test_a_hostile_link_is_refused(link: str) -> None:
    with pytest.raises(pb.UnsafeLink):
        path_under(BASE, PREFIX, link)


@given(st.text(max_size=60) | st.text(alphabet="/.%2eE\\:@ab?#", max_size=60).map(lambda tail: f"{PREFIX}/{tail}"))
def test_what_is_followed_stays_inside_however_it_is_decoded(link: str) -> None:
    try:
        path = path_under(BASE, PREFIX, link)
    except pb.UnsafeLink:
        return
    assert path.startswith("/")
    assert path.isascii()
    steps = [unquote(step) for step in path.partition("?")[0].split("/")]
    assert not {".", ".."} & set(steps)
