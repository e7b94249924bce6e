"""What a variant holds, and how it shows it: resources, lists and problems, by the choices."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .choices import NAMES, Choices

Json = dict[str, Any]
DEFAULTS = {"quantity": 1, "unit_price": 99.0, "vat_rate": 25.0, "text": "From the master product"}


class Refusal(Exception):
    """The server refuses a request: a status, a problem type, and the parameters that failed."""

    def __init__(self, status: int, code: str, *names: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.names, self.headers = status, code, names, dict(headers or {})


@dataclass
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Charge:
    id: str
    values: Json
    extra: Json
    version: int = 1


@dataclass
class Level:
    """What a customer or a subscription holds."""

    number: str
    charges: dict[str, Charge] = field(default_factory=dict)
    subscriptions: dict[str, Level] = field(default_factory=dict)


class Views:
    """Writes the responses.

    Attributes:
        names: the name of each property of a charge, by role.
    """

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        pascal = choices["name_case"] == "pascal"
        names = {role: choices[f"name_{role}"] for role in NAMES} | {"id": choices["name_id"]}
        self.names = {role: name[:1].upper() + name[1:] if pascal else name for role, name in names.items()}

    def _parent(self, uri: str, level: Level, *, is_customer: bool = False) -> Json:
        shown: Json = {"@id": uri, "customerNo" if is_customer else "subscriptionNo": level.number}
        shown["recurringProducts"] = f"{uri}/recurring-products"
        if is_customer:
            shown["subscriptions"] = f"{uri}/subscriptions"
        return {**shown, "operations": None}

    def _charge(self, uri: str, charge: Charge) -> Json:
        identifier: Any = int(charge.id) if self.choices["id_kind"] == "integer" else charge.id
        own = {"@id": f"{uri}/{charge.id}"} if self.choices["own_link"] == "shown" else {}
        shown: Json = {**own, self.names["id"]: identifier, **charge.extra}
        for role in NAMES:
            value = charge.values.get(role)
            if value is None and self.choices["empty_values"] == "default":
                value = DEFAULTS.get(role)
                if role == "unit_price" and self.choices["price_kind"] == "text":
                    value = "99.00"
            if value is not None or self.choices["empty_values"] == "null":
                shown[self.names[role]] = value
        return shown

    def _show(
        self, document: object, status: int = 200, *, tag: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        tagged = {"ETag": tag} if tag and self.choices["etag"] != "none" else {}
        shown = {"Content-Type": "application/json", **(headers or {}), **tagged}
        return Reply(status, shown, json.dumps(document).encode())

    def _created(self, uri: str, document: Json) -> Reply:
        place = {"path": uri, "absolute": f"http://variant.example{uri}"}.get(self.choices["location"])
        headers = {"Location": place} if place else {}
        status = int(self.choices["create_status"])
        if self.choices["create_body"] == "empty":
            return Reply(status, headers)
        return self._show(document, status, headers=headers)

    def _deleted(self) -> Reply:
        return Reply(int(self.choices["delete_status"]))

    def _list(self, uri: str, items: list[Json], asked: Mapping[str, list[str]], kind: str) -> Reply:
        paging, navigation, headers = self.choices["paging"], {"@id": uri}, {}
        if paging != "none":
            parameter = self.choices["size_parameter"]
            size = int(asked.get(parameter, [self.choices["page_size"]])[0])
            page = int(asked.get("page", ["1"])[0])
            more = len(items) > page * size
            items = items[(page - 1) * size : page * size]
            following = f"{uri}?page={page + 1}" + (f"&{parameter}={size}" if parameter in asked else "")
            if more and paging == "header":
                headers["Link"] = f'<{following}>; rel="next"'
            elif more and paging in {"link", "object"}:
                navigation["next"] = {"@id": following} if paging == "object" else following  # type: ignore[assignment]
        name = {"by kind": kind}.get(self.choices["list_items"], self.choices["list_items"])
        if name == "bare":
            return self._show(items, headers=headers)
        shown: Json = {name: items}
        if self.choices["navigation"] == "present" or "next" in navigation:
            shown["navigation"] = navigation
        return self._show(shown, headers=headers)

    def problem(self, refusal: Refusal) -> Reply:
        """Return the response to a refused request."""
        if refusal.status < 300:
            return Reply(refusal.status, refusal.headers)
        forms: dict[str, Callable[[str], str]] = {
            "path": lambda name: f"$.{name}",
            "pascal": lambda name: name[:1].upper() + name[1:],
        }
        form = forms.get(self.choices["problem_names"], str)
        where = "https://payex.example/" if self.choices["problem_type"] == "absolute" else ""
        document: Json = {
            "type": f"{where}billing/customer/problems/{refusal.code}",
            "title": refusal.code.replace("-", " ").capitalize(),
            "status": refusal.status,
            "instance": f"urn:uuid:{uuid.uuid4()}",
        }
        if refusal.names and self.choices["problem_names"] != "none":
            document["problems"] = [{form(name): "is not valid"} for name in refusal.names]
        cases: dict[str, Callable[[str], str]] = {"pascal": str.title, "upper": str.upper}
        case = cases.get(self.choices["problem_case"], str)
        body = json.dumps({case(name): value for name, value in document.items()}).encode()
        status = 200 if self.choices["errors_as"] == "200" else refusal.status
        return Reply(status, {"Content-Type": self.choices["problem_media"], **refusal.headers}, body)
