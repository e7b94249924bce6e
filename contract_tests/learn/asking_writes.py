"""The questions about changes, removals and duplicates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .engine import Answer, Answers
from .line import Reply, Undecided
from .names import is_same
from .scene import Made, Scene

NEW = ("quantity", "unit_price", "vat_rate", "text")  # the values that are changed
MERGE_PATCH = "application/merge-patch+json"


def update(scene: Scene) -> Answers:
    """Change one value of a charge by each method, and read what became of the others."""
    known = [role for role in NEW if role in scene.names]
    if len(known) < 2:
        raise Undecided("fewer than two names of values are known")
    changed, watched = known[0], known[-1]
    made: Made | None = None
    answers: dict[str, Answer | str] = {"patch-means": "", "put-means": ""}
    working: list[str] = []
    refused = ""
    for method in ("PATCH", "PUT", "POST"):
        if method == "POST" and working:
            break
        if made is None or answers["patch-means"] == "replace":
            made = _full_charge(scene)
        code = {scene.names.get("product_code", scene.declared["product_code"]): scene.product}
        new = _new(scene, changed, method)
        one = {scene.names[changed]: new}
        whole = scene.content(**{role: scene.sample(role) for role in scene.names if role in _ROLES}) | one
        bodies = [one, code | one] if method != "PUT" else [code | one, whole]
        reply, body = _first_that_works(scene, method, made, bodies)
        if not reply.ok:
            if reply.status not in NO_SUCH_METHOD:
                refused = f"{method} was answered {reply.verdict}"
            if method != "POST":
                answers[f"{method.lower()}-means"] = Answer("does not apply", f"{method} was answered {reply.verdict}")
            continue
        if not scene.shows(made, changed, new):
            continue  # accepted without an effect
        shown = scene.show(made)
        working.append(method)
        answers.setdefault("update-status", str(reply.status))
        if method == "PATCH":
            answers["patch-media-type"] = scene.media_type or "application/json"
        if method != "POST" and body is not whole:
            kept = is_same(watched, shown.get(scene.names[watched]), scene.sample(watched))
            answers[f"{method.lower()}-means"] = "merge" if kept else "replace"
    scene.facts["changes-by"] = _best(working, answers)
    if not working and refused:
        raise Undecided(f"PATCH, PUT and POST are refused; {refused}")
    return {**answers, "update": " and ".join(working) or "none"}


def _first_that_works(
    scene: Scene, method: str, made: Made, bodies: list[dict[str, Any]]
) -> tuple[Reply, dict[str, Any]]:
    """Send the bodies until one is taken; with the charge's ETag, if it has one, in a second round."""
    for round_ in range(2):
        for body in bodies:
            reply = _change(scene, method, made, body)
            if reply.ok or reply.status in NO_SUCH_METHOD:
                return reply, body
        for body in bodies if method == "PATCH" else ():
            reply = _change(scene, method, made, body, **{"Content-Type": MERGE_PATCH})
            if reply.ok:
                scene.media_type = MERGE_PATCH
                return reply, body
        if scene.if_match or round_ or not _tag(scene, made.target):
            break
        scene.if_match = True  # a gateway may have rewritten a 428
    scene.if_match = scene.if_match and not round_
    return reply, body


NO_SUCH_METHOD = {404, 405, 501}
# A request with other headers, or at another time, may be taken.
CONDITIONS = {409, 411, 412, 415, 423, 425, 428}
_A_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ROLES = {*NEW, "start_date", "end_date"}


def _best(working: list[str], answers: dict[str, Answer | str]) -> str:
    """Return the method for later changes: one that merges, if there is one."""
    merging = [each for each in working if answers.get(f"{each.lower()}-means") == "merge"]
    return next(iter([*merging, *working]), "")


def _new(scene: Scene, role: str, method: str) -> Any:
    """Return a value that a charge does not have yet: another one for each method."""
    value = scene.sample(role)
    if role == "text":
        return f"{value} {method}"
    more = ("", "PATCH", "PUT", "POST", "If-Match").index(method)
    return str(Decimal(value) + more) if isinstance(value, str) else value + more


def _full_charge(scene: Scene) -> Made:
    """Add a charge that has every value whose name is known."""
    roles = [role for role in (*NEW, "start_date", "end_date") if role in scene.names]
    _, made = scene.add(scene.content(**{role: scene.sample(role) for role in roles}))
    if made is None:
        raise Undecided("a charge with all known values was refused")
    return made


def _tag(scene: Scene, target: str) -> str:
    """Return the ETag of a charge; empty if it has none."""
    return scene.line.soon(target).headers.get("etag", "")


def _change(scene: Scene, method: str, made: Made, body: dict[str, Any], **headers: str) -> Reply:
    """Change a charge, with the media type and the precondition that the server wants."""
    if scene.media_type and method == "PATCH":
        headers["Content-Type"] = scene.media_type
    if scene.if_match and "If-Match" not in headers:
        headers["If-Match"] = _tag(scene, made.target) or "*"
    reply = scene.line.send(method, made.target, body, headers=headers)
    if reply.status == 428 and not scene.if_match:
        scene.if_match = True
        reply = _change(scene, method, made, body)
    return reply


def _again(scene: Scene, made: Made, role: str, value: Any, **headers: str) -> Reply:
    """Change one value by the method that was found out."""
    method = scene.facts["changes-by"]
    if method == "PATCH" and scene.facts.get("patch-means") == "merge":
        body = {scene.names[role]: value}
    else:
        body = scene.content(**{each: scene.sample(each) for each in scene.names if each in _ROLES})
        body[scene.names[role]] = value
    return _change(scene, method, made, body, **headers)


def null(scene: Scene) -> Answers:
    """Set a value to null, and read it."""
    known = [role for role in ("text", "unit_price", "vat_rate", "quantity") if role in scene.names]
    made = _full_charge(scene)
    reply = _again(scene, made, known[0], None)
    if not reply.ok:
        return {"null": Answer("refused", f"{reply.method} was answered {reply.verdict}")}
    name, value = scene.names[known[0]], scene.sample(known[0])
    cleared = scene.line.until(lambda: not is_same(known[0], scene.show(made).get(name), value))
    return {"null": "clears" if cleared else "ignored"}


def etag(scene: Scene) -> Answers:
    """Change a charge with an ETag that it does not have."""
    if scene.if_match:
        return {"etag": "required"}
    role = next(role for role in NEW if role in scene.names)
    made = scene.made[-1]
    if not _tag(scene, made.target):
        return {"etag": "none"}
    if not scene.facts.get("changes-by"):
        raise Undecided("there is an ETag, and no known way to change a charge")
    reply = _again(scene, made, role, _new(scene, role, "If-Match"), **{"If-Match": '"learn-no-such-tag"'})
    return {"etag": "sent, not enforced" if reply.ok else "enforced"}


def delete_charge(scene: Scene) -> Answers:
    """Remove a charge, and read it."""
    _, made = scene.add(scene.content())
    if made is None:
        raise Undecided("no charge could be added")
    before = scene.show(made)
    reply = _delete(scene, made.target)
    if not reply.ok:
        return {"delete-charge": _no_deletion(reply)}
    after: list[Reply] = []

    def look() -> bool:
        after.append(scene.line.look(made.target))
        return not after[-1].ok or after[-1].document != before

    if not scene.line.until(look):
        return {"delete-charge": "has no effect", "delete-status": str(reply.status)}
    if after[-1].ok:
        return {"delete-charge": _what_stays(scene, before, after[-1]), "delete-status": str(reply.status)}
    scene.made.remove(made)
    return {"delete-charge": "removes", "delete-status": str(reply.status)}


def _what_stays(scene: Scene, before: Mapping[str, Any], after: Reply) -> Answer:
    """Return `ends` if the charge that is still there has got an end date."""
    shown = after.document if isinstance(after.document, dict) else {}
    changed = sorted(name for name in {*shown, *before} if shown.get(name) != before.get(name))
    end = scene.names.get("end_date", "")
    has_end = end in changed and _A_DATE.match(str(shown.get(end)))
    if has_end or (not end and any(_A_DATE.fullmatch(str(shown.get(name))) for name in changed)):
        return Answer("ends")
    what = ", ".join(changed) or "nothing"
    return Answer(note=f"DELETE is answered as a success, and GET still shows the charge; {what} changed")


def _no_deletion(reply: Reply) -> Answer:
    """Return what the refusal of a DELETE means.

    Raises:
        Undecided: the server refuses this request, and may take another DELETE.
    """
    if reply.status in CONDITIONS or reply.code == "validation":
        raise Undecided(f"DELETE was answered {reply.verdict}: the server may need more than the path")
    return Answer("not configured" if reply.status == 501 else "refused", f"DELETE was answered {reply.verdict}")


def _delete(scene: Scene, target: str) -> Reply:
    headers = {"If-Match": _tag(scene, target) or "*"} if scene.if_match else {}
    reply = scene.line.send("DELETE", target, headers=headers)
    if reply.ok or reply.status in NO_SUCH_METHOD or scene.if_match:
        return reply
    if reply.status == 428 or _tag(scene, target):
        scene.if_match = True  # a gateway may have rewritten a 428
        again = _delete(scene, target)
        scene.if_match = again.ok
        return again
    return reply


def delete_subscription(scene: Scene) -> Answers:
    """Create a subscription, remove it, and read it."""
    number = scene.fresh()
    if not scene.add_subscription(number).ok:
        raise Undecided("no second subscription could be created")
    target = scene.line.target(scene.customer, scene.subscriptions_segment, number)
    reply = scene.line.send("DELETE", target)
    if not reply.ok:
        return {"delete-subscription": _no_deletion(reply)}
    if not scene.line.until(lambda: not scene.line.send("GET", target).ok):
        return {"delete-subscription": "has no effect"}
    scene.subscriptions.remove(number)
    return {"delete-subscription": "removes"}


def duplicates(scene: Scene) -> Answers:
    """Create the customer and the subscription again."""
    body = {scene.customer_name: scene.customer, **scene.required.get("customer", {})}
    customer = scene.line.send("POST", scene.line.target(), body)
    answers: dict[str, Answer | str] = {"duplicate-customer": _verdict(customer)}
    if scene.subscription:
        body = {scene.subscription_name: scene.subscription, **scene.required.get("subscription", {})}
        target = scene.line.target(scene.customer, scene.subscriptions_segment)
        answers["duplicate-subscription"] = _verdict(scene.line.send("POST", target, body))
    return answers


def _verdict(reply: Reply) -> Answer:
    return Answer(f"accepted with {reply.status}" if reply.ok else reply.verdict, seen=(reply,))
