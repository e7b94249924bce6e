"""No input costs out of proportion. Times are compared within one run, best of several, with a wide margin."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from contract_tests.api import Api
from contract_tests.exchange import Exchange
from contract_tests.schemas import accepted, body_schema, parameter_schema

from ._registry import probe

SLOWER = 15.0  # times the median: far beyond what a busy machine does to the best of four
SECONDS = 0.02  # below this nobody minds


def _best(ask: Callable[[], Exchange], limit: float) -> float:
    """The shortest time of up to four attempts; one is enough when it is short."""
    best = ask().seconds
    for _ in range(3):
        if best <= limit:
            break
        best = min(best, ask().seconds)
    return best


def _compare(api: Api, what: str, asks: list[tuple[str, Callable[[], Exchange]]]) -> None:
    usual = median(ask().seconds for _, ask in asks[:15])
    limit = max(SECONDS, SLOWER * usual)
    for name, ask in asks:
        seconds = _best(ask, limit)
        if seconds > limit:
            api.broke("no_input_is_slow", f"{what} takes {seconds:.3f} s with {name!r:.60}, usually {usual:.4f} s")


@probe("time and weight")
def no_value_makes_a_write_slow(api: Api) -> None:
    """No valid value of a charge takes far longer than another."""
    customer = api.customer()
    route = api.charges_of(customer)
    schema = body_schema("create_customer_recurring_product") or {}
    asks = [
        (f"{name} {value}", lambda body={"productCode": "P01", name: value}: api.post(*route, body=body))  # type: ignore[misc]
        for name, each in schema["properties"].items()
        for value in accepted(each)
    ]
    _compare(api, "a creation", asks[:: 20 if api.real else 1])


@probe("time and weight")
def no_number_makes_a_read_slow(api: Api) -> None:
    """No customer number takes far longer to look up than another, found or not."""
    numbers = [each for each in accepted(parameter_schema("customerNo")) if each not in {".", ".."}]
    asks = [(number, lambda number=number: api.get("customers", number)) for number in numbers]  # type: ignore[misc]
    _compare(api, "a read", asks[:: 10 if api.real else 1])


@probe("time and weight")
def others_weigh_nothing(api: Api) -> None:
    """A read weighs the same, and about as long, whatever else is in this ledger and in others."""
    customer = api.customer()
    api.subscription(customer)
    api.charge(customer)
    routes = [("customers", customer), ("customers", customer, "subscriptions"), api.charges_of(customer)]
    before = [len(api.expect(api.get(*route), 200).body) for route in routes]
    for where in filter(None, (api, api.other)):
        for _ in range(3 if api.real else 30):
            other = where.customer()
            where.subscription(other)
            for _ in range(3):
                where.charge(other)
    after = [len(api.expect(api.get(*route), 200).body) for route in routes]
    api.same("others_weigh_nothing", after, before)
