"""Test every operation of the mock in process: examples, coverage and fuzzing, with every stock check."""

from __future__ import annotations

from typing import Any

from schemathesis import Case

from contract_tests import checks  # noqa: F401 - they register themselves
from contract_tests.mocks import make_app
from contract_tests.support import BASE_PATH, FUZZING, LEDGER, TOKEN, bearer, load_schema

schema = load_schema(LEDGER)
schema.app = make_app(seeded=True)
BASE_URL = f"http://testserver{BASE_PATH}"


@schema.parametrize()
@FUZZING
def test_operation_keeps_the_contract(case: Case[Any]) -> None:
    case.call_and_validate(base_url=BASE_URL, headers=bearer(TOKEN))
