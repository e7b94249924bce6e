"""The questions about numbers, lists, HTTP, and requests that break off."""

from __future__ import annotations

import secrets

from .engine import Answer, Answers
from .line import Undecided
from .scene import Scene, items_name, items_of, next_link

ENOUGH = 26
SIZES = ("pageSize", "limit", "size", "perPage")
POLLS = (0, 1, 2, 4, 8)  # seconds between two looks; 15 in all


def slash(scene: Scene) -> Answers:
    """Create a customer with a slash in its number, and read it with `%2F`."""
    number = scene.fresh("/b")
    reply = scene.line.send(
        "POST", scene.line.target(), {scene.customer_name: number, **scene.required.get("customer", {})}
    )
    if not reply.ok:
        scene.line.fence.refused(number)
        return {"slash": Answer("refused", f"POST was answered {reply.verdict}")}
    shown = scene.line.send("GET", scene.line.target(number))
    return {"slash": "accepted" if shown.ok else Answer("blocked", f"GET with %2F was answered {shown.verdict}")}


def dots(scene: Scene) -> Answers:
    """Create a subscription with a dot in its number, and read it."""
    number = scene.fresh(".b")
    reply = scene.add_subscription(number)
    if not reply.ok:
        return {"dots": Answer("refused", f"POST was answered {reply.verdict}")}
    shown = scene.line.send("GET", scene.line.target(scene.customer, scene.subscriptions_segment, number))
    return {"dots": "accepted" if shown.ok else Answer("blocked", f"GET was answered {shown.verdict}")}


def number_case(scene: Scene) -> Answers:
    """Read the customer with the case of its letters swapped."""
    other = scene.customer[:-3] + scene.customer[-3:].swapcase()
    if other == scene.customer:
        raise Undecided("the number has no letter whose case could be swapped")
    return {"number-case": "insensitive" if scene.line.send("GET", scene.line.target(other)).ok else "sensitive"}


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
    """Ask for pages of one charge; if no parameter does that, add charges until a page is full."""
    held = sum(made.target.startswith(f"{scene.charges}/") for made in scene.made)
    while held < 2:
        held += _add_one(scene)
    page = scene.line.read(scene.charges)
    if form := next_link(page)[0]:
        return {"paging": form}
    held = max(held, len(items_of(page)))
    for name in SIZES:
        page = scene.line.look(f"{scene.charges}?{name}=1")
        items = items_of(page)
        if page.ok and len(items) == 1:
            form, _ = next_link(page)
            return {"paging": form or _by_number(scene, f"{name}=1", items, f"parameters page and {name}")}
    while held < ENOUGH:
        held += _add_one(scene)
    page = scene.line.read(scene.charges)
    items = items_of(page)
    if form := next_link(page)[0]:
        return {"paging": form}
    if items_name(page) is None:
        raise Undecided("the list has a form that is not known")
    if len(items) >= held:
        return {"paging": Answer("none", f"{len(items)} charges came in one page")}
    return {"paging": _by_number(scene, "", items, "parameter page")}


def _add_one(scene: Scene) -> int:
    if not scene.line.send("POST", scene.charges, scene.content()).ok:
        raise Undecided("no charge could be added")
    return 1


def _by_number(scene: Scene, query: str, first: list[dict[str, object]], form: str) -> Answer:
    page = scene.line.look(f"{scene.charges}?{query}{'&' if query else ''}page=2")
    items = items_of(page)
    if items and not any(item in first for item in items):
        return Answer(form)
    raise Undecided("a page is not the whole list, and no way to the next page was found")


def _own_collection(scene: Scene) -> tuple[str, int]:
    """Return a list for one question, and how many charges it has."""
    number = scene.fresh()
    if scene.subscription and scene.add_subscription(number).ok:
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
    added = _count(scene, collection) - before
    if added not in {1, 2}:
        raise Undecided(f"two POSTs added {added} charges")
    if added == 2:
        return {"idempotency-key": "ignored"}
    return {
        "idempotency-key": "honoured" if second.ok else Answer("honoured", f"the second was answered {second.verdict}")
    }


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
