"""Test chains of operations along the links, in process and over a socket: create → read → update → delete."""

from __future__ import annotations

from typing import Any

import hypothesis
import requests
from payex_billing_mock import MockApp, MockServer
from schemathesis import Case

from contract_tests import checks  # noqa: F401 - they register themselves
from contract_tests.exchange import CONTRACT
from contract_tests.mocks import make_app
from contract_tests.support import BASE_PATH, LEDGER, STATEFUL, TOKEN, bearer, load_schema


def _ids(*roles: tuple[str, str]) -> set[str]:
    """Return the ids of the operations that have these roles."""
    found = [CONTRACT.operation(*each) for each in roles]
    return {each.operation_id for each in found if each is not None}


# A chain must be as deep as customer → charge → change or removal. The test of the links covers every other operation.
FOUND = _ids(("create", "customer"), ("read", "customer"), ("create", "subscription"), ("create", "charge"))
TRIES = 20  # about 1 of 5 runs of the state machine finds no deeper chain
DEEPER = _ids(("update", "charge"), ("delete", "charge"), ("read", "charge"))


def test_the_links_lead_from_the_first_creation_to_every_operation() -> None:
    leads_to: dict[str, set[str]] = {}
    for operation in CONTRACT.operations.values():
        links = [link for response in operation.responses.values() for link in response.get("links", {}).values()]
        leads_to[operation.operation_id] = {str(CONTRACT.resolve(link)["operationId"]) for link in links}
    (first,) = _ids(("create", "customer"))
    reached, ahead = {first}, [first]
    while ahead:
        new = leads_to[ahead.pop()] - reached
        reached |= new
        ahead += new
    assert reached == set(leads_to)


def run_state_machine(schema: Any, app: MockApp, **call: Any) -> set[str]:
    """Run the machine to its end, and return the operations that succeeded."""
    reached: set[str] = set()

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            super().setup()
            # Each chain starts with an empty store, because data of an earlier chain would change the responses.
            app.store = type(app.store)()

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"headers": bearer(TOKEN), **call}

        def after_call(self, response: Any, case: Case[Any]) -> None:
            if response.status_code < 300:
                reached.add(case.operation.definition.raw["operationId"])

    for attempt in range(TRIES):
        # Without its own seed, each run would repeat the first one, because --hypothesis-seed sets one seed for all.
        hypothesis.seed(attempt)(Machine).run(settings=STATEFUL)
        if reached & DEEPER:
            break
    return reached


def test_chains_keep_the_contract_in_process() -> None:
    schema = load_schema(LEDGER)
    schema.app = make_app()

    reached = run_state_machine(schema, schema.app, base_url=f"http://testserver{BASE_PATH}")

    assert reached >= FOUND
    assert reached & DEEPER


def test_chains_keep_the_contract_over_a_socket(session: requests.Session) -> None:
    with MockServer({LEDGER: TOKEN}) as server:
        url = server.url + BASE_PATH
        reached = run_state_machine(load_schema(LEDGER), server.app, base_url=url, session=session)

    assert reached >= FOUND
    assert reached & DEEPER
