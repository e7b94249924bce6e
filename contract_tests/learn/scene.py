"""What a run of `learn` has made and found out: the parent of its charges, their names, and how to add and read one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from .fence import OutOfBounds
from .line import ATTEMPTS, Line, Reply, Undecided
from .names import CANDIDATES, SAMPLES, is_same

MOST_PAGES = 8
_ID_NAME = re.compile(r"[A-Za-z]*I[dD]")
_OWN_LINK = re.compile(rb'"@id"\s*:\s*"([^"\\]+)"')


@dataclass
class Made:
    """A charge that the run added: where it is, and the response to its creation."""

    target: str
    reply: Reply


@dataclass
class Scene:
    """The state that the questions share.

    Attributes:
        declared: the contract's name of each role of a charge, and of `id`.
        names: the name of each role that is found out.
        kinds: the kind of each role that is found out.
        parent: the path segments of the resource that holds the charges.
    """

    line: Line
    stem: str
    prefix: str
    product: str
    declared: Mapping[str, str]
    customer_name: str = "customerNo"
    subscription_name: str = "subscriptionNo"
    charges_segment: str = "recurring-products"
    subscriptions_segment: str = "subscriptions"
    customer: str = ""
    subscription: str = ""
    names: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    required: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    subscriptions: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    own_parents: bool = False
    if_match: bool = False
    media_type: str = ""
    _serial: int = 0
    _spare: str = ""

    @property
    def parent(self) -> tuple[str, ...]:
        """The resource that holds the charges: the subscription, or else the customer."""
        below = (self.subscriptions_segment, self.subscription) if self.subscription else ()
        return (self.customer, *below)

    @property
    def charges(self) -> str:
        """The path of the charges."""
        return self.line.target(*self.parent, self.charges_segment)

    @property
    def customer_charges(self) -> str:
        """The path of the charges at customer level."""
        return self.line.target(self.customer, self.charges_segment)

    def fresh(self, tail: str = "") -> str:
        """Return a number that the run has not used."""
        self._serial += 1
        return f"{self.stem}{self._serial}{tail}"

    def candidates(self, role: str) -> list[str]:
        """Return the names to try for a role: the contract's own name first."""
        return list(dict.fromkeys([self.declared.get(role, ""), *CANDIDATES[role]]) | {})

    def content(self, **values: Any) -> dict[str, Any]:
        """Return the body of a charge: the code, and the values whose role has a known name."""
        code = self.names.get("product_code", self.declared["product_code"])
        named = {self.names[role]: value for role, value in values.items() if role in self.names}
        return {code: self.product, **self.required.get("charge", {}), **named}

    def sample(self, role: str) -> Any:
        """Return a value of a role in the kind that the server takes."""
        kinds = SAMPLES[role]
        return kinds.get(self.kinds.get(role, ""), next(iter(kinds.values())))

    # subscriptions and charges

    def add_subscription(self, number: str) -> Reply:
        """Create a subscription, and remember it for the clean-up."""
        body = {self.subscription_name: number, **self.required.get("subscription", {})}
        reply = self.line.send("POST", self.line.target(self.customer, self.subscriptions_segment), body)
        if reply.ok:
            self.subscriptions.append(number)
        return reply

    def add(
        self, body: Mapping[str, Any], *, at: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[Reply, Made | None]:
        """Add a charge. Return the response, and the charge if it was created.

        Raises:
            Undecided: the charge was created, and cannot be found.
        """
        collection = at or self._collection()
        created: Reply | None = None
        target = ""
        for _ in range(ATTEMPTS):
            reply = self.line.send("POST", collection, body, headers=headers)
            if not reply.ok and created is None:
                return reply, None
            if not reply.ok:
                break  # the first attempt took effect, and cannot be repeated
            created = reply
            self._spare = ""
            target = self._from_response(collection, reply)
            if target or not reply.body or reply.document is not None:
                break  # a body that a gateway cut is whole in the next attempt: one charge more does no harm here
        target = target or self._from_list(collection)
        made = next((each for each in self.made if each.target == target), None)
        if made is None:
            made = Made(target, created or reply)
            self.made.append(made)
        return created or reply, made

    def show(self, made: Made) -> dict[str, Any]:
        """Read a charge.

        Raises:
            Undecided: it cannot be read.
        """
        document = self.line.soon(made.target).document
        if not isinstance(document, dict):
            raise Undecided("a charge is no JSON object")
        return document

    def shows(self, made: Made, role: str, value: object) -> bool:
        """Return whether a charge shows a value, now or soon."""
        return self.line.until(lambda: is_same(role, self.show(made).get(self.names[role]), value))

    def try_add(self, body: Mapping[str, Any]) -> Reply:
        """Add a charge that nobody will read."""
        reply = self.line.send("POST", self._collection(), body)
        if reply.ok:
            self._spare = ""
        return reply

    def pages(self, target: str, most: int = MOST_PAGES) -> Iterator[Reply]:
        """Yield the pages of a list, as long as there is a link to the next one."""
        seen: set[str] = set()
        while target and target not in seen and len(seen) < most:
            seen.add(target)
            page = self.line.read(target)
            yield page
            link = next_link(page)[1]
            try:
                target = self.line.inside(link) if link else ""
            except OutOfBounds:
                target = ""

    def _collection(self) -> str:
        """Return where the next charge goes: in a subscription of its own if a creation does not show the new id."""
        if self.own_parents and self.subscription:
            number = self._spare or self.fresh()
            if self._spare or self.add_subscription(number).ok:
                self._spare = number  # empty until a charge is taken
                return self.line.target(self.customer, self.subscriptions_segment, number, self.charges_segment)
        return self.charges

    def _from_response(self, collection: str, reply: Reply) -> str:
        found = _OWN_LINK.search(reply.body)
        links = [found.group(1).decode("utf-8", "replace")] if found else []
        for link in [*links, reply.headers.get("location", "")]:
            if link and urlsplit(link).path.startswith(f"{collection}/"):
                return urlsplit(link).path
        return self._target_of(collection, reply.document)

    def _target_of(self, collection: str, document: object) -> str:
        """Return the path of a charge, by its link to itself or by its id; empty if it shows neither."""
        if not isinstance(document, dict):
            return ""
        link = document.get("@id")
        if isinstance(link, str) and urlsplit(link).path.startswith(f"{collection}/"):
            return urlsplit(link).path
        known = [self.names.get("id", ""), self.declared["id"], "id", "Id"]
        ids = [name for name in document if _ID_NAME.fullmatch(name)]
        name = next((each for each in known if each in document), ids[0] if len(ids) == 1 else "")
        value = document.get(name)
        is_id = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
        return f"{collection}/{quote(str(value), safe='')}" if is_id else ""

    def _from_list(self, collection: str) -> str:
        known = {made.target for made in self.made}
        self.own_parents = True  # the next charge is alone in its list
        new: list[str] = []

        def look() -> bool:
            found = [self._target_of(collection, item) for page in self.pages(collection) for item in items_of(page)]
            new[:] = [target for target in found if target not in known]
            return len(new) == 1

        if not self.line.until(look) or not new[0]:
            raise Undecided("a charge was created, and cannot be found in the list")
        return new[0]


def items_name(page: Reply) -> str | None:
    """Return the name of the property that holds the items; empty for a bare array, None if there is no list."""
    if isinstance(page.document, list):
        return ""
    if not isinstance(page.document, dict):
        return None
    arrays = [name for name, value in page.document.items() if isinstance(value, list)]
    objects = [name for name in arrays if all(isinstance(item, dict) for item in page.document[name])]
    return objects[0] if len(objects) == 1 else None


def items_of(page: Reply) -> list[dict[str, Any]]:
    """Return the items of a page."""
    name = items_name(page)
    items = [] if name is None else page.document if name == "" else page.document[name]
    return [item for item in items if isinstance(item, dict)]


def next_link(page: Reply) -> tuple[str, str]:
    """Return the form and the target of the link to the next page; two empty texts if there is none."""
    found = re.search(r'<([^>]*)>\s*;[^,]*\brel="?next\b', page.headers.get("link", ""))
    if found:
        return "header Link", found.group(1)
    if not isinstance(page.document, dict):
        return "", ""
    holders = [("", page.document)] + [
        (name, value) for name, value in page.document.items() if isinstance(value, dict)
    ]
    for where, holder in holders:
        for name, value in holder.items():
            if name.lower().lstrip("@") not in {"next", "nextlink", "nextpage"}:
                continue
            path = f"{where}.{name}" if where else name
            if isinstance(value, str) and value:
                # A token is no link: it would be a parameter of the next request.
                return (path, value) if re.search("[/?]", value) else (f"token {path}", "")
            if isinstance(value, dict):
                for inner in ("@id", "href"):
                    if isinstance(value.get(inner), str):
                        return f"{path}.{inner}", value[inner]
    return "", ""
