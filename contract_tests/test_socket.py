"""Every operation of the mock, over a real socket: examples, coverage and fuzzing, with every stock check."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from payex_billing_mock import MockServer
from schemathesis import Case

from contract_tests import checks  # noqa: F401 - they register themselves
from contract_tests.support import BASE_PATH, FUZZING, LEDGER, TOKEN, bearer, load_schema

schema = load_schema(LEDGER)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with MockServer({LEDGER: TOKEN}) as server:
        yield server.url + BASE_PATH


@schema.parametrize()
@FUZZING
def test_operation_keeps_the_contract(case: Case, base_url: str, session: requests.Session) -> None:
    case.call_and_validate(base_url=base_url, headers=bearer(TOKEN), session=session)
