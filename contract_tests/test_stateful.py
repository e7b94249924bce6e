"""Chains of operations along the contract's links: create → read → update → delete, in process and over a socket."""

from __future__ import annotations

from typing import Any

import requests
from payex_billing_mock import MockApp, MockServer, load_contract
from schemathesis import Case

from contract_tests import checks  # noqa: F401 - they register themselves
from contract_tests.support import BASE_PATH, LEDGER, STATEFUL, TOKEN, bearer, load_schema, make_app

DOCUMENT: Any = load_contract().document
# A chain as deep as customer → charge → change or removal; that every other can be found too is a promise of the links.
FOUND = {"create_customer", "get_customer", "create_subscription", "create_customer_recurring_product"}
TRIES = 5  # a single run of the machine finds no deeper chain in one of five tries
DEEPER = {"update_customer_recurring_product", "delete_customer_recurring_product", "get_customer_recurring_product"}


def test_the_links_lead_from_the_first_creation_to_every_operation() -> None:
    leads_to: dict[str, set[str]] = {}
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                names = {response["$ref"].rpartition("/")[2] for response in operation["responses"].values()}
                links = [
                    link["$ref"].rpartition("/")[2]
                    for name in names
                    for link in DOCUMENT["components"]["responses"][name].get("links", {}).values()
                ]
                targets = {DOCUMENT["components"]["links"][link]["operationId"] for link in links}
                leads_to[operation["operationId"]] = targets
    reached, ahead = {"create_customer"}, ["create_customer"]
    while ahead:
        new = leads_to[ahead.pop()] - reached
        reached |= new
        ahead += new
    assert reached == set(leads_to)


def run_state_machine(schema: Any, app: MockApp, **call: Any) -> set[str]:
    """Run the machine to its end; returns the operations that were reached with a success."""
    reached: set[str] = set()

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            super().setup()
            # Each chain starts from nothing: what an earlier one left would answer the same request differently.
            app.store = type(app.store)()

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"headers": bearer(TOKEN), **call}

        def after_call(self, response: Any, case: Case) -> None:
            if response.status_code < 300:
                reached.add(case.operation.definition.raw["operationId"])

    for _ in range(TRIES):
        Machine.run(settings=STATEFUL)
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
