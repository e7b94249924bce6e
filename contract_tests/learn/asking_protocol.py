"""The questions about numbers, lists, HTTP, and requests that break off."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from .engine import Answer, Answers
from .line import LATER, Reply, Undecided
from .scene import Scene, items_name, items_of, next_link

ENOUGH, LEAST = 26, 21  # one more than the usual sizes of a page, 25 and 20
SIZES = ("pageSize", "limit", "size", "perPage")
POLLS = (0, 1, 2, 4, 8)  # seconds between two looks; 15 in all


def slash(scene: Scene) -> Answers:
    """Create a customer with a slash in its number, and read it with `%2F`."""
    number = f"{scene.stem}/b"  # a customer number has at most 15 characters
    reply = scene.line.send(
        "POST", scene.line.target(), {scene.customer_name: number, **scene.required.get("customer", {})}
    )
    if not reply.ok:
        scene.line.fence.refused(number)
        return {"slash": Answer("refused", f"POST was answered {reply.verdict}")}
    shown = _later(scene, scene.line.target(number))
    return {
        "slash": "accepted" if shown.shows(number) else Answer("blocked", f"GET with %2F was answered {shown.verdict}")
    }


def _later(scene: Scene, target: str) -> Reply:
    """Read what was just created; if the server has shown other writes only later, wait for it."""
    if scene.line.is_late:
        scene.line.wait(LATER[-1])
    return scene.line.look(target)


def dots(scene: Scene) -> Answers:
    """Create a subscription with a dot in its number, and read it."""
    number = scene.fresh(".b")
    reply = scene.add_subscription(number)
    if not reply.ok:
        return {"dots": Answer("refused", f"POST was answered {reply.verdict}")}
    shown = _later(scene, scene.line.target(scene.customer, scene.subscriptions_segment, number))
    return {"dots": "accepted" if shown.shows(number) else Answer("blocked", f"GET was answered {shown.verdict}")}


def number_case(scene: Scene) -> Answers:
    """Read the customer with the case of its letters swapped."""
    other = scene.customer[:-3] + scene.customer[-3:].swapcase()
    if other == scene.customer:
        raise Undecided("the number has no letter whose case could be swapped")
    return {"number-case": "insensitive" if scene.line.look(scene.line.target(other)).shows(other) else "sensitive"}


def missing(scene: Scene) -> Answers:
    """Read a charge that does not exist."""
    return {"missing-charge": scene.line.send("GET", f"{scene.charges}/999999999").verdict}


def unauthorized(scene: Scene) -> Answers:
    """Read the customer without a token."""
    target = scene.line.target(scene.customer)
    reply = scene.line.send("GET", target, headers={"Authorization": ""}, any_status=True)
    return {"without-token": "shown" if reply.ok else str(reply.status) if 400 <= reply.status < 500 else ""}


def queries(scene: Scene) -> Answers:
    """Read a list with a query parameter that no server knows."""
    reply = scene.line.send("GET", f"{scene.charges}?xLearnProbe=1")
    return {"unknown-queries": "ignored" if reply.ok else Answer("refused", f"GET was answered {reply.verdict}")}


def methods(scene: Scene) -> Answers:
    """Send HEAD and OPTIONS."""
    target = scene.line.target(scene.customer)
    return {name.lower(): "works" if scene.line.send(name, target).ok else "refused" for name in ("HEAD", "OPTIONS")}


def lists(scene: Scene) -> Answers:
    """Read both lists."""
    page = scene.line.read(scene.charges)
    name = items_name(page)
    answers: dict[str, Answer | str] = {"list-items": "" if name is None else name or "a bare array"}
    if isinstance(page.document, dict):
        answers["list-navigation"] = "present" if isinstance(page.document.get("navigation"), dict) else "absent"
    else:
        answers["list-navigation"] = "absent"
    if scene.subscription:
        other = items_name(scene.line.read(scene.line.target(scene.customer, scene.subscriptions_segment)))
        answers["list-items-subscriptions"] = "" if other is None else other or "a bare array"
    return answers


def paging(scene: Scene) -> Answers:
    """Ask for pages of one item; if no parameter does that, add items until a page is full."""
    collection, held, add = _longest(scene)
    while held < 2:
        held += add()
    page = scene.line.read(collection)
    if form := next_link(page)[0]:
        return {"paging": form}
    held = max(held, len(items_of(page)))
    for name in SIZES:
        page = scene.line.look(f"{collection}?{name}=1")
        items = items_of(page)
        if page.ok and len(items) == 1:
            form, _ = next_link(page)
            more = f"parameters page and {name}"
            return {"paging": form or _by_number(scene, f"{collection}?{name}=1&page=2", items, more)}
    while held < ENOUGH and (held < LEAST or scene.line.fence.left > 2):
        held += add()
    if scene.line.is_late:
        scene.line.wait(LATER[-1])
    page = scene.line.read(collection)
    items = items_of(page)
    if form := next_link(page)[0]:
        return {"paging": form}
    if items_name(page) is None:
        raise Undecided("the list has a form that is not known")
    if len(items) >= held:
        return {"paging": Answer("none", f"{len(items)} items came in one page")}
    return {"paging": _by_number(scene, f"{collection}?page=2", items, "parameter page")}


def _longest(scene: Scene) -> tuple[str, int, Callable[[], int]]:
    """Return the list that has most items, how many it has, and a function that adds one."""
    charges = sum(made.target.startswith(f"{scene.charges}/") for made in scene.made)

    def add_charge() -> int:
        if not scene.line.send("POST", scene.charges, scene.content()).ok:
            raise Undecided("no charge could be added")
        return 1

    def add_subscription() -> int:
        if not scene.add_subscription(scene.fresh()).ok:
            raise Undecided("no subscription could be created")
        return 1

    if len(scene.subscriptions) > charges:
        target = scene.line.target(scene.customer, scene.subscriptions_segment)
        return target, len(scene.subscriptions), add_subscription
    return scene.charges, charges, add_charge


def _by_number(scene: Scene, target: str, first: list[dict[str, object]], form: str) -> Answer:
    items = items_of(scene.line.look(target))
    if items and not any(item in first for item in items):
        return Answer(form)
    raise Undecided("a page is not the whole list, and no way to the next page was found")


def _own_collection(scene: Scene) -> tuple[str, int]:
    """Return a list for one question, and how many charges it has."""
    number = scene.fresh()
    if scene.subscription and scene.add_subscription(number).ok:
        if scene.line.is_late:
            scene.line.wait(LATER[-1])
        return scene.line.target(scene.customer, scene.subscriptions_segment, number, scene.charges_segment), 0
    return scene.customer_charges, _count(scene, scene.customer_charges)


def _count(scene: Scene, collection: str) -> int:
    pages = list(scene.pages(collection))
    if any(items_name(page) is None for page in pages):
        raise Undecided("the list has a form that is not known")
    return sum(len(items_of(page)) for page in pages)


def idempotency(scene: Scene) -> Answers:
    """Add a charge twice with one Idempotency-Key, and count."""
    collection, before = _own_collection(scene)
    key = {"Idempotency-Key": secrets.token_hex(16)}
    first = scene.line.send("POST", collection, scene.content(), headers=key)
    if not first.ok:
        return {"idempotency-key": Answer("refused", f"POST was answered {first.verdict}")}
    second = scene.line.send("POST", collection, scene.content(), headers=key)
    if not second.ok:
        raise Undecided(f"the second POST was answered {second.verdict}")
    if scene.line.until(lambda: _count(scene, collection) - before > 1):
        return {"idempotency-key": "ignored"}
    return {"idempotency-key": "honoured"}


def late(scene: Scene) -> Answers:
    """Break off a POST, and look when the charge is there."""
    collection, before = _own_collection(scene)
    try:
        if not scene.line.break_off(collection, scene.content()):
            raise Undecided("this transport cannot break off a request")
    except OSError:
        raise Undecided("no connection could be made to break off") from None
    start = scene.line.waited
    for seconds in POLLS:
        if seconds:
            scene.line.wait(seconds)
        is_there = _count(scene, collection) > before
        waited = scene.line.waited - start
        if is_there:
            return {"broken-off-post": f"takes effect within {waited:g} s" if waited else "takes effect at once"}
    return {"broken-off-post": f"no effect within {sum(POLLS)} s"}
