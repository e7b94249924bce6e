"""A real endpoint, with safe methods only. Runs with `make contract TARGET=https://…`; see `__main__.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from schemathesis import Case

from contract_tests import checks  # noqa: F401 - they register themselves
from contract_tests.support import FUZZING, bearer, load_schema

LEDGER = os.environ.get("PAYEX_OWNER_NO") or "1234"
# The coverage phase also tries methods that an operation does not have. On a real endpoint a DELETE is never tried.
NO_OTHER_METHODS = {"phases": {"coverage": {"unexpected-methods": []}}}

schema = load_schema(LEDGER, **NO_OTHER_METHODS).include(method="GET")


class SafeSession(requests.Session):
    """Refuses to send anything but a GET, whatever generated it."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        assert request.method == "GET", f"a {request.method} was about to be sent to a real endpoint"
        return super().send(request, **options)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with SafeSession() as session:
        certificate, key = os.environ.get("PAYEX_CLIENT_CERT"), os.environ.get("PAYEX_CLIENT_KEY")
        session.cert = (certificate, key) if certificate and key else certificate
        session.verify = os.environ.get("PAYEX_CA_FILE") or True
        yield session


@schema.parametrize()
@FUZZING
def test_read_keeps_the_contract(case: Case, pytestconfig: pytest.Config, session: requests.Session) -> None:
    case.call_and_validate(
        base_url=pytestconfig.getoption("--target"), headers=bearer(os.environ["PAYEX_TOKEN"]), session=session
    )
