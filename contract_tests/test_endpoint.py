"""Test a real endpoint with `make contract TARGET=https://…`. Without `--allow-writes`, send only safe methods."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests
from hypothesis import settings
from schemathesis import Case
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import response_schema_conformance

from . import checks
from .api import LONGEST_WAIT, Api, NotTried
from .clean_up import Result, clean_up, still_there
from .exchange import Broken
from .model import run_model
from .probes import PROBES, Probe
from .support import FUZZING, MODEL, bearer, load_schema
from .target import Target

TARGET = Target.from_environment()
# The coverage phase also tries methods that an operation does not have. On a real endpoint a DELETE is never tried.
NO_OTHER_METHODS: dict[str, Any] = {"phases": {"coverage": {"unexpected-methods": []}}}

schema = load_schema(TARGET.ledger or "1234", **NO_OTHER_METHODS).include(method="GET")


@pytest.fixture(scope="session")
def api(capsys_off: Any) -> Iterator[Api]:
    """Return the endpoint. After the run, also after a failure, remove what the run created."""
    api = TARGET.open(os.environ)
    yield api
    result = clean_up(api) if TARGET.prefix else Result()
    api.transport.close()
    with capsys_off():
        if TARGET.prefix:
            print("\nWhat this run made has been removed" + (", but for:" if result.left else "."))
        for path, reason in result.left.items():
            print(f"  {path}: {reason}")
        if result.customers:
            print(f"{len(result.customers)} customers stay, because the API removes no customers:")
            print(f"  {' '.join(result.customers)}")
    if result.left:
        pytest.fail(still_there(api, result.left), pytrace=False)


@pytest.fixture(scope="session")
def capsys_off(request: pytest.FixtureRequest) -> Any:
    """Return a function that writes a line to the terminal while pytest captures output."""
    return request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled


class SafeSession(requests.Session):
    """Sends only GET requests, waits for the rate limit, and refuses every other method."""

    guard: Any = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        assert request.method == "GET", f"a {request.method} was about to be sent to a real endpoint"
        self.guard.before("GET", "", b"")
        return super().send(request, **options)


@pytest.fixture(scope="module")
def session(api: Api) -> Iterator[requests.Session]:
    with SafeSession() as session:
        session.guard = api.guard
        yield session


@schema.parametrize()
@FUZZING
def test_read_keeps_the_contract(case: Case[Any], api: Api, session: requests.Session) -> None:
    certificate, key = os.environ.get("PAYEX_CLIENT_CERT"), os.environ.get("PAYEX_CLIENT_KEY")
    send = partial(
        case.call,
        base_url=TARGET.base_url,
        headers=bearer(os.environ["PAYEX_TOKEN"]),
        session=session,
        cert=(certificate, key) if certificate and key else certificate,
        verify=os.environ.get("PAYEX_CA_FILE") or True,
    )
    response = send()
    exchange = checks.exchange_of(response)
    if exchange.status == 429 and exchange.wait is not None and exchange.wait <= LONGEST_WAIT:
        time.sleep(exchange.wait)
        response = send()
        exchange = checks.exchange_of(response)
    try:
        # The checks of Schemathesis do not know two rules of the contract: a response of an ingress may have no body
        # (x-rules, ingress), and the keys of a problem may be in any case (x-rules, problem-keys). `judge` knows both.
        if not exchange.is_from_ingress:
            case.validate_response(response, excluded_checks=[response_schema_conformance])
    except FailureGroup as group:
        first: Any = group.exceptions[0]
        rule = re.search(r"`(\w+)`", first.title)
        name = rule[1] if rule else first.title
        raise Broken(name, first.message or first.title, exchange) from group
    api.judge(exchange)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe(api: Api, probe: Probe) -> None:
    try:
        probe(api, may_write=bool(TARGET.prefix))
    except NotTried as reason:
        pytest.skip(str(reason))


def test_reads_are_as_the_model_has_it(api: Api, request: pytest.FixtureRequest) -> None:
    if not TARGET.prefix:
        pytest.skip("it writes, and nothing may be written here")
    seed = int(request.config.getoption("hypothesis_seed", None) or 0)
    run_model(api, seed, settings(MODEL, max_examples=2, stateful_step_count=15))
