"""What every test has: a clean environment, and on request a mock on a real socket with clients of both kinds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import settings
from payex_billing import Billing
from payex_billing_mock import MockServer, Store
from payex_billing_mock.app import Request

from tests.console import open_console
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, TOKEN, open_client

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

# A busy machine is no failure of a property.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
_OUTSIDE = ("PAYEX_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting, proxy, trust store or state directory of the machine reaches a test."""
    for name in os.environ:
        if name.upper().startswith(_OUTSIDE):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))


# The suite of the wrapper: what it promises, every engine keeps.
ON_EVERY_ENGINE = {
    "test_client", "test_credentials", "test_dry_run", "test_ensure", "test_lifetime", "test_links", "test_never_twice",
    "test_problems", "test_look_up", "test_reconcile_run", "test_telemetry", "test_transports", "test_values",
}  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in ON_EVERY_ENGINE:
        metafunc.parametrize("engine", ["httpx", "reqwest"], indirect=True)


# Files of tests that take many seconds, longest first.
LONG = (
    "test_clean_up", "test_shared_campaigns", "test_transport_bombs", "test_guarded_writes", "test_contract_command",
    "test_site", "test_undo_campaigns", "test_schedules", "test_apply_campaigns", "test_stateful", "test_never_twice",
    "test_apply_killed", "test_api_links",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first in the part of each worker of pytest-xdist, so that no worker ends with a long test.

    `--dist worksteal` cuts the list into one part for each worker; a worker without work takes tests from another part.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    long = sorted((item for item in items if item.path.stem in LONG), key=lambda item: LONG.index(item.path.stem))
    rest = iter([item for item in items if item.path.stem not in LONG])
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        share = (len(items) - len(ordered)) // (workers - worker)
        own = long[worker::workers]
        ordered += [*own, *islice(rest, max(0, share - len(own)))]
    items[:] = [*ordered, *rest]


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> str | None:
    """The engine that clients of this test use; None where the test is not about it."""
    chosen: str | None = getattr(request, "param", None)
    if chosen is not None:
        monkeypatch.setenv("PAYEX_ENGINE", chosen)
    return chosen


@pytest.fixture(scope="session")
def running_mock() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN, OTHER_LEDGER: OTHER_TOKEN}) as server:
        yield server


@pytest.fixture
def mock(running_mock: MockServer) -> MockServer:
    """A mock that holds nothing yet."""
    running_mock.app.store = Store()
    return running_mock


@pytest.fixture
def console() -> Iterator[MockServer]:
    """A mock with its console."""
    with open_console() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def billing(request: pytest.FixtureRequest, mock: MockServer) -> Iterator[Billing]:
    """A client of the mock; every test with it runs on both facades."""
    with open_client(request.param, token=TOKEN, owner_no=LEDGER, base_url=mock.url) as client:
        yield client


@pytest.fixture
def asked(mock: MockServer, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Every request that the mock is sent."""
    requests: list[Request] = []
    monkeypatch.setattr(mock.app, "observers", [lambda handled: requests.append(handled.request)])
    return requests


# A process has one provider of each kind for good.


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Every OpenTelemetry span that ended."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(scope="session")
def metric_reader() -> InMemoryMetricReader:
    """The OpenTelemetry metrics; what is counted is what was added since they were read last."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

    since_last = AggregationTemporality.DELTA
    reader = InMemoryMetricReader(preferred_temporality={Counter: since_last, Histogram: since_last})
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL server, without the name of a database."""
    from tests.postgres import postgres

    with postgres() as address:
        yield address.rpartition("/")[0]


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """The address of a database of its own, for the journals of one test."""
    import psycopg

    name = f"journal_{uuid4().hex}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_server}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
