"""The questions that come first: where the API is, and whether customers, subscriptions and charges can be created."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import unquote

from .engine import Answer, Answers
from .line import Reply, Undecided
from .names import IMPOSSIBLE, is_same, shown_name, styled
from .scene import Scene

MOST_CORRECTIONS = 3
# A value for a property that a server requires and the contract does not have, by a part of its name.
GUESSES = {"currency": "SEK", "country": "SE", "email": "learn@example.com", "date": "2091-01-01", "type": "private"}


def subdomain(scene: Scene, bases: dict[str, str]) -> Answers:
    """Create the customer at the first base path that takes it, and look for it at the others."""
    found: list[str] = []
    reasons = []
    created = False
    for name, base in bases.items():
        scene.line.base = base
        try:
            if scene.customer:
                if scene.line.look(scene.line.target(scene.customer)).shows(scene.customer):
                    found.append(name)
                continue
            reply = _create_customer(scene)
            if reply.ok and _is_there(scene, scene.stem):
                scene.customer = scene.stem
                found.append(name)
                continue
        except Undecided as error:
            reasons.append(f"{name}: {error}")
            continue
        if reply.ok:
            created = True  # it may be there, although no GET shows it
            reasons.append(f"{name}: POST was answered {reply.status}, and no GET shows the customer")
            continue
        if not created:
            scene.line.fence.refused(scene.stem)
        named = f" ({', '.join(reply.failed_names)})" if reply.failed_names else ""
        reasons.append(f"{name}: POST was answered {reply.verdict}{named}")
    if not found:
        raise Undecided("no customer could be created; " + "; ".join(reasons))
    scene.line.base = bases[found[0]]
    return {"subdomain": " and ".join(found)}


def _create_customer(scene: Scene) -> Reply:
    reply = _create(scene, "customer", scene.stem, scene.line.target())
    if reply.status in {400, 422}:  # a number may have to have digits only
        scene.line.fence.refused(scene.stem)
        scene.stem = f"{scene.prefix}{1000 + secrets.randbelow(9000)}"
        reply = _create(scene, "customer", scene.stem, scene.line.target())
    return reply


def _is_there(scene: Scene, number: str) -> bool:
    """Return whether the API shows a customer: anything may answer 200."""
    return scene.line.until(lambda: scene.line.look(scene.line.target(number)).shows(number))


def _create(scene: Scene, kind: str, number: str, collection: str) -> Reply:
    """Create a customer or subscription, with a value for each property that the server asks for."""
    name = scene.customer_name if kind == "customer" else scene.subscription_name
    more = scene.required.setdefault(kind, {})
    for _ in range(MOST_CORRECTIONS):
        reply = scene.line.send("POST", collection, {name: number, **more})
        if reply.ok:
            return reply
        if scene.line.exchanges[-2:-1] and scene.line.exchanges[-2].method == "POST":
            # The first attempt may have had an effect although a gateway lost its response.
            shown = scene.line.send("GET", f"{collection}/{number}")
            if shown.ok:
                return shown
        named = [each[:1].lower() + each[1:] if name[:1].islower() else each for each in reply.failed_names]
        missing = [each for each in named if each.lower() != name.lower() and each not in more]
        if reply.status not in {400, 422} or not missing:
            break
        more |= {each: guess(each) for each in missing}
    more.clear()
    return reply


def guess(name: str) -> Any:
    """Return a value for a property of which only the name is known."""
    return next((value for part, value in GUESSES.items() if part in name.lower()), "Learn")


def subscriptions(scene: Scene) -> Answers:
    """Create the subscription that will hold the charges."""
    number = scene.fresh()
    reply = _create(scene, "subscription", number, scene.line.target(scene.customer, scene.subscriptions_segment))
    if reply.ok:
        scene.subscription = number
        scene.subscriptions.append(number)
        return {"subscriptions": "can be created"}
    return {"subscriptions": Answer("cannot be created", f"POST was answered {reply.verdict}")}


def charges(scene: Scene) -> Answers:
    """Send a body without a code, and then find the name of the code, and that of the id."""
    empty = scene.line.send("POST", scene.charges, {})
    answers: dict[str, Answer | str] = {}
    if not empty.ok:
        answers["validation"] = Answer(empty.verdict, seen=(empty,))
    declared = scene.declared["product_code"]
    hints = [name for name in empty.failed_names if not empty.ok]
    hints += [name[:1].lower() + name[1:] for name in hints if name[:1].isupper()]
    tried: list[str] = []
    for name in dict.fromkeys([*hints, declared]):
        if _takes_code(scene, name, tried):
            break
    else:
        names = [styled(each, hints[0] if hints else declared) for each in scene.candidates("product_code")]
        both = names if hints else [*names, *(each[:1].upper() + each[1:] for each in names)]
        if not any(_takes_code(scene, each, tried) for each in both if each not in tried):
            raise Undecided("no charge could be added: is --product a product of this ledger?")
    made = scene.made[-1]
    shown = scene.show(made)
    name = shown_name(shown, tried[-1])
    if name and is_same("product_code", shown[name], scene.product) and (not empty.ok or _refuses(scene, name)):
        scene.names["product_code"] = name
        answers["name-product_code"] = name
    tail = unquote(made.target.rpartition("/")[2])
    ids = [key for key, value in shown.items() if key != "@id" and str(value) == tail and not isinstance(value, bool)]
    declared_id = scene.declared["id"]
    if declared_id in ids or len(ids) == 1:
        name = declared_id if declared_id in ids else ids[0]
        scene.names["id"] = name
        answers["name-id"] = name
        answers["kind-id"] = "integer" if isinstance(shown[name], int) else "text"
    return {**answers, "charges": "can be added"}


def _takes_code(scene: Scene, name: str, tried: list[str]) -> bool:
    tried.append(name)
    body = {name: scene.product, **scene.required.get("charge", {})}
    reply, made = scene.add(body)
    if made is None and name.lower() not in {each.lower() for each in reply.failed_names}:
        # The server asks for more: give each property that it names a value, once.
        more = {each: guess(each) for each in reply.failed_names}
        if more and scene.add(body | more)[1] is not None:
            scene.required["charge"] = more
            return True
    return made is not None


def _refuses(scene: Scene, name: str) -> bool:
    """Return whether the server refuses a value that the property cannot hold, so that it knows the property."""
    return not scene.line.send("POST", scene.charges, {name: IMPOSSIBLE}).ok


def unknown(scene: Scene) -> Answers:
    """Send a property that no server knows."""
    reply, made = scene.add({**scene.content(), "xLearnProbe": "kept?"})
    if made is None:
        return {"unknown-properties": Answer("refused", f"POST was answered {reply.verdict}")}
    return {"unknown-properties": "kept" if scene.show(made).get("xLearnProbe") == "kept?" else "dropped"}


def twice(scene: Scene) -> Answers:
    """Add a charge of the same product again."""
    collection = scene.made[0].target.rpartition("/")[0]
    reply, made = scene.add(scene.content(), at=collection)
    if made is not None:
        return {"same-product-twice": "accepted"}
    scene.own_parents = True  # so that a refusal of a later charge has another reason
    if not scene.subscription or not scene.try_add(scene.content()).ok:
        scene.facts["charges"] = ""
        raise Undecided(f"a second charge was answered {reply.verdict}")
    return {"same-product-twice": Answer("refused", f"POST was answered {reply.verdict}")}
