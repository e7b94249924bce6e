"""What the suites share: the contract as Schemathesis reads it, and how it is tuned."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from payex_billing_mock import MockApp, Store, create_app
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from .api import (
    Api,
    InProcess,
    charges_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscriptions_path,
)
from .bodies import BODIES
from .exchange import CONTRACT, DOCUMENT
from .faults import plant
from .schemas import takes_parameter

ROOT = Path(__file__).parent.parent
BASE_PATH = CONTRACT.base_path
LEDGER, TOKEN = "1234", "contract-token"

# Every stock check is on. One is told of a status, none is switched off:
# - a charge that ends before it starts is valid by every schema, because no schema can compare two properties; 422 is
#   the contract's answer to it, so valid data may be answered with it.
CHECKS = {"positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422"]}}

_FRAMING = {
    "connection", "content-encoding", "content-length", "expect", "host", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
# `make contract` sets CONTRACT_PARTS, and looks longer than `make test` does.
LONG = bool(os.environ.get("CONTRACT_PARTS"))
# Safety checks of Hypothesis that tell of slow generation, not of the API.
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
# The tests of `make contract` itself ask for fewer examples.
FUZZING = settings(
    max_examples=int(os.environ.get("CONTRACT_EXAMPLES", "40")), deadline=None, suppress_health_check=QUIET
)
# Over a socket it is the transport that is tried; what the API makes of data was tried in process.
FUZZING_OVER_A_SOCKET = settings(FUZZING, max_examples=12 if LONG else 4)
# Reuse is off: what failed once is kept by its seed, and a run must not depend on the one before it.
STATEFUL = settings(
    max_examples=40 if LONG else 20,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.generate],
)
MODEL = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.generate, Phase.shrink],
    database=None,
)
# The fault that the mock of this run has, by its name; see `--planted` in conftest.py.
PLANTED: str | None = None


def make_app(*, seeded: bool = False) -> MockApp:
    """The mock, with the planted fault of this run if there is one, and on request with what the examples name."""
    store = Store()
    app = create_app({LEDGER: TOKEN}, store=store) if PLANTED is None else plant(PLANTED, {LEDGER: TOKEN})
    if seeded:
        seed(app)
    return app


def document_of(ledger: str) -> dict[str, Any]:
    """A copy of the contract with its ledger fixed.

    Without that nearly every generated request would name a ledger that is not the token's, and end at 401.
    """
    document = copy.deepcopy(DOCUMENT)
    nodes = list(document["components"].get("parameters", {}).values())
    for item in document["paths"].values():
        nodes += item.get("parameters", [])
    for node in nodes:
        if node.get("name") == CONTRACT.ledger_parameter:
            node["schema"] = {**CONTRACT.resolve(node["schema"]), "enum": [ledger]}
    return document  # type: ignore[no-any-return]


def load_schema(ledger: str, **options: Any) -> BaseSchema:
    """The contract as Schemathesis reads it, with its ledger fixed."""
    config = SchemathesisConfig.from_dict({"checks": CHECKS, **options})
    schema = schemathesis.openapi.from_dict(document_of(ledger), config=config)
    schema.hook(filter_case)
    return schema


def filter_case(_context: Any, case: Case[Any]) -> bool:
    """Leave out cases that the generator calls valid but has garbled.

    The published pattern of a customer number allows `%`. Where two hexadecimal digits follow it, the generator takes
    the three for an encoded byte, so that `%0A` becomes a line break, which the pattern forbids.

    And it makes up headers, among them ones that say where a message ends. What a server's HTTP layer answers to
    `Content-Length: N(!Z` is not the API's word.
    """
    if _FRAMING & {name.lower() for name in case.headers or ()}:
        return False
    number = (case.path_parameters or {}).get(CONTRACT.place("customer").parameter)
    called_valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    return not called_valid or number is None or takes_parameter("customer", unquote(str(number)))


def bearer(token: str) -> dict[str, str]:
    """The credentials as headers."""
    return {"Authorization": f"Bearer {token}"}


def seed(app: MockApp) -> None:
    """Put in what the contract's examples name, so that they are found. A planted fault may refuse it."""
    api = Api(InProcess(app), BASE_PATH, LEDGER, TOKEN)
    customer, subscription = (_example(kind) for kind in ("customer", "subscription"))
    random_id, app.store.new_id = app.store.new_id, lambda: _example("charge")
    for route, body in (
        (customers_path(), new_customer(customer)),
        (subscriptions_path(customer), new_subscription(subscription)),
        (charges_path(customer), BODIES.full("charge")),
        (charges_path(customer, subscription), new_charge(unit_price=-100, end_date="2026-03-31")),
    ):
        api.post(*route, body=body, judged=False)
    app.store.new_id = random_id


def _example(kind: str) -> Any:
    return CONTRACT.parameter_node(CONTRACT.place(kind).parameter)["example"]
