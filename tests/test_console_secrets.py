"""The console of the mock shows no token and no other secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from payex_billing import Billing, Charge
from payex_billing_mock import MockServer

from tests.console import FOREIGN, get, press, state, whole_request
from tests.support import LEDGER, OTHER_TOKEN, TOKEN, send
from tests.wire import customers_path, new_customer


@pytest.fixture
def billing(console: MockServer) -> Iterator[Billing]:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=console.url) as client:
        yield client


SECRETS = {
    "in the path": {"path": f"/1234/customers/{TOKEN}"},
    "in the path, encoded": {"path": f"/1234/customers/{TOKEN.replace('-', '%2d').replace('o', '%6F')}"},
    "in the query": {"path": f"/1234/customers/1?x={TOKEN}"},
    "as a parameter": {"path": f"/1234/customers/1?access_token={FOREIGN}"},
    "as another scheme": {"headers": {"Authorization": f"Basic {FOREIGN}"}},
    "without a scheme": {"headers": {"Authorization": FOREIGN}},
    "in a cookie": {"headers": {"Cookie": f"session={FOREIGN}"}},
    "in a header of a gateway": {"headers": {"X-Api-Key": FOREIGN}},
    "in any header": {"headers": {"X-Trace": f"Bearer {FOREIGN}"}},
    "as a name of JSON": {"body": {TOKEN: 1}},
    "as a property": {"body": {"a": [{"client_secret": FOREIGN}]}},
    "in broken JSON": {"body": b'{"customerNo": "' + TOKEN.encode()},
    "as a property of broken JSON": {"body": b'{"token": "' + FOREIGN.encode()},
    "as a form": {"body": b"grant=x&token=" + FOREIGN.encode()},
    "of another ledger": {"body": {"customerNo": OTHER_TOKEN}},
    "in the body and the header": {"body": {"x": FOREIGN}, "headers": {"Authorization": f"Bearer {FOREIGN}"}},
    "in upper case": {"body": {"x": TOKEN.upper()}},
}


@pytest.mark.parametrize("request_", SECRETS.values(), ids=SECRETS)
def test_an_opened_request_shows_no_secret(console: MockServer, request_: dict[str, Any]) -> None:
    sent = {"path": customers_path(), "body": {}} | request_
    send(console.url, "POST", sent["path"], sent["body"], headers=sent.get("headers"))
    shown = json.dumps([whole_request(console), state(console)]).lower()
    assert json.dumps("•••").strip('"') in shown
    for secret in (TOKEN, OTHER_TOKEN, FOREIGN):
        assert secret.lower() not in shown
        assert secret.lower().replace("-", "%2d") not in shown


def test_what_is_no_secret_is_shown(console: MockServer) -> None:
    headers = {"Idempotency-Key": "k-1", "X-Request-Id": "r-1"}
    send(console.url, "POST", customers_path(), new_customer("1"), headers=headers)
    values = {each["name"]: each["value"] for each in whole_request(console)["headers"]}
    assert (values["idempotency-key"], values["x-request-id"]) == ("k-1", "r-1")
    assert values["authorization"] == "Bearer •••"


def test_no_token_is_shown(console: MockServer, billing: Billing) -> None:
    billing.customer("1").create()
    billing.customer("1").recurring_products.create(Charge(product_code="P", quantity=1, text=TOKEN))
    paths = ["/", "/console/state", "/console/customers", "/console/customer?no=1", "/console/request?number=2"]
    for path in (*paths, "/console/openapi.json", "/console/contract"):
        response = get(console, path)
        assert response.status == 200
        assert TOKEN.encode() not in response.body
    assert TOKEN.encode() not in press(console, "sample").body


def test_the_variables_to_copy_are_quoted_for_a_shell() -> None:
    with MockServer({LEDGER: "it's; rm -rf $HOME"}, console=True) as server:
        copied = press(server, "exports", {"ledger": 0}).json
        assert copied == {"ownerNo": "1234", "token": "'it'\"'\"'s; rm -rf $HOME'"}
        assert get(server, "/console/do/exports").status == 404
