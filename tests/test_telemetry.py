"""What a client tells of its work, and what it never tells."""

from __future__ import annotations

import builtins
import logging
import pickle
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import payex_billing as pb
import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from payex_billing import Billing, Charge
from payex_billing_mock import Faults, MockServer, Store

from tests.support import LEDGER, ROOT, ScriptedServer, http_answer, open_client

SECRET_TOKEN = "tok-5ecret-t0ken"
SECRET_NUMBER = "191212121212"
SECRET_SUBSCRIPTION = "46709998877"
SECRET_TEXT = "Diagnos: hemlig"
SECRETS = (SECRET_TOKEN, SECRET_NUMBER, SECRET_SUBSCRIPTION, SECRET_TEXT)


@pytest.fixture(scope="module")
def faulty() -> Iterator[MockServer]:
    with MockServer({LEDGER: SECRET_TOKEN}, faults=Faults()) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, faulty: MockServer) -> Iterator[Any]:
    faulty.app.store = Store()
    faulty.faults.clear()
    with ExitStack() as stack:

        def make_client(**options: Any) -> Any:
            options = {"token": SECRET_TOKEN, "owner_no": LEDGER, "base_url": faulty.url} | options
            return stack.enter_context(open_client(request.param, **options))

        yield make_client


# logs and hook


def test_an_attempt_is_logged_by_its_template(make: Any, faulty: MockServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "payex_billing")
    faulty.faults.queue("429=0:GET")
    with pytest.raises(pb.CustomerNotFound):
        make().customer(SECRET_NUMBER).get()
    messages = [record.getMessage() for record in caplog.records if record.name == "payex_billing"]
    assert "GET /{ownerNo}/customers/{customerNo} -> 429; retry in 0.000 s" in messages
    assert "GET /{ownerNo}/customers/{customerNo} -> 404" in messages


def test_only_allowed_headers_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "payex_billing")
    answer = http_answer(404, b"", "Set-Cookie: session=5ecret", "X-Customer: 191212121212", "Content-Type: text/plain")
    with ScriptedServer([answer]) as server:
        with Billing(token=SECRET_TOKEN, owner_no=LEDGER, base_url=server.url) as billing:
            with pytest.raises(pb.NotFound):
                billing.customer("1").get()
    own = "\n".join(record.getMessage() for record in caplog.records if record.name == "payex_billing")
    assert "'content-type': 'text/plain'" in own
    assert "2 others" in own
    assert "5ecret" not in own
    assert "191212121212" not in own


def test_nothing_is_logged_above_debug_when_all_goes_well(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "payex_billing")
    make().customer("1").ensure()
    assert [record for record in caplog.records if record.name == "payex_billing"] == []


def test_the_hook_sees_every_attempt(make: Any, faulty: MockServer) -> None:
    seen: list[tuple[str, pb.Attempt]] = []
    faulty.faults.queue("503=0:GET", "reset-before:GET")
    billing = make(on_attempt=lambda operation, attempt: seen.append((operation, attempt)))
    with pytest.raises(pb.CustomerNotFound) as caught:
        billing.customer("nobody").get()
    assert [attempt for _, attempt in seen] == list(caught.value.attempts)
    assert {operation for operation, _ in seen} == {"get_customer"}
    assert [(attempt.phase, attempt.status) for _, attempt in seen] == [
        (pb.Phase.ANSWERED, 503),
        (pb.Phase.ANSWER_LOST, None),
        (pb.Phase.ANSWERED, 404),
    ]


# traces


def test_a_call_is_a_span_with_its_attempts(make: Any, faulty: MockServer, exporter: InMemorySpanExporter) -> None:
    exporter.clear()
    faulty.faults.queue("503=0:GET")
    with pytest.raises(pb.CustomerNotFound):
        make(tracing=True).customer(SECRET_NUMBER).get()
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /{ownerNo}/customers/{customerNo}"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.attributes is not None
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.template": "/{ownerNo}/customers/{customerNo}",
        "server.address": "127.0.0.1",
        "payex_billing.operation": "get_customer",
        "http.response.status_code": 404,
        "error.type": "CustomerNotFound",
        "payex_billing.problem": "customer-not-found",
    }
    assert [(event.attributes or {})["http.response.status_code"] for event in span.events] == ["503", "404"]
    assert span.status.status_code is trace.StatusCode.ERROR
    assert SECRET_NUMBER not in span.to_json()
    assert SECRET_TOKEN not in span.to_json()


def test_a_call_that_succeeds_is_a_span_without_an_error(make: Any, exporter: InMemorySpanExporter) -> None:
    exporter.clear()
    make(tracing=True).customer("7").ensure()
    assert exporter.get_finished_spans()
    assert exporter.get_finished_spans()[-1].status.status_code is trace.StatusCode.UNSET


def test_without_tracing_there_is_no_span(make: Any, exporter: InMemorySpanExporter) -> None:
    exporter.clear()
    make().customer("7").ensure()
    assert exporter.get_finished_spans() == ()


@pytest.fixture
def sent_headers(faulty: MockServer, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """The header fields of every request that the mock got."""
    found: list[Mapping[str, str]] = []
    monkeypatch.setattr(faulty.app, "observers", [lambda handled: found.append(handled.request.headers)])
    return found


def test_each_attempt_of_a_call_names_its_span(
    make: Any, faulty: MockServer, exporter: InMemorySpanExporter, sent_headers: list[Mapping[str, str]]
) -> None:
    exporter.clear()
    faulty.faults.queue("503=0:GET")
    with pytest.raises(pb.CustomerNotFound):
        make(tracing=True).customer("1").get()
    (span,) = exporter.get_finished_spans()
    assert span.context is not None
    assert {headers.get("traceparent") for headers in sent_headers} == {
        f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"
    }
    assert all("tracestate" not in headers for headers in sent_headers)


def test_the_state_of_the_callers_trace_is_passed_on_and_its_baggage_is_not(
    make: Any, exporter: InMemorySpanExporter, sent_headers: list[Mapping[str, str]]
) -> None:
    caller = trace.SpanContext(
        0xABC, 0xDEF, is_remote=True, trace_flags=trace.TraceFlags(1), trace_state=trace.TraceState([("vendor", "a1")])
    )
    context = baggage.set_baggage("person", SECRET_NUMBER, trace.set_span_in_context(trace.NonRecordingSpan(caller)))
    token = attach(context)
    try:
        make(tracing=True).customer("1").ensure()
    finally:
        detach(token)
    assert sent_headers
    for headers in sent_headers:
        assert headers["traceparent"].startswith(f"00-{0xABC:032x}-")
        assert headers["tracestate"] == "vendor=a1"
        assert "baggage" not in headers


@pytest.mark.parametrize("own", ["traceparent", "Tracestate"])
def test_a_trace_header_of_the_caller_wins(make: Any, sent_headers: list[Mapping[str, str]], own: str) -> None:
    make(tracing=True, headers={own: "mine"}).customer("1").ensure()
    assert {headers[own.lower()] for headers in sent_headers} == {"mine"}
    assert all(headers.keys() & {"traceparent", "tracestate"} == {own.lower()} for headers in sent_headers)


def test_without_tracing_no_trace_header_is_sent(
    make: Any, exporter: InMemorySpanExporter, sent_headers: list[Mapping[str, str]]
) -> None:
    with trace.get_tracer("caller").start_as_current_span("work"):
        make().customer("1").ensure()
    assert sent_headers
    assert all("traceparent" not in headers for headers in sent_headers)


def test_tracing_without_opentelemetry_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(pb.ConfigurationError, match=r"payex-billing\[otel\]"):
        Billing(token="t", owner_no="1", tracing=True)


# leaks


def everything_said(error: BaseException) -> str:
    """All that an error shows of itself: message, representation, traceback with its causes, and its pickle."""
    said = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(vars(error))]
    said.append(repr(pickle.dumps(error)))
    return "\n".join(said)


@pytest.mark.parametrize(
    "fault", [None, "lose-answer", "reset-before", "truncate", "401", "429", "503", "500", "500-after", "502", "520"]
)
def test_no_secret_is_in_any_log_representation_or_traceback(
    make: Any, faulty: MockServer, caplog: pytest.LogCaptureFixture, fault: str | None
) -> None:
    caplog.set_level(logging.DEBUG, "payex_billing")
    billing = make().with_options(attempts=2)
    customer = billing.customer(SECRET_NUMBER)
    subscription = customer.subscription(SECRET_SUBSCRIPTION)
    charge = Charge(product_code="P", text=SECRET_TEXT)
    billing.customer(SECRET_NUMBER).ensure()
    actions = [
        customer.get,
        customer.create,
        subscription.get,
        subscription.create,
        subscription.delete,
        lambda: list(customer.subscriptions.list()),
        lambda: customer.recurring_products.create(charge),
        lambda: subscription.recurring_products.create(charge),
        lambda: subscription.recurring_products.update("x", text=SECRET_TEXT),
    ]
    said = [repr(billing), repr(billing.settings)]
    for action in actions:
        if fault is not None:
            faulty.faults.queue(fault, fault)
        try:
            action()
        except pb.BillingError as error:
            # A lost creation holds the caller's own data: it travels in a pickle, and its representation is masked.
            if isinstance(error, pb.OutcomeUnknown):
                said.append(repr(error.lost))
                error.lost = attrs.evolve(error.lost, key=None)
            said.append(everything_said(error))
        faulty.faults.clear()
    said += [record.getMessage() for record in caplog.records if record.name == "payex_billing"]
    found = [secret for secret in SECRETS if secret in "\n".join(said)]
    assert found == []


def test_no_secret_is_in_a_refusal_before_sending(make: Any) -> None:
    billing = make()
    for action in (
        lambda: billing.customer(SECRET_NUMBER * 2),
        lambda: billing.customer("1").subscription(SECRET_SUBSCRIPTION * 5),
        lambda: Charge(product_code="P", text=SECRET_TEXT * 9),
        lambda: billing.follow(pb.Operation(rel="x", method="GET", href=f"//evil.example/{SECRET_NUMBER}")),
        lambda: Billing(token=f"{SECRET_TOKEN}\n", owner_no="1"),
    ):
        with pytest.raises(pb.BillingError) as caught:
            action()
        assert not any(secret in f"{caught.value}{caught.value!r}" for secret in SECRETS)


def test_the_internal_values_hide_what_they_hold(faulty: MockServer) -> None:
    from payex_billing._credentials import tokens as _tokens
    from payex_billing._requests import operations as _operations
    from payex_billing._transport._sender import Sender

    call = _operations.create_charge(
        _operations.Parent(LEDGER, SECRET_NUMBER, SECRET_SUBSCRIPTION), Charge(product_code="P", text=SECRET_TEXT)
    )
    source = _tokens.TokenSource(SECRET_TOKEN)
    settings = pb.Settings(token=SECRET_TOKEN, owner_no=LEDGER, client_key_password="pa55word", base_url=faulty.url)
    sender = Sender(settings, "test", None)
    shown = f"{call!r} {call.request!r} {source!r} {settings!r} {sender!r}"
    sender.close()
    assert not any(secret in shown for secret in (*SECRETS, "pa55word"))


def test_no_source_file_logs_a_path_or_prints() -> None:
    for path in [
        *(ROOT / "wrapper" / "payex_billing").glob("*.py"),
        *(ROOT / "wrapper" / "payex_billing").glob("_*/*.py"),
    ]:
        text = Path(path).read_text(encoding="utf-8")
        assert "print(" not in text, path
        assert "request.path" not in text or path.name in {"policy.py", "operations.py"}, path


# on_response


def test_on_response_sees_every_response_with_its_headers(make: Any, faulty: MockServer) -> None:
    seen: list[pb.ResponseInfo] = []
    billing = make(on_response=seen.append)
    faulty.faults.queue("503=0:GET", "reset-before:GET")
    with pytest.raises(pb.CustomerNotFound):
        billing.customer(SECRET_NUMBER).get()
    billing.customer(SECRET_NUMBER).create()
    assert [(each.operation, each.method, each.route, each.status, each.attempt) for each in seen] == [
        ("get_customer", "GET", "/{ownerNo}/customers/{customerNo}", 503, 1),
        ("get_customer", "GET", "/{ownerNo}/customers/{customerNo}", 404, 3),
        ("create_customer", "POST", "/{ownerNo}/customers", 201, 1),
    ]
    assert seen[0].headers["retry-after"] == "0"
    assert seen[2].headers["content-type"] == "application/json"
    assert all(name == name.lower() for each in seen for name in each.headers)
    assert all(0 <= each.elapsed < 60 for each in seen)
    assert SECRET_NUMBER not in repr(seen)
    assert pickle.loads(pickle.dumps(seen)) == seen


def test_elapsed_is_the_time_of_the_attempt_alone() -> None:
    """Not the waits between attempts, nor the time of the token function."""
    from payex_billing._policy.steps import GetToken, Send, Wait
    from payex_billing._requests.calls import PreparedRequest
    from payex_billing._session.responses import observed
    from payex_billing._transport import Failure, Request, Response

    now = 0.0
    seen: list[pb.ResponseInfo] = []
    request = PreparedRequest("get_customer", "GET", "/1/customers/1", "/{ownerNo}/customers/{customerNo}")
    send = Send(Request("GET", "https://host/1", {}), 1.0)

    def policy() -> Any:
        for step in (GetToken(), send, Wait(8.0), send, send):
            assert (yield step) is not step
        return "result"

    steps = observed(policy(), request, seen.append, lambda: now)
    replies: list[Any] = [None, "token", Response(503, {}, b""), None, Failure(pb.Phase.ANSWER_LOST, "reset")]
    for reply, duration in zip(replies, [0.0, 5.0, 0.25, 8.0, 0.5], strict=True):
        now += duration
        steps.send(reply)
    now += 0.125
    with pytest.raises(StopIteration) as end:
        steps.send(Response(200, {}, b""))
    assert end.value.value == "result"
    assert [(each.status, each.elapsed, each.attempt) for each in seen] == [(503, 0.25, 1), (200, 0.125, 3)]


def test_on_response_never_sees_a_token() -> None:
    answer = http_answer(404, b"", f"X-Echo: Bearer {SECRET_TOKEN}", "X-Other: 1")
    seen: list[pb.ResponseInfo] = []
    with ScriptedServer([answer]) as server:
        with Billing(token=SECRET_TOKEN, owner_no=LEDGER, base_url=server.url, on_response=seen.append) as billing:
            with pytest.raises(pb.NotFound):
                billing.customer("1").get()
    assert seen[0].headers["x-echo"] == "***"
    assert seen[0].headers["x-other"] == "1"
    assert SECRET_TOKEN not in repr(pickle.dumps(seen))


def test_the_check_of_a_refused_token_is_told_apart(make: Any, faulty: MockServer) -> None:
    seen: list[pb.ResponseInfo] = []
    tokens = iter(["wrong", SECRET_TOKEN])
    billing = make(token=lambda: next(tokens), on_response=seen.append)
    billing.customer("1").create()
    assert [(each.operation, each.method, each.status, each.attempt) for each in seen] == [
        ("create_customer", "POST", 401, 1),
        ("check_token", "GET", 401, 1),
        ("create_customer", "POST", 201, 2),
    ]


@pytest.mark.parametrize("hook", ["on_response", "on_attempt"])
def test_a_hook_that_raises_changes_nothing_and_is_logged(
    make: Any, faulty: MockServer, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    def fail(*_seen: object) -> None:
        raise RuntimeError("mine")

    billing = make(**{hook: fail})
    assert billing.customer("1").create().customer_no == "1"
    assert faulty.app.store.customers(LEDGER)
    assert f"{hook} raised an exception, which is ignored" in caplog.messages


@pytest.mark.parametrize("places", [1, 100])
def test_on_response_may_use_the_client(faulty: MockServer, places: int) -> None:
    faulty.app.store = Store()
    found: list[str] = []

    def read(response: pb.ResponseInfo) -> None:
        if response.operation == "create_customer":
            found.append(billing.customer("1").get().customer_no)

    with Billing(
        token=SECRET_TOKEN, owner_no=LEDGER, base_url=faulty.url, on_response=read, max_concurrency=places
    ) as billing:
        billing.customer("1").create()
    assert found == ["1"]


@pytest.mark.parametrize("hook", ["on_response", "on_attempt"])
@pytest.mark.parametrize("wrong", [1, "print", [], pytest.param(object(), id="object")], ids=repr)
def test_a_hook_is_a_function(hook: str, wrong: Any) -> None:
    with pytest.raises(pb.ConfigurationError, match=f"{hook} must be a function"):
        Billing(token="t", owner_no="1", **{hook: wrong})


@pytest.mark.parametrize("hook", ["on_response", "on_attempt"])
def test_an_async_hook_is_refused_because_nobody_would_await_it(hook: str) -> None:
    async def asynchronous(*_seen: object) -> None: ...

    class Callable_:  # noqa: N801
        async def __call__(self, *_seen: object) -> None: ...

    for wrong in (asynchronous, Callable_()):
        for kind in (Billing, pb.AsyncBilling):
            with pytest.raises(pb.ConfigurationError, match=f"{hook} must be a plain function"):
                kind(token="t", owner_no="1", **{hook: wrong})  # type: ignore[arg-type]
