"""Load the contract into Schemathesis, and configure Schemathesis and Hypothesis, for all test modules."""

from __future__ import annotations

import base64
import copy
import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from .exchange import CONTRACT, DOCUMENT
from .schemas import takes_parameter, with_steps

ROOT = Path(__file__).parent.parent
BASE_PATH = CONTRACT.base_path


def token_of(ledger: str) -> str:
    """Return the token of a ledger of the mock.

    Hypothesis tries the string constants of this code as texts. A token among them would be held by a charge, and be
    taken for a leak when the charge is read.
    """
    return f"T{base64.urlsafe_b64encode(hashlib.sha256(ledger.encode()).digest())[:18].decode()}k"


LEDGER = "1234"
TOKEN = token_of(LEDGER)

# Every stock check is on. One check allows the statuses of what the contract refuses although the schema allows it: a
# resource that does not exist, a number that is taken, and a charge that ends before it starts (a schema cannot compare
# two properties).
BUSINESS = sorted(
    {
        *(CONTRACT.problem_types[code].status for code in CONTRACT.not_found.values()),
        *(status for status, _ in CONTRACT.duplicates.values()),
        CONTRACT.problem_types["unprocessable"].status,
    }
)
CHECKS = {"positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", *map(str, BUSINESS)]}}

_FRAMING = {
    "connection", "content-encoding", "content-length", "expect", "host", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
# `make contract` sets CONTRACT_PARTS, and tries more examples than `make test`.
LONG = bool(os.environ.get("CONTRACT_PARTS"))
# These health checks of Hypothesis report slow data generation, not faults of the API.
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
# The tests of `make contract` itself set a lower number of examples.
FUZZING = settings(
    max_examples=int(os.environ.get("CONTRACT_EXAMPLES", "40")), deadline=None, suppress_health_check=QUIET
)
# The tests over a socket test the transport. The tests in process already test how the API handles data.
FUZZING_OVER_A_SOCKET = settings(FUZZING, max_examples=12 if LONG else 4)
# Reuse of failed examples is off, because a run must not depend on an earlier run. The seed reproduces a failure.
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
# The name of the fault that is planted in the mock of this run; see `--planted` in conftest.py.
PLANTED: str | None = None


def document_of(ledger: str) -> dict[str, Any]:
    """Return a copy of the contract for Schemathesis: a fixed ledger number, and `multipleOf` for each `x-decimals`.

    With random ledger numbers, nearly every generated request would get a 401, because the token is for another ledger.
    Schemathesis does not know `x-decimals`, and would generate prices with too many decimals.
    """
    document = copy.deepcopy(DOCUMENT)
    nodes = list(document["components"].get("parameters", {}).values())
    for item in document["paths"].values():
        nodes += item.get("parameters", [])
    for node in nodes:
        if node.get("name") == CONTRACT.ledger_parameter:
            node["schema"] = {**CONTRACT.resolve(node["schema"]), "enum": [ledger]}
    document["components"]["schemas"] = with_steps(document["components"]["schemas"])
    return document  # type: ignore[no-any-return]


def load_schema(ledger: str, **options: Any) -> BaseSchema:
    """Load the contract into Schemathesis, with a fixed ledger number."""
    config = SchemathesisConfig.from_dict({"checks": CHECKS, **options})
    schema = schemathesis.openapi.from_dict(document_of(ledger), config=config)
    schema.hook(filter_case)
    return schema


def filter_case(_context: Any, case: Case[Any]) -> bool:
    """Skip cases that the generator marks as valid although they are not.

    The published pattern of a customer number allows `%`. If two hexadecimal digits follow the `%`, the generator
    decodes the three characters as one byte. `%0A` then becomes a line break, which the pattern forbids.

    The generator also invents headers, including headers that define where a message ends. The HTTP layer of a server
    responds to `Content-Length: N(!Z` before the API reads the request, so such a response says nothing about the API.
    """
    if _FRAMING & {name.lower() for name in case.headers or ()}:
        return False
    number = (case.path_parameters or {}).get(CONTRACT.place("customer").parameter)
    called_valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    return not called_valid or number is None or takes_parameter("customer", unquote(str(number)))


def bearer(token: str) -> dict[str, str]:
    """Return the credentials as headers."""
    return {"Authorization": f"Bearer {token}"}
