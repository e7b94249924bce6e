"""What the suites share: the contract as Schemathesis reads it, and how it is tuned."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from payex_billing_mock import MockApp, Store, create_app, load_contract
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig

from .faults import plant

ROOT = Path(__file__).parent.parent
CONTRACT_FILE = ROOT / "openapi.yaml"
_CUSTOMER_NO = re.compile(load_contract().document["components"]["schemas"]["CustomerNo"]["pattern"])
BASE_PATH = load_contract().base_path
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


def make_app(store: Store | None = None) -> MockApp:
    """The mock, with the planted fault of this run if there is one; then what `store` holds is put into its store."""
    if PLANTED is None:
        return create_app({LEDGER: TOKEN}, store=store)
    app = plant(PLANTED, {LEDGER: TOKEN})
    if store is not None:
        app.store.adopt(store.ledger(LEDGER))
    return app


def load_schema(ledger: str, **options: Any) -> Any:
    """The contract with its ledger fixed.

    Without that nearly every generated request would name a ledger that is not the token's, and end at 401.
    """
    document = yaml.safe_load(CONTRACT_FILE.read_text(encoding="utf-8"))
    document["components"]["schemas"]["OwnerNo"]["enum"] = [ledger]
    config = SchemathesisConfig.from_dict({"checks": CHECKS, **options})
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.hook(filter_case)
    return schema


def filter_case(_context: Any, case: Case) -> bool:
    """Leave out cases that the generator calls valid but has garbled.

    The published pattern of a customer number allows `%`. Where two hexadecimal digits follow it, the generator takes
    the three for an encoded byte, so that `%0A` becomes a line break, which the pattern forbids.

    And it makes up headers, among them ones that say where a message ends. What a server's HTTP layer answers to
    `Content-Length: N(!Z` is not the API's word.
    """
    if _FRAMING & {name.lower() for name in case.headers or ()}:
        return False
    number = unquote(str((case.path_parameters or {}).get("customerNo", "")))
    called_valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    return not called_valid or _CUSTOMER_NO.fullmatch(number) is not None


def bearer(token: str) -> dict[str, str]:
    """The credentials as headers."""
    return {"Authorization": f"Bearer {token}"}


def seeded_store(ledger: str = LEDGER) -> Store:
    """A store that holds what the contract's examples name, so that they are found."""
    components = load_contract().document["components"]
    examples = components["examples"]
    store = Store()
    random_id, store.new_id = store.new_id, lambda _: components["parameters"]["RecurringProductId"]["example"]
    customer = str(store.create_customer(ledger, examples["NewCustomer"]["value"]).id)
    subscription = str(store.create_subscription(ledger, customer, examples["NewSubscription"]["value"]).id)
    store.create_charge(ledger, customer, "", examples["NewDeviationProduct"]["value"])
    store.create_charge(ledger, customer, subscription, examples["NewCredit"]["value"])
    store.new_id = random_id
    return store
