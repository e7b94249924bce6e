"""Probes of relations between requests, from random states: no probe here needs an expected value.

Each relation follows from two sentences of the contract: a property left out of a change stays as it is, and a read
shows what the server holds. Two ways of writing the same thing then lead to the same reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
from hypothesis import strategies as st

from ..api import (
    CHARGE_ID,
    SUBSCRIPTION_NO,
    Api,
    NotTried,
    change,
    charge_path,
    new_charge,
    new_subscription,
    subscription_path,
    subscriptions_path,
)
from ..contents import held
from ..exchange import CONTRACT, Broken
from ..rows import ends_before_start
from ..schemas import JUDGE
from ..states import Parent, copy, parents, subscription_number, thinned, tree
from ..values import any_value
from ._registry import probe

Values = Mapping[str, Any]
State = Mapping[Parent, list[Values]]  # the charges of a customer by the number of the subscription
EXAMPLES = 40
NUMBERS = sorted({subscription_number(each) for each in ("1", "46701234567", "a b", "å/%41")})


def new_values() -> st.SearchStrategy[Values]:
    """Return a strategy of new charges: required properties, and any of the others."""
    schema = CONTRACT.creations["charge"]
    required = set(schema.get("required", ()))
    known = {name: any_value(node) for name, node in schema["properties"].items()}
    optional = {name: strategy for name, strategy in known.items() if name not in required}
    charges = st.fixed_dictionaries({name: known[name] for name in required}, optional=optional)
    return charges.filter(lambda values: not ends_before_start(values))


def changes() -> st.SearchStrategy[Values]:
    """Return a strategy of changes: any properties, set or cleared."""
    values = {name: any_value(node) for name, node in CONTRACT.change["properties"].items()}
    return st.fixed_dictionaries({}, optional=values)


def states() -> st.SearchStrategy[State]:
    """Return a strategy of what one customer has: charges of its own, and subscriptions with charges."""
    charges = st.lists(new_values(), max_size=2)
    return st.fixed_dictionaries({(): charges}, optional={(number,): charges for number in NUMBERS})


def related(api: Api, *strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Run a relation with random values. The values are the same in each run.

    Raises:
        Broken: the relation does not hold.
    """

    def run(relation: Callable[..., None]) -> None:
        quick = hypothesis.settings(
            max_examples=len(thinned(api, range(EXAMPLES), 3)),
            deadline=None,
            derandomize=True,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
            report_multiple_bugs=False,
        )
        try:
            quick(hypothesis.given(*strategies)(relation))()
        except hypothesis.errors.Flaky:  # the server answered otherwise when Hypothesis repeated the requests
            found = api.broken or Broken("a_relation_holds", "the same requests had two outcomes")
            raise found from None

    return run


def _after(values: Values, sent: Values) -> dict[str, Any]:
    return {name: value for name, value in {**values, **sent}.items() if value is not None}


def _update(api: Api, route: Parent, values: Values) -> dict[str, Any]:
    return held(api.shown(api.update(*route, body=change(values))).object)


def _patch(_: Api) -> None:
    if CONTRACT.update_method != "PATCH":
        raise NotTried("the contract has no change of some properties")


@probe("state")
def adding_and_removing_changes_nothing(api: Api) -> None:
    """A charge or a subscription that is added and removed leaves everything as it was before."""

    @related(api, states(), new_values(), st.integers(0, 4))
    def relation(state: State, charge: Values, place: int) -> None:
        customer = copy(api, state)
        before = tree(api, customer)
        parent = (customer, *list(state)[place % len(state)])
        made = api.charge(*parent, wire=charge)
        route = charge_path(parent, made)
        api.succeeds(api.delete(*route))
        api.same("adding_and_removing_changes_nothing", tree(api, customer), before)
        number = next((each for each in NUMBERS if (each,) not in state), None)
        if number is not None and api.can_delete(*subscription_path(customer, number)):
            api.subscription(customer, number)
            api.charge(customer, number, wire=charge)
            api.succeeds(api.delete(*subscription_path(customer, number)))
            api.same("adding_and_removing_changes_nothing", tree(api, customer), before)


@probe("state")
def removing_and_adding_again_changes_nothing(api: Api) -> None:
    """A charge or a subscription that is removed and added again reads as before."""

    @related(api, states(), st.integers(0, 4))
    def relation(state: State, place: int) -> None:
        customer = copy(api, state)
        before = tree(api, customer)
        level = list(state)[place % len(state)]
        if level and api.can_delete(*subscription_path(customer, *level)):
            api.succeeds(api.delete(*subscription_path(customer, *level)))
            copy(api, {level: state[level]}, customer)
        else:
            for charge in api.charges(customer, *level):
                api.succeeds(api.delete(*charge_path((customer, *level), charge)))
            for values in state[level]:
                api.charge(customer, *level, wire=values)
        api.same("removing_and_adding_again_changes_nothing", tree(api, customer), before)


@probe("state")
def the_order_of_writes_does_not_matter(api: Api) -> None:
    """The same charges and subscriptions, created in another order, read the same."""

    @related(api, states())
    def relation(state: State) -> None:
        backwards = {level: charges[::-1] for level, charges in reversed(list(state.items()))}
        first, second = copy(api, state), copy(api, backwards)
        api.same("the_order_of_writes_does_not_matter", tree(api, second), tree(api, first))


@probe("state")
def a_state_reads_the_same_in_another_customer(api: Api) -> None:
    """What was read of a customer, created for a new customer, reads the same, in this and in another ledger."""

    @related(api, states())
    def relation(state: State) -> None:
        customer = copy(api, state)
        levels: list[Parent] = [(), *((str(each[SUBSCRIPTION_NO]),) for each in api.subscriptions(customer))]
        properties = CONTRACT.creations["charge"]["properties"]
        read = {
            level: [
                {name: value for name, value in held(each).items() if name in properties}
                for each in api.charges(customer, *level)
            ]
            for level in levels
        }
        for ledger in filter(None, (api, api.other)):
            ledger.same("a_state_can_be_copied", tree(ledger, copy(ledger, read)), tree(api, customer))


@probe("state")
def a_change_may_be_split(api: Api) -> None:
    """A change of several properties equals changes of one property each, in any order, and two changes equal one."""
    _patch(api)

    @related(api, st.sampled_from(list(parents(api))), new_values(), changes(), st.randoms(use_true_random=False))
    def relation(parent: Parent, values: Values, sent: Values, chance: Any) -> None:
        if ends_before_start(_after(values, sent)):
            return
        whole, split = (charge_path(parent, api.charge(*parent, wire=values)) for _ in "ab")
        _update(api, whole, sent)
        names, current = list(sent), dict(values)
        chance.shuffle(names)
        while names:
            name = next((each for each in names if not ends_before_start(current | {each: sent[each]})), names[0])
            names.remove(name)
            current[name] = sent[name]
            _update(api, split, {name: sent[name]})
        found = [held(api.succeeds(api.get(*route)).object) for route in (whole, split)]
        api.same("a_change_may_be_split", found[1], found[0])


@probe("state")
def a_change_back_changes_nothing(api: Api) -> None:
    """A change and the change to the values before it leave a charge as it was; a repeated change adds nothing."""
    _patch(api)

    @related(api, st.sampled_from(list(parents(api))), new_values(), changes())
    def relation(parent: Parent, values: Values, sent: Values) -> None:
        if ends_before_start(_after(values, sent)):
            return
        route = charge_path(parent, api.charge(*parent, wire=values))
        before = held(api.succeeds(api.get(*route)).object)
        back = {name: before.get(name) for name in sent}
        once = _update(api, route, sent)
        api.same("a_repeated_change_adds_nothing", _update(api, route, sent), once)
        if all(JUDGE.takes(CONTRACT.change["properties"][name], value) for name, value in back.items()):
            _update(api, route, back)
            api.same("a_change_back_changes_nothing", held(api.succeeds(api.get(*route)).object), before)


@probe("state")
def a_charge_may_be_created_in_steps(api: Api) -> None:
    """A charge created with its required values and then changed equals a charge created with all values."""
    _patch(api)
    changeable = CONTRACT.change["properties"]

    @related(api, st.sampled_from(list(parents(api))), new_values())
    def relation(parent: Parent, values: Values) -> None:
        later = {name: value for name, value in values.items() if name in changeable and value is not None}
        first = {name: value for name, value in values.items() if name not in changeable}
        whole = charge_path(parent, api.charge(*parent, wire=values))
        steps = charge_path(parent, api.charge(*parent, wire=first))
        _update(api, steps, later)
        found = [held(api.succeeds(api.get(*route)).object) for route in (whole, steps)]
        api.same("a_charge_may_be_created_in_steps", found[1], held(new_charge()) | found[0])


@probe("state")
def reads_and_refused_writes_change_nothing(api: Api) -> None:
    """After any reads, refused writes and writes to others, a customer reads as before."""

    @related(api, states(), states(), changes())
    def relation(state: State, others: State, sent: Values) -> None:
        customer = copy(api, state)
        before = tree(api, customer)
        another = copy(api, others)
        for level in others:
            for charge in api.charges(another, *level):
                if not ends_before_start(_after(charge, sent)) and CONTRACT.update_method:
                    _update(api, charge_path((another, *level), charge), sent)
            for charge in api.charges(customer, *level) if level in state else ():
                api.missing(api.get(*charge_path((another, *level), charge)), "charge")
                api.same("a_read_is_repeatable", api.get(*charge_path((customer, *level), charge)).object[CHARGE_ID],
                         charge[CHARGE_ID])  # fmt: skip
        for number in NUMBERS:
            if (number,) in state:
                again = api.post(*subscriptions_path(customer), body=new_subscription(number))
                api.expect(again, *CONTRACT.duplicates["subscription"])
        api.same("reads_change_nothing", tree(api, customer), before)
