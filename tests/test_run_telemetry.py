"""The OpenTelemetry metrics and spans of a run."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from payex_billing import AsyncBilling, reconcile
from payex_billing.reconcile import GuardStopped, Report, Shard, _telemetry
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer

from tests.support import LEDGER, TOKEN

HEADER = "customer_no,product_code,quantity,unit_price\n"
PERSON, OTHER = "191212121212", "191313131313"
ROWS = f"{PERSON},P01,1,10.00\n{PERSON},P02,2,5.50\n{OTHER},P01,1,0.25\n"


class Watched:
    """A mock, a table, and what a run of it reports."""

    def __init__(
        self, mock: MockServer, folder: Path, exporter: InMemorySpanExporter, reader: InMemoryMetricReader
    ) -> None:
        self.mock = mock
        self.folder = folder
        self.journal = folder / "journal"
        self._exporter = exporter
        self._reader = reader

    def apply(self, rows: str = ROWS, *, tracing: bool = True, header: str = HEADER, **options: Any) -> Report:
        source = self.folder / "charges.csv"
        source.write_text(header + rows, encoding="utf-8")
        options = {"journal": self.journal, "first_run": True, "concurrency": 1} | options

        async def main() -> Report:
            async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=self.mock.url, tracing=tracing) as billing:
                with reconcile.read(source) as table:
                    return await reconcile.apply(billing, table, **options)

        self._exporter.clear()
        return asyncio.run(main())

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def metrics(self) -> dict[str, list[Any]]:
        """The data points of each metric."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data is not None else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if scope.scope.name == "payex_billing"
        }

    def values(self, name: str, by: str) -> dict[str, float]:
        """The values of a metric by an attribute, without those of zero."""
        return {str(point.attributes[by]): point.value for point in self.metrics().get(name, []) if point.value}

    def end_last_run_at(self, seconds: float) -> None:
        with sqlite3.connect(self.journal) as database:
            database.execute("UPDATE run SET seen = ?", (seconds,))
        database.close()


@pytest.fixture
def watched(
    mock: MockServer, tmp_path: Path, exporter: InMemorySpanExporter, metric_reader: InMemoryMetricReader,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Watched]:  # fmt: skip
    monkeypatch.setattr(_telemetry, "_last_good", {})
    found = Watched(mock, tmp_path, exporter, metric_reader)
    found.metrics()  # of earlier tests
    yield found
    exporter.clear()


def under(span: ReadableSpan, spans: tuple[ReadableSpan, ...]) -> list[ReadableSpan]:
    """The spans whose parent is this one."""
    assert span.context is not None
    return [each for each in spans if each.parent is not None and each.parent.span_id == span.context.span_id]


# spans


def test_a_run_is_one_span_with_its_customers_and_their_calls_under_it(watched: Watched) -> None:
    watched.apply()
    spans = watched.spans()
    (run,) = [span for span in spans if span.parent is None]
    assert run.name == "apply"
    customers = under(run, spans)
    assert [span.name for span in customers] == ["plan customer"] * 2 + ["write customer"] * 2
    assert [dict(span.attributes or {})["payex_billing.line"] for span in customers] == [2, 4, 2, 4]
    calls = [call for customer in customers for call in under(customer, spans)]
    assert len(calls) == len(spans) - 5
    assert {call.name.split(" ")[0] for call in calls} == {"GET", "POST"}


def test_the_span_of_a_run_has_its_numbers(watched: Watched) -> None:
    report = watched.apply(ROWS + f"{OTHER},P02,0,1\n")
    (run,) = [span for span in watched.spans() if span.parent is None]
    assert dict(run.attributes or {}) == {
        "payex_billing.ledger": LEDGER,
        "payex_billing.shard": "",
        "payex_billing.outcome": "rows_failed",
        "payex_billing.run": report.run,
        "payex_billing.unchanged": 0,
        "payex_billing.applied": 3,
        "payex_billing.rejected": 1,
        "payex_billing.failed": 0,
    }
    assert run.status.is_unset


def test_a_run_that_a_guard_stops_is_a_span_with_an_error(watched: Watched) -> None:
    watched.apply()
    with pytest.raises(GuardStopped):
        watched.apply(ROWS.replace("10.00", "10000.00").replace("5.50", "5500.00"), first_run=False)
    (run,) = [span for span in watched.spans() if span.parent is None]
    assert dict(run.attributes or {})["payex_billing.outcome"] == "guard_stopped"
    assert dict(run.attributes or {})["error.type"] == "GuardStopped"
    assert run.status.status_code is StatusCode.ERROR
    assert run.events == ()


def test_no_span_and_no_metric_names_a_customer(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Answer(422, {"Content-Length": "0"}, b"")
    monkeypatch.setattr(
        watched.mock.app,
        "interceptor",
        lambda request, respond: refused if request.method == "POST" else respond(request),
    )
    watched.apply()
    shown = "".join(span.to_json() for span in watched.spans()) + repr(watched.metrics())
    assert "payex_billing.run.rows" in shown
    assert PERSON not in shown
    assert OTHER not in shown
    assert TOKEN not in shown


def test_a_client_that_does_not_trace_reports_nothing(watched: Watched) -> None:
    watched.apply(tracing=False)
    assert watched.spans() == ()
    assert watched.values("payex_billing.run.writes", "payex_billing.kind") == {}


def test_a_run_without_tracing_imports_nothing_of_opentelemetry(mock: MockServer, tmp_path: Path) -> None:
    (tmp_path / "charges.csv").write_text(HEADER + ROWS, encoding="utf-8")
    code = (
        "import sys; sys.argv = ['payex-billing', 'apply', 'charges.csv']; from payex_billing.cli import main; "
        "assert main() == 0; assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    variables = {**os.environ, "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, check=True, timeout=60)


# metrics


def test_rows_are_measured_by_outcome(watched: Watched) -> None:
    watched.apply()
    watched.apply(ROWS.replace("0.25", "0.50") + f"{OTHER},P02,0,1\n")
    rows = watched.values("payex_billing.run.rows", "payex_billing.outcome")
    assert rows == {"unchanged": 2, "applied": 1, "rejected": 1}


def test_writes_are_counted_by_kind(watched: Watched) -> None:
    watched.apply()
    writes = watched.values("payex_billing.run.writes", "payex_billing.kind")
    assert writes == {"create customer": 2, "create": 3}


def test_a_run_that_is_continued_counts_only_its_own_writes(watched: Watched) -> None:
    stop = asyncio.Event()
    watched.apply(stop=stop, on_progress=lambda phase, *_: stop.set() if phase == "writing" else None)
    first = watched.values("payex_billing.run.writes", "payex_billing.kind")
    watched.apply()
    second = watched.values("payex_billing.run.writes", "payex_billing.kind")
    assert (first, second) == ({"create customer": 1, "create": 2}, {"create customer": 1, "create": 1})


def test_requests_and_retries_are_counted(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def once_busy(request: Any, respond: Any) -> Any:
        seen.append(request.method)
        return Answer(503, {"Content-Length": "0", "Retry-After": "0"}, b"") if len(seen) == 2 else respond(request)

    monkeypatch.setattr(watched.mock.app, "interceptor", once_busy)
    watched.apply()
    found = watched.metrics()
    assert [point.value for point in found["payex_billing.run.requests"]] == [len(seen)]
    assert [point.value for point in found["payex_billing.run.retries"]] == [1]
    (duration,) = found["payex_billing.run.duration"]
    assert [point.value for point in found["payex_billing.run.rate"]] == [pytest.approx(len(seen) / duration.sum)]


def test_the_requests_of_a_run_are_its_own(watched: Watched) -> None:
    """A client may make other calls before and after a run."""

    async def main() -> None:
        (watched.folder / "charges.csv").write_text(HEADER, encoding="utf-8")
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=watched.mock.url, tracing=True) as billing:
            await billing.customer("1").ensure()
            with reconcile.read(watched.folder / "charges.csv") as table:
                await reconcile.apply(billing, table, journal=watched.journal)
            await billing.customer("1").get()

    asyncio.run(main())
    assert [point.value for point in watched.metrics()["payex_billing.run.requests"]] == [0]


def test_the_money_a_month_is_measured_before_and_after(watched: Watched) -> None:
    watched.apply()
    watched.metrics()
    watched.apply(ROWS.replace("10.00", "12.00"))
    found = watched.metrics()
    assert [point.value for point in found["payex_billing.money.before"]] == [21.25]
    assert [point.value for point in found["payex_billing.money.after"]] == [23.25]


def test_the_duration_is_measured_by_outcome(watched: Watched) -> None:
    with pytest.raises(reconcile.JournalError):
        watched.apply(journal=watched.folder)
    (point,) = watched.metrics()["payex_billing.run.duration"]
    assert (point.count, point.attributes["payex_billing.outcome"]) == (1, "failed")
    assert point.attributes["payex_billing.command"] == "apply"


def test_every_metric_has_a_unit(watched: Watched) -> None:
    watched.apply()
    data = watched._reader.get_metrics_data()
    assert data is not None
    units = {
        metric.name: metric.unit
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert units == {
        "payex_billing.run.duration": "s",
        "payex_billing.run.requests": "{request}",
        "payex_billing.run.retries": "{request}",
        "payex_billing.run.writes": "{write}",
        "payex_billing.run.rate": "{request}/s",
        "payex_billing.run.rows": "{row}",
        "payex_billing.money.before": "{currency_unit}/mo",
        "payex_billing.money.after": "{currency_unit}/mo",
        "payex_billing.last_good_run.age": "s",
        "payex_billing.last_good_run.time": "s",
    }


# the last good run


def ages(watched: Watched) -> dict[str, float]:
    return {
        point.attributes["payex_billing.shard"]: point.value
        for point in watched.metrics().get("payex_billing.last_good_run.age", [])
    }


def test_the_age_of_the_last_good_run_is_measured_when_it_is_read(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.apply()
    (time,) = watched.metrics()["payex_billing.last_good_run.time"]
    for later in (60.0, 7200.0):
        monkeypatch.setattr(_telemetry, "now", lambda later=later: time.value + later)
        assert ages(watched) == {"": later}


def test_a_run_that_failed_shows_the_age_of_the_run_before(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.apply(tracing=False)
    watched.end_last_run_at(1_000_000.0)
    monkeypatch.setattr(_telemetry, "now", lambda: 1_090_000.0)
    with pytest.raises(GuardStopped):
        watched.apply(ROWS.replace("10.00", "10000.00").replace("5.50", "5500.00"), first_run=False)
    assert ages(watched) == {"": 90_000.0}


@pytest.mark.parametrize("what", ["retry", "rejects", "interrupted"])
def test_only_a_run_through_a_whole_table_is_a_good_one(
    what: str, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.apply(ROWS + f"{OTHER},P02,0,1\n", tracing=False)
    watched.end_last_run_at(1_000_000.0)
    monkeypatch.setattr(_telemetry, "now", lambda: 1_000_005.0)
    if what == "retry":
        watched.apply(ROWS, retry=1)
    elif what == "rejects":
        watched.apply(f"{OTHER},P02,1,1,quantity\n", header=HEADER.replace("\n", ",payex_reason\n"))
    else:
        stop = asyncio.Event()
        stop.set()
        watched.apply(ROWS, stop=stop)
    assert ages(watched) == {"": 5.0}


def test_each_shard_has_its_own_last_good_run(watched: Watched) -> None:
    for index in (1, 2):
        watched.apply(shard=Shard(index, 2))
    assert ages(watched).keys() == {"1/2", "2/2"}


def test_a_ledger_without_a_good_run_has_no_age(watched: Watched) -> None:
    with pytest.raises(reconcile.JournalError):
        watched.apply(journal=watched.folder)
    assert ages(watched) == {}
