"""What the fixtures give: a PayEx Billing of the test's own, seen from the test's side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from decimal import Decimal
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import attrs
from payex_billing_mock import Faults, MockApp, MockServer
from payex_billing_mock.app import Answer
from payex_billing_mock.app import Request as Received
from payex_billing_mock.traffic import Traffic

from .._async.client import AsyncBilling
from .._contract import RECURRING_PRODUCT
from .._requests import operations
from .._requests.calls import Call
from .._requests.wire import Reader
from .._session.responses import ResponseHook
from .._session.telemetry import AttemptHook
from .._sync.client import Billing
from .._transport import _choice
from ..models import CONTENT, Charge
from ._transport import AsyncInProcess, InProcess

LEDGER, TOKEN = "1234", "token-of-1234"
ORIGIN = "https://payex-billing.invalid"
"""Where `PayexMock` is, for programs that are told an address. No network knows it."""
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CHARGES = Reader(Charge, RECURRING_PRODUCT)
_ADDED_BY_SERVER = {known.wire for known in RECURRING_PRODUCT if known.name not in CONTENT}


class ClientOptions(TypedDict, total=False):
    """What `billing` and `async_billing` pass on to the client."""

    token: str
    owner_no: str
    subdomain: str
    timeout: float
    deadline: float
    max_concurrency: int
    max_rate: float
    tracing: bool
    on_attempt: AttemptHook
    on_response: ResponseHook
    headers: Mapping[str, str]
    app_info: str | tuple[str, str]
    dry_run: bool
    record_shapes: str | PathLike[str] | None


@attrs.frozen
class Request:
    """A request that was made.

    Attributes:
        method: the HTTP method.
        path: the path as it was sent, such as `/billing/customer/v1/1234/customers/15615616`.
        status: what was answered; None when no answer was sent.
        problem: the problem type of the answer, such as `customer-not-found`, if it was a problem.
        fault: the fault that befell it, in text form.
    """

    method: str
    path: str
    status: int | None
    problem: str | None = None
    fault: str | None = None


class PayexMock:
    """PayEx Billing in this process, without a socket: for programs that use `Billing` or `AsyncBilling`.

    Use it in a `with` block. Nothing in it waits: a latency beyond a client's time limit is a time-out at once.

    Args:
        ledger: the ledger number.
        token: its token.
    """

    def __init__(self, ledger: str = LEDGER, token: str = TOKEN) -> None:
        self.ledger, self.token = ledger, token
        self._faults = Faults()
        self._stack = ExitStack()
        self._no_writes = 0
        self._refused: list[str] = []
        self._app = self._make_app()
        self._traffic = Traffic(kept=100_000)
        self._app.observers.append(self._traffic.record)
        self._app.interceptor = self._guard

    def _make_app(self) -> MockApp:
        return MockApp({self.ledger: self.token})

    @property
    def url(self) -> str:
        """The origin, for `base_url` and PAYEX_BASE_URL."""
        return ORIGIN

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that lead a client here."""
        return {"PAYEX_BASE_URL": self.url, "PAYEX_OWNER_NO": self.ledger, "PAYEX_TOKEN": self.token}

    def billing(self, **options: Unpack[ClientOptions]) -> Billing:
        """A client; options are those of `Billing`. Close it, or use it in a `with` block."""
        return Billing(**self._options(options))

    def async_billing(self, **options: Unpack[ClientOptions]) -> AsyncBilling:
        """An asynchronous client; options are those of `AsyncBilling`."""
        return AsyncBilling(**self._options(options))

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"token": self.token, "owner_no": self.ledger, "base_url": self.url} | dict(options)

    # what it holds

    def customers(self) -> list[str]:
        """The numbers of all customers, oldest first."""
        return [str(each.id) for each in self._app.store.customers(self.ledger)]

    def subscriptions(self, customer_no: str) -> list[str]:
        """The numbers of a customer's subscriptions, oldest first.

        Raises:
            AssertionError: there is no such customer.
        """
        return list(self._customer(customer_no).subscriptions)

    def charges(self, customer_no: str, subscription_no: str | None = None) -> list[Charge]:
        """What is billed on a customer itself, or on one of its subscriptions, oldest first.

        Raises:
            AssertionError: there is no such customer or subscription.
        """
        owner = self._customer(customer_no)
        if subscription_no is not None:
            owner = owner.subscriptions.get(subscription_no)
        if owner is None:
            raise AssertionError(f"there is no subscription {subscription_no} of customer {customer_no}")
        return [_charge_of(each.document) for each in owner.charges.values()]

    def _customer(self, customer_no: str) -> Any:
        for each in self._app.store.customers(self.ledger):
            if str(each.id) == customer_no:
                return each
        raise AssertionError(f"there is no customer {customer_no}; there are {', '.join(self.customers()) or 'none'}")

    def add(self, customer_no: str, subscription_no: str | None = None, *charges: Charge) -> None:
        """Let a customer be there, a subscription if one is named, and charges. Not recorded as requests.

        Raises:
            ValueError: the contract does not allow it.
        """
        if customer_no not in self.customers():
            self._put(operations.create_customer(self.ledger, customer_no))
        if subscription_no is not None and subscription_no not in self.subscriptions(customer_no):
            self._put(operations.create_subscription(self.ledger, customer_no, subscription_no))
        parent = operations.Parent(self.ledger, customer_no, subscription_no)
        for charge in charges:
            self._put(operations.create_charge(parent, charge))

    def _put(self, call: Call[Any]) -> None:
        headers = {"authorization": f"Bearer {self.token}", "content-type": call.request.headers["Content-Type"]}
        path = f"{self._app.contract.base_path}{call.request.path}".encode()
        answer = self._app.respond(Received("POST", path, headers, call.request.body))
        if answer.status // 100 != 2:
            raise ValueError(f"the contract does not allow it: {answer.body.decode()}")

    def clear(self) -> None:
        """Forget all that it holds, its requests and its faults."""
        self._app.store.clear()
        self._traffic.clear()
        self._faults.clear()
        self._faults.forget_late_writes()

    def wait_for_late_writes(self, timeout: float = 60.0) -> None:
        """Wait until every write of the fault `late-commit` has taken effect.

        Args:
            timeout: seconds to wait at most.
        """
        self._faults.wait_for_late_writes(timeout)

    # what it was asked

    @property
    def requests(self) -> list[Request]:
        """All requests, oldest first, those included that met a fault."""
        return [Request(each.method, each.path, each.status, each.problem, each.fault) for each in self._traffic]

    @property
    def writes(self) -> list[Request]:
        """Those that would change something."""
        return [each for each in self.requests if each.method in _WRITES]

    @contextmanager
    def no_writes(self) -> Iterator[None]:
        """Refuse every write, and fail when the block ends if there was one.

        Raises:
            AssertionError: something was to be written.
        """
        self._no_writes += 1
        before = len(self._refused)
        try:
            yield
        finally:
            self._no_writes -= 1
        refused = self._refused[before:]
        if refused:
            raise AssertionError(f"nothing was to be written, but: {', '.join(refused)}")

    def _guard(self, request: Received, respond: Callable[[Received], Answer]) -> Answer:
        if self._no_writes and request.method in _WRITES:
            self._refused.append(f"{request.method} {request.raw_path.decode('latin-1')}")
            from payex_billing_mock.problems import Refusal  # noqa: PLC0415 - seldom

            return self._app.refuse(Refusal("forbidden", "This test allows no writes"))
        return respond(request)

    # faults

    def next(self, *faults: str) -> None:
        """Let the next requests meet these faults, one each, in this order.

        Args:
            *faults: such as `lose-answer:POST`, `429=2` or `500-after`; the kinds are those of the mock.

        Raises:
            ValueError: there is no such fault.
        """
        self._faults.queue(*faults)

    @contextmanager
    def fault(self, *faults: str) -> Iterator[None]:
        """Let every request in the block meet one of these faults.

        Raises:
            ValueError: there is no such fault.
        """
        with self._faults.active(*faults):
            yield

    def losing_answers(self, *methods: str) -> AbstractContextManager[None]:
        """Carry requests out, but lose the answers; of all methods if none is named."""
        return self.fault("lose-answer" + (":" + ",".join(methods) if methods else ""))

    def rate_limiting(self, retry_after: int = 1) -> AbstractContextManager[None]:
        """Answer 429, asking for so many seconds."""
        return self.fault(f"429={retry_after}")

    def down(self) -> AbstractContextManager[None]:
        """Answer as an ingress does whose server is gone."""
        return self.fault("502")

    def slow(self, seconds: float) -> AbstractContextManager[None]:
        """Let every answer take so long. In process nothing waits: it is a time-out, or it is not."""
        return self.fault(f"latency={seconds:g}")

    # being there

    def __enter__(self) -> Self:
        self._stack.enter_context(_registered(self._app, self._faults))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


class PayexServer(PayexMock):
    """The same on a real socket of this machine: for programs in other processes or other languages."""

    def _make_app(self) -> MockApp:
        self._server = MockServer({self.ledger: self.token}, faults=self._faults)
        return self._server.app

    @property
    def url(self) -> str:
        """The origin on this machine."""
        return self._server.url

    def __enter__(self) -> Self:
        self._stack.enter_context(self._server)
        return self


def _charge_of(document: Mapping[str, Any]) -> Charge:
    """Return the content of a charge as the mock holds it, without what the server adds."""
    content = {name: value for name, value in document.items() if name not in _ADDED_BY_SERVER}
    charge = _CHARGES.read(
        {name: Decimal(str(each)) if isinstance(each, float) else each for name, each in content.items()}
    )
    return attrs.evolve(charge, extra={name: content[name] for name in charge.extra})  # with all digits


@contextmanager
def _registered(app: MockApp, faults: Faults) -> Iterator[None]:
    """Let every client whose base_url is `ORIGIN` reach the mock, those included that a program makes by itself."""
    blocking, asynchronous = _choice.default_transport, _choice.default_async_transport
    _choice.default_transport = lambda settings: (
        InProcess(app, faults) if settings.base_url == ORIGIN else blocking(settings)
    )
    _choice.default_async_transport = lambda settings: (
        AsyncInProcess(app, faults) if settings.base_url == ORIGIN else asynchronous(settings)
    )
    try:
        yield
    finally:
        _choice.default_transport, _choice.default_async_transport = blocking, asynchronous
