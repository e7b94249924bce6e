"""Probes of cost: no input is far slower than others, and no length of a list than a shorter one.

The probes compare times within one run. They take the best of several attempts, and allow a wide margin: on a machine
with 15 programs for each core, four of four attempts took more than 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from statistics import median
from typing import Any

from ..api import Api, charges_path, customer_path, new_charge, new_subscription, subscriptions_path
from ..exchange import CONTRACT, Exchange
from ..schemas import accepted, parameter_schema
from ..states import few, subscription_number
from ._registry import probe

Route = tuple[str, ...]
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
    sizes = (1, 2) if api.real else (1, 2, 4, 8, 16, 32, 64)
    short, long = api.customer(), api.customer()
    number = subscription_number()
    _compare_lengths(api, charges_path(short), charges_path(long), new_charge, sizes)
    parents = [(each, api.subscription(each, number)) for each in (short, long)]
    _compare_lengths(api, charges_path(*parents[0]), charges_path(*parents[1]), new_charge, sizes)
    counter = count(1)
    routes = subscriptions_path(api.customer()), subscriptions_path(api.customer())
    _compare_lengths(api, *routes, lambda: new_subscription(subscription_number(f"{next(counter)}")), sizes)


def _compare_lengths(
    api: Api, short: Route, long: Route, body: Callable[[], dict[str, Any]], sizes: Sequence[int]
) -> None:
    """Let two lists grow, the one twice as long as the other, and compare one read of it with two of the other.

    Both take the same work, so that other programs delay both alike.
    """
    before = 0
    for size in sizes:
        for route in (short, *[long] * 2):
            for _ in range(size - before):
                api.succeeds(api.post(*route, body=body()))
        before = size
        for _ in range(ATTEMPTS):
            seconds = api.get(*long).seconds
            usual = api.get(*short).seconds + api.get(*short).seconds
            if seconds <= max(SECONDS, SLOWER * usual):
                break
        else:
            how = f"a list of {2 * size} takes {seconds:.3f} s, and two reads of one of {size} take {usual:.4f} s"
            api.broke("no_length_is_slow", how)


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
