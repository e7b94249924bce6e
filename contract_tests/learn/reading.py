"""The answers that need no request of their own: they are in what was exchanged anyhow."""

from __future__ import annotations

import re
from collections import defaultdict

from .engine import Answer, Answers
from .line import Reply
from .scene import Scene

_ID = re.compile(r"(?=.*\d)[A-Za-z0-9|:_.\-=;]{8,}")
_NOT_TRACKING = {"etag", "location", "content-length", "date", "last-modified", "expires", "set-cookie", "retry-after"}
ENOUGH = 5


def creations(scene: Scene) -> Answers:
    """Read statuses and headers of the creations."""
    replies = [each for each in scene.line.exchanges if each.method == "POST" and each.ok and _is_collection(each)]
    statuses = sorted({str(each.status) for each in replies})
    places = {_place(each) for each in replies}
    return {
        "create-status": Answer(" or ".join(statuses), seen=tuple(replies[:1])),
        "location": Answer(places.pop() if len(places) == 1 else "", seen=tuple(replies[:1])),
    }


def _is_collection(reply: Reply) -> bool:
    return reply.target.rpartition("/")[2] in {"customers", "subscriptions", "recurring-products"}


def _place(reply: Reply) -> str:
    place = reply.headers.get("location", "")
    return "none" if not place else "path" if place.startswith("/") else "absolute"


def problems(scene: Scene) -> Answers:
    """Read the spelling and the media type of the problems."""
    replies = [each for each in scene.line.exchanges if each.problem]
    cases, media = set(), set()
    for reply in replies:
        name = next(name for name in reply.document if name.lower() == "type")
        cases.add("camelCase" if name == "type" else "PascalCase" if name == "Type" else name)
        media.add(reply.headers.get("content-type", "").partition(";")[0].strip())
    return {
        "problem-keys": Answer(" and ".join(sorted(cases)), seen=tuple(replies[:1])),
        "problem-media-type": Answer(" and ".join(sorted(media)), seen=tuple(replies[:1])),
    }


def tracking(scene: Scene) -> Answers:
    """Find the response headers that hold another id in each response."""
    values: dict[str, list[str]] = defaultdict(list)
    replies = [each for each in scene.line.exchanges if each.status]
    for reply in replies:
        for name, value in reply.headers.items():
            values[name].append(value)
    if len(replies) < ENOUGH:
        return {}
    names = sorted(
        name
        for name, each in values.items()
        if name not in _NOT_TRACKING
        and len(each) > len(replies) // 2
        and len(set(each)) == len(each)
        and all(map(_ID.fullmatch, each))
    )
    return {"tracking-headers": ", ".join(names) or "none"}
