"""Probes of values: every value that the contract allows is held as it was sent, in every read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..api import CHARGE_ID, Api, change, charge_path, new_charge
from ..contents import held
from ..exchange import CONTRACT
from ..rows import ends_before_start, rows
from ..schemas import JUDGE
from ..states import Parent, as_sent, changed, listed, parents, read_charge, thinned
from ._registry import probe


def _parents_and_rows(
    api: Api, role: str, *, shared: bool = True, at_most: int = 12
) -> Iterator[tuple[Parent, list[dict[str, Any]]]]:
    """Yield a customer and a subscription with the rows for each.

    Args:
        role: `create` or `update`.
        shared: whether the two have half of the rows each, so that each value is sent once; else both have all rows.
        at_most: rows of each for a real endpoint, if they share.
    """
    for parent, later in zip(parents(api), (True, False), strict=True):
        found = rows(role, later=later, few=api.real)
        yield parent, list(thinned(api, found[later::2], at_most) if shared else thinned(api, found, 64))


@probe("state")
def every_value_of_a_new_charge_is_held(api: Api) -> None:
    """A new charge holds each value as it was sent, alone and in its list."""
    for parent, bodies in _parents_and_rows(api, "create", shared=False):
        expected = {}
        for body in map(new_charge, bodies):
            created = api.charge(*parent, wire=body)
            read = read_charge(api, parent, created)
            api.same("held_as_sent", held(read), held(body))
            expected[created[CHARGE_ID]] = held(body)
        api.same("held_as_sent", {key: held(each) for key, each in listed(api, parent).items()}, expected)


@probe("state")
def every_value_outlives_a_change_of_another(api: Api) -> None:
    """A charge holds each value after a change of another property, alone and in its list."""
    for parent, bodies in _parents_and_rows(api, "create"):
        expected = {}
        names = [name for name in bodies[0] if name in CONTRACT.change["properties"]]
        for index, body in enumerate(map(new_charge, bodies)):
            made = api.charge(*parent, wire=body)
            values, route = held(body), charge_path(parent, made)
            for name in (names[index % len(names)], names[(index + 3) % len(names)]):
                new = {name: bodies[(index + 1) % len(bodies)][name]}
                if not ends_before_start(values | new):
                    values |= new
                    read = api.shown(_update(api, route, changed(values, new))).object
                    api.same("a_change_touches_what_was_sent", held(read), values)
            api.same("a_change_touches_what_was_sent", held(read_charge(api, parent, made)), values)
            expected[made[CHARGE_ID]] = values
        found = {key: held(each) for key, each in listed(api, parent).items()}
        api.same("a_change_touches_what_was_sent", found, expected)


@probe("state")
def every_value_of_a_change_is_held(api: Api) -> None:
    """A changed charge holds each value, changed alone and changed together with all others."""
    for parent, bodies in _parents_and_rows(api, "update", at_most=24):  # all rows: a PATCH may have code of its own
        whole = api.charge(*parent, wire=_creatable(bodies[0]))
        single = api.charge(*parent, wire=_creatable(bodies[0]))
        values = held(bodies[0])
        for body in bodies[1:]:
            shown = api.shown(_update(api, charge_path(parent, whole), body))
            api.same("held_as_sent", held(shown.object), held(change(body)), shown)
            api.same("held_as_sent", held(read_charge(api, parent, whole)), held(change(body)))
            for name in _order(values, body):
                if values.get(name) == body[name]:
                    continue
                values[name] = body[name]
                one = changed(values, {name: body[name]})
                shown = api.shown(_update(api, charge_path(parent, single), one))
                api.same("a_change_touches_what_was_sent", held(shown.object), values, shown)
            api.same("a_change_touches_what_was_sent", held(read_charge(api, parent, single)), values)
        found = [held(each) for each in listed(api, parent).values()]
        api.same("held_as_sent", found, [values, values])


@probe("state")
def every_value_comes_back_after_it_was_cleared(api: Api) -> None:
    """A property is absent or null after it was cleared, and holds the same value again after it was set again."""
    for parent, bodies in _parents_and_rows(api, "update"):
        made = api.charge(*parent)
        route = charge_path(parent, made)
        for index, body in enumerate(bodies):
            api.succeeds(_update(api, route, body))
            nullable = [name for name in body if JUDGE.takes(CONTRACT.change["properties"][name], None)]
            some = nullable if index % 2 else [name for place, name in enumerate(nullable) if index >> place + 1 & 1]
            cleared = api.shown(_update(api, route, changed(body, dict.fromkeys(some))))
            left = {name: value for name, value in change(body).items() if name not in some}
            api.same("null_clears", as_sent(api, cleared.object, left), left, cleared)
            api.same("null_clears", as_sent(api, read_charge(api, parent, made), left), left)
            again = {name: body[name] for name in some}
            shown = api.shown(_update(api, route, changed(body, again)))
            api.same("held_as_sent", held(shown.object), held(change(body)), shown)
            api.same("held_as_sent", held(read_charge(api, parent, made)), held(change(body)))


def _update(api: Api, route: Parent, values: Mapping[str, Any]) -> Any:
    return api.update(*route, body=change(values))


def _creatable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a change as the body of a new charge: the values that a new charge may have."""
    properties = CONTRACT.creations["charge"]["properties"]
    return {name: value for name, value in values.items() if name in properties}


def _order(values: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the properties so that a charge never ends before it starts while they change one by one."""
    current, left = dict(values), list(after)
    while left:
        name = next((name for name in left if not ends_before_start(current | {name: after[name]})), left[0])
        left.remove(name)
        current[name] = after[name]
        yield name
