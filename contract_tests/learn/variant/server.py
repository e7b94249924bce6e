"""The server of a variant: customers, subscriptions and charges in memory, by the choices."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qs, quote, unquote

from .choices import Choices
from .views import Charge, Json, Level, Refusal, Reply, Views


class Clock:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Server(Views):
    """Carries out requests by the choices, without the gateway."""

    def __init__(self, choices: Choices, ledger: str, token: str, clock: Clock) -> None:
        super().__init__(choices)
        self.ledger, self.token, self.clock = ledger, token, clock
        self.customers: dict[str, Level] = {}
        self.late: list[tuple[float, Callable[[], object]]] = []
        self.keys: dict[str, Reply] = {}
        self.versions: list[tuple[float, dict[str, Level]]] = []
        self.serial = 0
        self.roles = {name: role for role, name in self.names.items() if role != "id"}
        subdomain = choices["subdomain"]
        self.bases = ["customer", "billing"] if subdomain == "both" else [subdomain]

    # routes

    def __call__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        for due, act in [each for each in self.late if each[0] <= self.clock.now]:
            self.late.remove((due, act))
            act()
            self.versions.append((due, copy.deepcopy(self.customers)))
        if method in {"GET", "HEAD"}:
            return self._read_late(lambda: self._served(method, target, headers, body))
        try:
            return self._served(method, target, headers, body)
        finally:
            if float(self.choices["lag"]):
                self.versions.append((self.clock.now, copy.deepcopy(self.customers)))

    def _read_late(self, read: Callable[[], Reply]) -> Reply:
        """Read what was there some time ago."""
        if not float(self.choices["lag"]):
            return read()
        now, due = self.customers, self.clock.now - float(self.choices["lag"])
        self.customers = next((held for time, held in reversed(self.versions) if time <= due), {})
        try:
            return read()
        finally:
            self.customers = now

    def _served(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        path, _, query = target.partition("?")
        parts = path.split("/")[1:]
        if len(parts) < 5 or parts[0] != "billing" or parts[1] not in self.bases or parts[2] != "v1":
            raise Refusal(404, "not-found")
        if headers.get("authorization") != f"Bearer {self.token}" or parts[3] != self.ledger:
            raise Refusal(401, "unauthorized", headers={"WWW-Authenticate": "Bearer"})
        known = {"page", self.choices["size_parameter"]}
        asked = parse_qs(query, keep_blank_values=True)
        if self.choices["query_unknown"] == "refused" and set(asked) - known:
            raise Refusal(int(self.choices["validation_status"]), "validation", *(set(asked) - known))
        base, numbers = "/" + "/".join(parts[:4]), [unquote(part) for part in parts[5:]]
        if parts[4] != "customers":
            raise Refusal(404, "not-found")
        return self._route(method, base, numbers, asked, headers, body)

    def _route(
        self,
        method: str,
        base: str,
        parts: list[str],
        asked: Mapping[str, list[str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        if not parts:
            self._only(method, "POST")
            return self._create_customer(base, body)
        customer = self._find(self.customers, parts[0], "customer")
        uri = f"{base}/customers/{quote(customer.number, safe='')}"
        if len(parts) == 1:
            self._only(method, "GET")
            return self._show(self._parent(uri, customer, is_customer=True))
        if parts[1] == "subscriptions":
            if len(parts) == 2:
                self._only(method, "GET", "POST")
                if method == "POST":
                    return self._create_subscription(uri, customer, body)
                shown = [
                    self._parent(f"{uri}/subscriptions/{quote(n, safe='')}", s)
                    for n, s in customer.subscriptions.items()
                ]
                return self._list(f"{uri}/subscriptions", shown, asked, "subscriptions")
            level = self._find(customer.subscriptions, parts[2], "subscription")
            uri = f"{uri}/subscriptions/{quote(level.number, safe='')}"
            if len(parts) == 3:
                removes = self.choices["delete_subscription"] == "removes"
                self._only(method, "GET", *(["DELETE"] if removes else []))
                if method == "DELETE":
                    del customer.subscriptions[level.number]
                    return self._deleted()
                return self._show(self._parent(uri, level))
            parts = parts[2:]
        else:
            level = customer
        if parts[1] != "recurring-products" or len(parts) > 3:
            raise Refusal(404, "not-found")
        uri = f"{uri}/recurring-products"
        if len(parts) == 2:
            self._only(method, "GET", "POST")
            if method == "POST":
                return self._create_charge(uri, level, headers, body)
            return self._list(
                uri, [self._charge(uri, each) for each in level.charges.values()], asked, "recurringProducts"
            )
        charge = level.charges.get(parts[2])
        if charge is None:
            raise Refusal(int(self.choices["missing_status"]), "recurring-product-not-found")
        return self._item(method, uri, level, charge, headers, body)

    def _item(
        self, method: str, uri: str, level: Level, charge: Charge, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        allowed = ["GET"]
        allowed += [each for each in ("PATCH", "PUT", "POST") if each in self.choices["update"].split(" and ")]
        deletion = self.choices["delete_charge"]
        allowed += ["DELETE"] if deletion != "refused" else []
        self._only(method, *allowed)
        if method in {"GET", "HEAD"}:
            return self._show(self._charge(uri, charge), tag=f'"{charge.id}-{charge.version}"')
        if method == "DELETE" and deletion == "not configured":
            raise Refusal(501, "not-implemented")
        self._match(headers, charge)
        if method == "PATCH" and headers.get("content-type") != self.choices["patch_media"]:
            raise Refusal(415, "unsupported-media-type")
        if method == "DELETE":
            if deletion == "ends":
                charge.values["end_date"] = "2026-01-31"
            else:
                del level.charges[charge.id]
            return self._deleted()
        self._update(method, charge, self._body(body))
        charge.version += 1
        if self.choices["update_status"] == "204":
            return Reply(204)
        return self._show(self._charge(uri, charge), tag=f'"{charge.id}-{charge.version}"')

    def _only(self, method: str, *allowed: str) -> None:
        more = [each for each, on in (("HEAD", "head"), ("OPTIONS", "options")) if self.choices[on] == "works"]
        if method == "HEAD" and "HEAD" in more and "GET" in allowed:
            return
        if method == "OPTIONS" and "OPTIONS" in more:
            raise Refusal(204, "", headers={"Allow": ", ".join([*allowed, *more])})
        if method not in allowed:
            raise Refusal(405, "method-not-allowed", headers={"Allow": ", ".join(allowed)})

    def _find(self, levels: dict[str, Level], number: str, kind: str) -> Level:
        for each in levels.values():
            same = self.choices["number_case"] == "insensitive" and each.number.lower() == number.lower()
            if each.number == number or same:
                return each
        raise Refusal(404, f"{kind}-not-found")

    def _match(self, headers: Mapping[str, str], charge: Charge) -> None:
        if self.choices["etag"] in {"none", "sent"}:
            return
        asked = headers.get("if-match")
        if asked is None and self.choices["etag"] == "required":
            raise Refusal(428, "precondition-required")
        if asked is not None and asked not in {"*", f'"{charge.id}-{charge.version}"'}:
            raise Refusal(412, "precondition-failed")

    # writes

    def _create_customer(self, base: str, body: bytes) -> Reply:
        document = self._body(body)
        number = self._number(document, "customerNo", self.customers)
        needed = self.choices["customer_needs"]
        if needed != "nothing" and not isinstance(document.get(needed), str):
            raise Refusal(int(self.choices["validation_status"]), "validation", needed)
        if self.choices["numbers"] == "digits" and not number[3:].isdigit():
            raise Refusal(int(self.choices["validation_status"]), "validation", "customerNo")
        if self.choices["slash"] == "refused" and "/" in number:
            raise Refusal(int(self.choices["validation_status"]), "validation", "customerNo")
        self.customers[number] = customer = Level(number)
        uri = f"{base}/customers/{quote(number, safe='')}"
        return self._created(uri, self._parent(uri, customer, is_customer=True))

    def _create_subscription(self, uri: str, customer: Level, body: bytes) -> Reply:
        number = self._number(self._body(body), "subscriptionNo", customer.subscriptions)
        if self.choices["dots"] == "refused" and "." in number:
            raise Refusal(int(self.choices["validation_status"]), "validation", "subscriptionNo")
        customer.subscriptions[number] = level = Level(number)
        uri = f"{uri}/subscriptions/{quote(number, safe='')}"
        return self._created(uri, self._parent(uri, level))

    def _number(self, body: Json, name: str, taken: dict[str, Level]) -> str:
        number = body.get(name)
        if not isinstance(number, str) or not number:
            raise Refusal(int(self.choices["validation_status"]), "validation", name)
        if any(number.lower() == each.lower() for each in taken) and (
            self.choices["number_case"] == "insensitive" or number in taken
        ):
            kind = name.removesuffix("No")
            code = {"already-exists": f"{kind}-already-exists"}.get(self.choices["duplicate_type"])
            raise Refusal(int(self.choices["duplicate_status"]), code or self.choices["duplicate_type"], name)
        return number

    def _create_charge(self, uri: str, level: Level, headers: Mapping[str, str], body: bytes) -> Reply:
        key = headers.get("idempotency-key")
        if key and self.choices["idempotency"] == "refused":
            raise Refusal(int(self.choices["validation_status"]), "validation", "Idempotency-Key")
        if key and self.choices["idempotency"] == "honoured" and key in self.keys:
            return self.keys[key]
        values, extra = self._read(self._body(body), {})
        if "product_code" not in values:
            raise Refusal(int(self.choices["validation_status"]), "validation", self.names["product_code"])
        self._dates(values)
        held = [each.values["product_code"] for each in level.charges.values()]
        if self.choices["same_product"] == "refused" and values["product_code"] in held:
            raise Refusal(409, "charge-already-exists")
        self.serial += 1
        identifier = str(700 + self.serial) if self.choices["id_kind"] == "integer" else f"c{self.serial:05x}f"
        charge = level.charges[identifier] = Charge(identifier, values, extra)
        reply = self._created(f"{uri}/{identifier}", self._charge(uri, charge))
        if key:
            self.keys[key] = reply
        return reply

    def _update(self, method: str, charge: Charge, body: Json) -> None:
        means = self.choices["put_means" if method == "PUT" else "patch_means"]
        held = dict(charge.values) if means == "merge" else {}
        values, extra = self._read(body, held)
        if method == "PUT" and self.choices["put_needs"] == "everything":
            lacking = [self.names[role] for role in charge.values if self.names[role] not in body]
        else:
            lacking = [self.names["product_code"]] if "product_code" not in values else []
        if lacking:
            raise Refusal(int(self.choices["validation_status"]), "validation", *lacking)
        self._dates(values)
        charge.values = values
        charge.extra = {**(charge.extra if means == "merge" else {}), **extra}

    def _body(self, body: bytes) -> Json:
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Refusal(int(self.choices["validation_status"]), "validation")
        return value

    def _read(self, body: Json, held: Json) -> tuple[Json, Json]:
        """Return the values by role on top of the held ones, and the properties that the server does not know."""
        values, failed = dict(held), list[str]()
        extra: Json = {}
        server_set = {self.names["id"], "billedUntil", "operations", "@id"}
        for name, value in body.items():
            role = self.roles.get(name)
            if name in server_set:
                failed += [name] if self.choices["read_only"] == "refused" else []
            elif role is None:
                failed += [name] if self.choices["unknown"] == "refused" else []
                extra |= {name: value} if self.choices["unknown"] == "kept" else {}
            elif value is None:
                failed += [name] if self.choices["null"] == "refused" or role == "product_code" else []
                if self.choices["null"] == "clears":
                    values.pop(role, None)
            elif self._fits(role, value):
                values[role] = value
            else:
                failed.append(name)
        if failed:
            raise Refusal(int(self.choices["validation_status"]), "validation", *failed)
        return values, extra

    def _fits(self, role: str, value: object) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if role in {"start_date", "end_date"}:
            timed = self.choices["date_kind"] == "date-time"
            form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ" if timed else r"\d{4}-\d\d-\d\d"
            return (
                isinstance(value, str) and re.fullmatch(form, value) is not None and bool(datetime.fromisoformat(value))
            )
        if role == "quantity":
            return is_number and (self.choices["quantity_kind"] == "decimal" or value == int(value))  # type: ignore[call-overload]
        if role == "unit_price" and self.choices["price_kind"] == "text":
            return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
        return is_number if role in {"unit_price", "vat_rate"} else isinstance(value, str)

    def _dates(self, values: Json) -> None:
        start, end = values.get("start_date"), values.get("end_date")
        if start and end and end < start and self.choices["dates_rule"] != "accepted":
            raise Refusal(int(self.choices["dates_rule"]), "unprocessable", self.names["end_date"])
