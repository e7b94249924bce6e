"""Probes of state among equal resources: a write changes its own resource, and nothing else changes.

The probes compare a full read before a write with a full read after it. They need no list of the resources that a
faulty server may confuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import permutations
from typing import Any

from .. import states
from ..api import (
    CHARGE_ID,
    SUBSCRIPTION_NO,
    Api,
    NotTried,
    change,
    charge_path,
    charges_path,
    customer_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscription_path,
    subscriptions_path,
    wire,
)
from ..bodies import BODIES
from ..contents import held, stable
from ..exchange import CONTRACT, Exchange
from ..rows import ends_before_start, rows
from ..schemas import JUDGE, refused
from ..states import Parent, as_sent, few, listed, parents, subscription_number, thinned
from ._registry import probe

FIRST, SECOND = subscription_number("1"), subscription_number("1a")
SAME_NUMBERS = [FIRST] if FIRST == SECOND else [FIRST, SECOND]
EMPTY = subscription_number("1b")


class World:
    """Customers of each ledger: two have the same subscriptions with charges of equal content, one has nothing.

    The customers have the same numbers in both ledgers. One subscription of each has no charges.

    Attributes:
        apis: the ledgers.
        customers: the numbers of the two equal customers.
        bare: the number of the customer that has nothing.
        content: the values of each charge.
        state: the last full read.
    """

    def __init__(self, api: Api) -> None:
        # A real endpoint has many requests less without the second ledger, which probes of their own try.
        self.apis = [each for each in (api, api.other) if each is not None and not (each is api.other and api.real)]
        self.customers = [api.number(), api.number()]
        self.bare = api.number()
        self.content = new_charge(rows("create", later=True)[40])
        self.charges: dict[Parent, list[dict[str, Any]]] = {}
        for ledger in self.apis:
            ledger.customer(self.bare)
            for customer in self.customers:
                ledger.customer(customer)
                for number in sorted({*SAME_NUMBERS, EMPTY}):
                    ledger.subscription(customer, number)
                for parent in self.parents_of(customer):
                    made = [ledger.charge(*parent, wire=self.content) for _ in range(2)]
                    if ledger is api:
                        self.charges[parent] = made
        self.state = self.read()

    @staticmethod
    def parents_of(customer: str) -> list[Parent]:
        """Return a customer and its subscriptions that have charges."""
        return [(customer,), *((customer, number) for number in SAME_NUMBERS)]

    def read(self) -> dict[str, Any]:
        """Read everything in each ledger."""
        return {
            f"{index} {path}": value
            for index, api in enumerate(self.apis)
            for path, value in states.snapshot(api, [*self.customers, self.bare]).items()
        }

    def expect(self, promise: str, changed: Mapping[str, Any], write: Exchange | None = None) -> None:
        """Read everything again, and compare with the last read.

        Args:
            promise: what is broken if there is another difference.
            changed: the expected differences in the first ledger, by path; None means that nothing is there.
            write: the request that was sent between the two reads.
        """
        before, self.state = self.state, self.read()
        expected = before | {f"0 {path}": value for path, value in changed.items()}
        for path in sorted(set(expected) | set(self.state)):
            self.apis[0].same(f"{promise}: {path[2:]}", self.state.get(path), expected.get(path), write)

    def of(self, *segments: str) -> Any:
        """Return a resource or a list as it was last read."""
        return self.state["0 " + "/".join(segments)]


def _path(segments: Parent) -> str:
    return "/".join(segments)


@probe("state")
def a_write_changes_one_charge(api: Api) -> None:
    """A change, a repeated change, a clearing and a refused change of one of many equal charges touch only this one."""
    world = World(api)
    bodies = rows("update", later=True)[-3:-1]
    for parent in few(api, world.parents_of(world.customers[0])[::-1], 1):
        for charge in thinned(api, world.charges[parent], 1):
            route = charge_path(parent, charge)
            for name, schema in few(api, list(CONTRACT.change["properties"].items()), 2):
                _changes_only(world, route, {name: bodies[0][name]})
                _changes_only(world, route, {name: bodies[0][name]})  # the same write again
                if JUDGE.takes(schema, None):
                    _changes_only(world, route, {name: None})
            _changes_only(world, route, bodies[1])
            _changes_only(world, route, {})
            quantity = wire("quantity")
            wrong = next(value for value in refused(CONTRACT.change["properties"][quantity]) if value is not None)
            answer = api.update(*route, body=change({**bodies[0], quantity: wrong}))
            world.expect("a_refused_change_changes_nothing", {}, api.refused(answer, "validation"))
            # All charges must be equal again before the next one changes.
            _changes_only(world, route, {name: world.content[name] for name in bodies[0] if name in world.content})


def _changes_only(world: World, route: Parent, values: Mapping[str, Any]) -> None:
    before = world.of(*route)
    body = change(values)
    after = {name: value for name, value in (before | body).items() if value is not None}
    if None in body.values():
        after = {name: value for name, value in states.shown_of(world.apis[0], after).items() if name in body} | after
    if not ends_before_start(after):
        write = world.apis[0].succeeds(world.apis[0].update(*route, body=body))
        world.expect("a_change_touches_what_was_sent", {_path(route): after}, write)
        if world.apis[0].real:
            read = world.apis[0].get(*route)
            world.apis[0].same("a_change_touches_what_was_sent", stable("charge", read.object), after, read)


@probe("state")
def a_creation_adds_one_and_a_removal_takes_one(api: Api) -> None:
    """Each creation adds one resource, each removal takes one, and a refused request does nothing, among equal ones."""
    world = World(api)
    for parent in few(api, world.parents_of(world.customers[0])[::-1], 1):
        collection = charges_path(*parent)
        for _ in range(2):  # the same creation twice is two charges
            before = world.of(*collection)
            write = api.succeeds(api.post(*collection, body=world.content))
            made = write.object
            changed: dict[str, Any] = {
                _path(collection): sorted([*before, str(made[CHARGE_ID])]),
                _path(charge_path(parent, made)): stable("charge", made),
            }
            world.expect("a_creation_adds_one", changed, write)
        for charge in (world.charges[parent][1], made):
            route = charge_path(parent, charge)
            if not api.can_delete(*route):
                break
            before = world.of(*collection)
            write = api.succeeds(api.delete(*route))
            left = [each for each in before if each != str(charge[CHARGE_ID])]
            world.expect("only_it_is_deleted", {_path(collection): left, _path(route): None}, write)
            again = api.missing(api.delete(*route), "charge")
            world.expect("only_it_is_deleted", {}, again)
    for customer in world.customers:
        again = api.post(*customers_path(), body=new_customer(customer))
        world.expect("a_duplicate_changes_nothing", {}, api.expect(again, *CONTRACT.duplicates["customer"]))
        for number in SAME_NUMBERS:
            again = api.post(*subscriptions_path(customer), body=new_subscription(number))
            world.expect("a_duplicate_changes_nothing", {}, api.expect(again, *CONTRACT.duplicates["subscription"]))


@probe("state")
def a_removed_subscription_takes_only_its_own(api: Api) -> None:
    """A removed subscription takes its charges; made again, it has none, works, and can be removed again."""
    world = World(api)
    if not api.can_delete(*subscription_path(world.customers[1], FIRST)):
        raise NotTried("the contract has no DELETE of a subscription")
    _remove_and_create_again(world, EMPTY)
    for _ in range(1 if api.real else 3):
        _remove_and_create_again(world, FIRST)


def _remove_and_create_again(world: World, number: str) -> None:
    api, customer = world.apis[0], world.customers[1]
    parent = (customer, number)
    subscription, collection, numbers = (
        subscription_path(*parent),
        charges_path(*parent),
        subscriptions_path(customer),
    )
    old, lost = world.of(*subscription), world.charges.get(parent, [])
    write = api.succeeds(api.delete(*subscription))
    gone: dict[str, Any] = {_path(charge_path(parent, each)): None for each in lost}
    gone |= {_path(collection): None, _path(subscription): None}
    left = [each for each in world.of(*numbers) if each != number]
    world.expect("only_it_is_deleted", gone | {_path(numbers): left}, write)
    some = lost[0] if lost else {CHARGE_ID: BODIES.unused("charge")}
    for exchange in _all_requests(api, parent, some):
        api.missing(exchange, "subscription")
    world.expect("only_it_is_deleted", {})
    write = api.succeeds(api.post(*numbers, body=new_subscription(number)))
    back = {_path(numbers): sorted([*left, number]), _path(subscription): old, _path(collection): []}
    world.expect("children_go_with_their_parent", back, write)
    for each in lost:
        for exchange in _charge_requests(api, charge_path(parent, each)):
            api.missing(exchange, "charge")
    if lost:
        world.charges[parent] = made = [api.charge(*parent, wire=world.content) for _ in lost]
        added: dict[str, Any] = {_path(charge_path(parent, each)): stable("charge", each) for each in made}
        added[_path(collection)] = sorted(str(each[CHARGE_ID]) for each in made)
        world.expect("a_creation_adds_one", added)


def _charge_requests(api: Api, route: Parent) -> list[Exchange]:
    """Send each request that one charge can get."""
    found = [api.get(*route)]
    if CONTRACT.update_method:
        body = change(quantity=2)
        found.append(api.send(CONTRACT.update_method, *route, body=new_charge(body)))
    return found + ([api.delete(*route)] if api.can_delete(*route) else [])


def _all_requests(api: Api, parent: Parent, charge: Mapping[str, Any]) -> list[Exchange]:
    """Send each request to a parent, its list and one of its charges, except for the creation of the parent."""
    route = customer_path(*parent) if len(parent) == 1 else subscription_path(*parent)
    found = [api.get(*route), api.get(*charges_path(*parent)), api.post(*charges_path(*parent), body=new_charge())]
    if len(parent) == 2 and api.can_delete(*route):
        found.append(api.delete(*route))
    return found + _charge_requests(api, charge_path(parent, charge))


@probe("state")
def a_charge_is_under_no_other_parent(api: Api) -> None:
    """Each request for a charge under another parent, in this or another ledger, finds nothing and changes nothing."""
    world = World(api)
    parents_of_all = [parent for customer in world.customers for parent in world.parents_of(customer)]
    for parent in thinned(api, parents_of_all, 2):
        charge = world.charges[parent][0]
        for other in parents_of_all:
            if other != parent:
                for exchange in _charge_requests(api, charge_path(other, charge)):
                    api.missing(exchange, "charge")
        for ledger in world.apis[1:]:
            for exchange in _charge_requests(ledger, charge_path(parent, charge)):
                ledger.missing(exchange, "charge")
        nobody = api.number()
        for exchange in _all_requests(api, (nobody, *parent[1:]), charge):
            api.missing(exchange, "customer")
        world.expect("a_refused_request_changes_nothing", {})


@probe("state")
def two_properties_change_together(api: Api) -> None:
    """Any two properties change, are cleared and are set, together and one after the other, and all others stay."""
    bodies = rows("update", later=True)
    names = list(CONTRACT.change["properties"])
    nullable = {name for name, schema in CONTRACT.change["properties"].items() if JUDGE.takes(schema, None)}
    for parent in parents(api):
        made = api.charge(*parent, wire={name: bodies[0][name] for name in held(bodies[0])})
        route, values = charge_path(parent, made), held(bodies[0])
        for index, (one, two) in enumerate(thinned(api, list(permutations(names, 2)), 3), 1):
            first, second, third = bodies[index : index + 3]
            for sent in (
                {one: first[one], two: first[two]},
                {one: None},
                {two: second[two]},
                {one: second[one]},
                {one: None, two: third[two]},
                {one: third[one], two: None},
                {one: None, two: None},
            ):
                after = {name: value for name, value in (values | sent).items() if value is not None}
                may_clear = all(value is not None or name in nullable for name, value in sent.items())
                if not may_clear or ends_before_start(after):
                    continue
                values = after
                shown = api.shown(api.update(*route, body=change(states.changed(values, sent))))
                api.same("a_change_touches_what_was_sent", as_sent(api, shown.object, values), values, shown)
                api.same("a_change_touches_what_was_sent", as_sent(api, api.get(*route).object, values), values, shown)


@probe("state")
def what_the_server_sets_is_not_set_by_a_client(api: Api) -> None:
    """A value of a client for a property that only the server sets means nothing, alone and with others."""
    world = World(api)
    parent, other = world.parents_of(world.customers[0])[:2]
    charge, theirs = world.charges[parent][0], world.charges[other][0]
    route, billed = charge_path(parent, charge), wire("billed_until")
    said = {billed: "2030-01-01", CHARGE_ID: theirs[CHARGE_ID], CONTRACT.self_link: theirs[CONTRACT.self_link]}
    for name, value in said.items():
        if name not in CONTRACT.server_set["charge"]:
            continue
        answer = api.send("POST", *charges_path(*parent), body={**world.content, name: value})
        if answer.succeeded:  # a server may also refuse such a property
            made = answer.object
            # A bill run may set its own date at any time, but not the date of the client.
            api.same("held_by_the_server", made.get(billed) == said[billed], False, answer)
            api.same("held_by_the_server", made[CHARGE_ID] in (charge[CHARGE_ID], theirs[CHARGE_ID]), False, answer)
            read = api.get(*charge_path(parent, made)).object
            api.same("held_by_the_server", read.get(billed) == said[billed], False, answer)
            changed = {
                _path(charges_path(*parent)): sorted([*world.of(*charges_path(*parent)), str(made[CHARGE_ID])]),
                _path(charge_path(parent, made)): stable("charge", made),
            }
            world.expect("held_by_the_server", changed, answer)
        if CONTRACT.update_method == "PATCH":
            answer = api.update(*route, body=change({name: value}))
            world.expect("held_by_the_server", {}, answer)
            api.same("held_by_the_server", api.get(*route).object.get(billed) == said[billed], False, answer)


@probe("state")
def lists_of_every_size_are_complete(api: Api) -> None:
    """A list has each resource once at every size where servers start another page, growing and shrinking."""
    for place, parent in enumerate(parents(api)):
        sizes = _sizes(api, is_long=place == 0)
        made: dict[Any, dict[str, Any]] = {}
        for size in range(max(sizes) + 1):
            if size in sizes:
                found = {key: stable("charge", each) for key, each in listed(api, parent).items()}
                api.same("lists_are_complete", found, made)
            charge = api.charge(*parent, quantity=size + 1)
            made[charge[CHARGE_ID]] = stable("charge", charge)
        if not api.can_delete(*charge_path(parent, charge)):
            continue
        for index in (0, -1, len(made) // 2, 99, 1, -2):
            key = list(made)[max(-len(made), min(index, len(made) - 1))]
            api.succeeds(api.delete(*charge_path(parent, made.pop(key) | {CHARGE_ID: key})))
            api.same("what_is_deleted_is_gone", sorted(map(str, listed(api, parent))), sorted(map(str, made)))
    _subscriptions_of_every_size(api, _sizes(api, is_long=False))


def _sizes(api: Api, *, is_long: bool) -> set[int]:
    """Return the sizes of a list to test. A real endpoint gets one long list, because each resource is a request."""
    if api.real:
        return {0, 1, 2, 3, 4, 5, 10, 11, 20, 21, 25, 26} | ({30, 31, 50, 51, 100, 101} if is_long else set())
    borders = thinned(api, (1, 2, 10, 16, 20, 25, 30, 32, 50, 64, 100, 128, 200, 250, 256), 2)
    return {border + beside for border in borders for beside in (-1, 0, 1)}


def _subscriptions_of_every_size(api: Api, sizes: set[int]) -> None:
    customer, numbers = api.customer(), list[str]()
    for size in range(max(sizes) + 1):
        if size in sizes:
            found = [str(each[SUBSCRIPTION_NO]) for each in api.subscriptions(customer)]
            api.same("lists_are_complete", sorted(found), sorted(numbers))
        numbers.append(api.subscription(customer, subscription_number(f"{size + 1}")))


@probe("state")
def writes_at_once_are_all_kept(api: Api) -> None:
    """Changes, creations and removals that come at once all take effect once; of equal removals one succeeds."""
    workers = 4 if api.real else 12
    bodies = rows("update", later=True)[50 : 50 + workers]
    names = [name for name in bodies[0] if name != wire("end_date")]
    for parent in parents(api):
        routes = [charge_path(parent, api.charge(*parent)) for _ in range(workers)]
        if CONTRACT.update_method:
            _at_once(workers, partial(_send_change, api), zip(routes, bodies, strict=True))
            expected = [held(change(body)) for body in bodies]
            reads = [api.succeeds(api.get(*route)).object for route in routes]
            found = [as_sent(api, *pair) for pair in zip(reads, expected, strict=True)]
            api.same("each_takes_effect_once", found, expected)
        if CONTRACT.update_method == "PATCH":
            # Different properties of one charge: a property left out stays as it is, so none of the changes is lost.
            route = charge_path(parent, api.charge(*parent))
            _at_once(workers, partial(_send_change, api), [(route, {name: bodies[0][name]}) for name in names])
            left = held(new_charge()) | {name: bodies[0][name] for name in names}
            api.same("each_takes_effect_once", as_sent(api, api.get(*route).object, left), left)
        if api.can_delete(*routes[0]):
            before = set(listed(api, parent))
            removals = _at_once(workers, lambda route: api.delete(*route), [routes[0]] * workers)
            api.same("one_removal_wins", sum(each.succeeded for each in removals), 1)
            api.same("only_it_is_deleted", {str(each) for each in before - set(listed(api, parent))}, {routes[0][-1]})
    route, body = subscriptions_path(api.customer()), new_subscription(FIRST)
    created = _at_once(workers, lambda route: api.post(*route, body=body), [route] * workers)
    api.same("one_creation_wins", sum(each.succeeded for each in created), 1)


def _send_change(api: Api, route_and_values: tuple[Parent, Mapping[str, Any]]) -> Exchange:
    route, values = route_and_values
    return api.succeeds(api.update(*route, body=change(values)))


def _at_once(workers: int, send: Callable[[Any], Exchange], values: Iterable[Any]) -> list[Exchange]:
    """Send a request for each value, from many threads, and return the responses."""
    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(send, values))
