"""OpenTelemetry of a run: metrics, a span for the run, and a span for each customer under it.

Nothing here names a customer: a span has the line of the first row of its customer. Without tracing, nothing of
OpenTelemetry is imported, and the work of a customer is called directly.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs

from .._session.telemetry import Sent, counting
from .._version import __version__
from ..errors import BillingError
from ._history import reading
from ._match import Kind
from ._opening import default_journal
from ._pool import Later
from ._report import Report, RunOutcome
from ._selection import Shard
from ._store import Place

if TYPE_CHECKING:
    from .._async.client import AsyncBilling

T = TypeVar("T")
Work: TypeAlias = Callable[[T], Awaitable[None]]
Labels: TypeAlias = dict[str, str]
_FAILED: Final = frozenset(
    {RunOutcome.STOPPED, RunOutcome.INCOMPLETE, RunOutcome.FAILED, RunOutcome.REFUSED, RunOutcome.GUARD_STOPPED}
)
now = time.time  # named, so that a test can replace it


class RunTelemetry:
    """What a run reports without tracing: nothing."""

    def run(self, outcome_of: Callable[[BaseException], RunOutcome]) -> AbstractContextManager[None]:
        """Report the run that the block carries out."""
        return nullcontext()

    def each(self, name: str, work: Work[T], line: Callable[[T], int | None]) -> Work[T]:
        """Return `work` with a span around it; `line` returns the line of an item."""
        return work

    def starts(self, steps: Callable[[], Mapping[str, int]]) -> None:
        """Note that writing starts; `steps` returns the writes that an interrupted run has already done."""

    def ended(self, report: Report) -> Report:
        """Note how the run ended, and return the report."""
        return report


def telemetry_of(billing: AsyncBilling, command: str, *, shard: Shard | None, journal: Place | None) -> RunTelemetry:
    """Return the telemetry of an `apply`, `retry` or `undo`; that of a client without tracing does nothing."""
    if not billing.settings.tracing:
        return RunTelemetry()
    return _Traced(billing.settings.ledger, billing.settings.owner_no, command, str(shard or ""), journal)


@attrs.define(eq=False)
class _Traced(RunTelemetry):
    """Metrics and spans of one run.

    Args:
        ledger: the address of the ledger.
        owner_no: the number of the ledger.
        command: `apply`, `retry` or `undo`.
        shard: the part of the customers; empty for all.
        journal: the journal, which knows the last good run; None for that of the ledger.
    """

    ledger: str
    owner_no: str
    command: str
    shard: str
    journal: Place | None
    report: Report | None = attrs.field(default=None, init=False)
    already: Mapping[str, int] = attrs.field(factory=dict, init=False)
    sent: Sent = attrs.field(factory=Sent, init=False)

    @contextmanager
    def run(self, outcome_of: Callable[[BaseException], RunOutcome]) -> Iterator[None]:
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        began = time.monotonic()
        token = counting.set(self.sent)
        labels = {"payex_billing.ledger": self.owner_no, "payex_billing.shard": self.shard}
        with _span(self.command, labels) as span:
            outcome = RunOutcome.FAILED
            try:
                yield
                if self.report is not None:
                    outcome = self.report.outcome
            except BaseException as error:
                outcome = outcome_of(error)
                span.set_attribute("error.type", type(error).__name__)
                raise
            finally:
                counting.reset(token)
                span.set_attribute("payex_billing.outcome", outcome.value)
                if outcome in _FAILED:
                    span.set_status(trace.StatusCode.ERROR)
                if self.report is not None:
                    span.set_attribute("payex_billing.run", self.report.run)
                    span.set_attributes({f"payex_billing.{name}": n for name, n in _rows(self.report).items()})
                self._measure(labels, outcome, time.monotonic() - began)

    def each(self, name: str, work: Work[T], line: Callable[[T], int | None]) -> Work[T]:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - an extra

        async def traced(item: T) -> None:
            number = line(item)
            with _span(name, {} if number is None else {"payex_billing.line": number}) as span:
                try:
                    await work(item)
                except Later:
                    span.set_attribute("payex_billing.parked", True)
                    raise
                except BaseException as error:
                    span.set_attribute("error.type", type(error).__name__)
                    span.set_status(StatusCode.ERROR)
                    raise

        return traced

    def starts(self, steps: Callable[[], Mapping[str, int]]) -> None:
        self.already = steps()

    def ended(self, report: Report) -> Report:
        self.report = report
        return report

    def _measure(self, labels: Labels, outcome: RunOutcome, seconds: float) -> None:
        measures = _instruments()
        by_command = labels | {"payex_billing.command": self.command}
        measures["duration"].record(seconds, by_command | {"payex_billing.outcome": outcome.value})
        measures["requests"].add(self.sent.requests, by_command)
        measures["retries"].add(self.sent.retries, by_command)
        measures["rate"].set(self.sent.requests / seconds if seconds else 0.0, by_command)
        if (report := self.report) is not None:
            for name, count in _rows(report).items():
                measures["rows"].set(count, by_command | {"payex_billing.outcome": name})
            for kind in Kind:
                written = report.steps.get(kind.value, 0) - self.already.get(kind.value, 0)
                measures["writes"].add(written, by_command | {"payex_billing.kind": kind.value})
            if report.before is not None and report.after is not None:
                measures["before"].set(float(report.before), by_command)
                measures["after"].set(float(report.after), by_command)
        with suppress(BillingError, OSError):  # no run was good if there is no journal
            with reading(self.journal or default_journal(self.ledger), self.ledger) as history:
                good = history.last_good(self.shard)
            if good is not None:
                _last_good[tuple(labels.items())] = good


def _rows(report: Report) -> dict[str, int]:
    return {
        "unchanged": report.unchanged,
        "applied": report.applied,
        "rejected": len(report.rejected),
        "failed": len(report.failed),
    }


@contextmanager
def _span(name: str, attributes: Mapping[str, Any]) -> Iterator[Any]:
    """A span that takes no message and no traceback of an error: they may name a person."""
    from opentelemetry import trace  # noqa: PLC0415

    tracer = trace.get_tracer("payex_billing", __version__)
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


# When the last good run ended, by ledger and shard. The age is computed when somebody collects it.
_last_good: dict[tuple[tuple[str, str], ...], float] = {}


@cache
def _instruments() -> dict[str, Any]:
    """Make the instruments, once in a process: they also work for a meter provider that is set later."""
    from opentelemetry import metrics  # noqa: PLC0415

    def ages(_: object) -> Iterable[metrics.Observation]:
        return [metrics.Observation(max(0.0, now() - at), dict(labels)) for labels, at in _last_good.items()]

    def times(_: object) -> Iterable[metrics.Observation]:
        return [metrics.Observation(at, dict(labels)) for labels, at in _last_good.items()]

    meter = metrics.get_meter("payex_billing", __version__)
    a_month = "{currency_unit}/mo"  # UCUM: an annotation, and the month
    good = "a good run went through the whole table"
    return {
        "duration": meter.create_histogram("payex_billing.run.duration", "s", "Duration of a run"),
        "requests": meter.create_counter("payex_billing.run.requests", "{request}", "Requests, with the retries"),
        "retries": meter.create_counter("payex_billing.run.retries", "{request}", "Requests that were sent again"),
        "writes": meter.create_counter("payex_billing.run.writes", "{write}", "Writes that took effect, by kind"),
        "rate": meter.create_gauge("payex_billing.run.rate", "{request}/s", "Requests a second of the last run"),
        "rows": meter.create_gauge("payex_billing.run.rows", "{row}", "Rows of the last run, by outcome"),
        "before": meter.create_gauge("payex_billing.money.before", a_month, "Money a month before the last run"),
        "after": meter.create_gauge("payex_billing.money.after", a_month, "Money a month after the last run"),
        "age": meter.create_observable_gauge(
            "payex_billing.last_good_run.age", [ages], "s", f"Time since the last good run ended; {good}"
        ),
        "time": meter.create_observable_gauge(
            "payex_billing.last_good_run.time", [times], "s", f"When the last good run ended, since 1970; {good}"
        ),
    }
