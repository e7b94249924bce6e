"""Test every operation of the mock over a real socket, with and without TLS: examples, coverage and fuzzing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from payex_billing_mock import MockServer
from schemathesis import Case

from contract_tests import checks  # noqa: F401 - they register themselves
from contract_tests.certificates import Certificates
from contract_tests.support import BASE_PATH, FUZZING_OVER_A_SOCKET, LEDGER, TOKEN, bearer, load_schema

schema = load_schema(LEDGER)


@pytest.fixture(scope="module", params=["http", "https"])
def call(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the arguments to call a mock: its address and, with TLS, the certificates."""
    certificates = Certificates(tmp_path_factory.mktemp("tls")) if request.param == "https" else None
    server = MockServer({LEDGER: TOKEN}, tls=certificates.server if certificates else None)
    with server, requests.Session() as session:
        session.trust_env = False
        options: dict[str, Any] = {"base_url": server.url + BASE_PATH, "session": session}
        if certificates is not None:
            options |= {"cert": tuple(map(str, certificates.client)), "verify": str(certificates.ca)}
        yield options


@schema.parametrize()
@FUZZING_OVER_A_SOCKET
def test_operation_keeps_the_contract(case: Case[Any], call: dict[str, Any]) -> None:
    case.call_and_validate(headers=bearer(TOKEN), **call)
