"""Probes of cost: no input is far slower than others, and no length of a list than a shorter one.

The probes compare times within one run. They take the best of several attempts, and allow a wide margin: on a machine
with 15 programs for each core, four of four attempts took more than 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from ..api import Api, charges_path, customer_path, new_charge, subscriptions_path
from ..exchange import CONTRACT, Exchange
from ..schemas import accepted, parameter_schema
from ..states import few, subscription_number
from ._registry import probe

SLOWER = 15.0  # times the median; on a busy machine the best of the attempts stays far below this
ATTEMPTS = 10
DIGITS = 16  # bytes; a counter or a time in a response may become longer
SECONDS = 0.05  # a shorter time is never a fault


def _best(ask: Callable[[], Exchange], limit: float) -> float:
    """Return the shortest time of some attempts. Stop early when an attempt is fast enough."""
    best = ask().seconds
    for _ in range(ATTEMPTS - 1):
        if best <= limit:
            break
        best = min(best, ask().seconds)
    return best


def _compare(api: Api, what: str, asks: Sequence[tuple[str, Callable[[], Exchange]]]) -> None:
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
    asks = [
        (f"{name} {value}", partial(api.post, *charges_path(customer), body=new_charge({name: value})))
        for name, schema in CONTRACT.creations["charge"]["properties"].items()
        for value in accepted(schema)
    ]
    _compare(api, "a creation", few(api, asks, 20))


@probe("time and weight")
def no_number_makes_a_read_slow(api: Api) -> None:
    """No customer number takes far longer to look up than another, found or not."""
    numbers = [each for each in accepted(parameter_schema("customer")) if each not in {".", ".."}]
    asks = [(number, partial(api.get, *customer_path(number))) for number in numbers]
    _compare(api, "a read", few(api, asks, 16))


@probe("time and weight")
def a_list_twice_as_long_is_not_far_slower(api: Api) -> None:
    """A list that is twice as long takes about twice as long to read: no length is far slower than the one before."""
    sizes = (1, 2, 4) if api.real else (1, 2, 4, 8, 16, 32, 64, 128)
    customer = api.customer()
    for parent in ((customer,), (customer, api.subscription(customer, subscription_number()))):
        _lengthen(api, charges_path(*parent), sizes, [partial(api.charge, *parent)] * sizes[-1])
    other, numbers = api.customer(), [subscription_number(f"{count}") for count in range(sizes[-1])]
    _lengthen(api, subscriptions_path(other), sizes, [partial(api.subscription, other, each) for each in numbers])


def _lengthen(api: Api, route: Sequence[str], sizes: Sequence[int], adds: Sequence[Callable[[], object]]) -> None:
    """Read a list at each size, and compare the time with that of the size before."""
    old, before = 0, 0.0
    for size in sizes:
        for add in adds[old:size]:
            add()
        limit = max(SECONDS, SLOWER * before)
        seconds = _best(partial(api.get, *route), limit)
        if old and seconds > limit:
            how = f"a list of {size} takes {seconds:.3f} s, and a list of {old} took {before:.4f} s"
            api.broke("no_length_is_slow", how)
        old, before = size, seconds


@probe("time and weight")
def others_weigh_nothing(api: Api) -> None:
    """A read weighs the same, and about as long, whatever else is in this ledger and in others."""
    customer = api.customer()
    api.subscription(customer)
    api.charge(customer)
    routes = [customer_path(customer), subscriptions_path(customer), charges_path(customer)]
    before = [len(api.succeeds(api.get(*route)).body) for route in routes]
    for where in filter(None, (api, api.other)):
        for _ in range(3 if api.real else 30):
            other = where.customer()
            where.subscription(other)
            for _ in range(3):
                where.charge(other)
    after = [len(api.succeeds(api.get(*route)).body) for route in routes]
    for route, one, two in zip(routes, before, after, strict=True):
        if abs(two - one) > DIGITS:
            api.broke(
                "others_weigh_nothing", f"{api.path(*route)} had {one} bytes, and has {two} beside other customers"
            )
