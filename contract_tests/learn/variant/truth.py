"""What a variant does, as a client can see it through the gateway: the right answers, by the key of the question."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import unquote

from .choices import EXOTIC, NAMES, Choices

MERGES, NOT = "merge", "does not apply"


@dataclass(frozen=True)
class Truth:
    """The right answers to one question.

    Attributes:
        values: any of them is right.
        decidable: whether asking can decide it; if not, no answer is right, too.
    """

    values: frozenset[str]
    decidable: bool = True


def truths(choices: Choices) -> dict[str, Truth]:
    """Return the right answers for a variant."""
    return _Truths(choices).all()


class _Truths:
    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.shown = choices["gateway_errors"] == "none"
        self.known = {role for role in NAMES if choices[f"name_{role}"] not in EXOTIC}
        self.values = self.known & {"quantity", "unit_price", "vat_rate", "text"}
        # With fewer than two known names `learn` cannot tell what becomes of other values.
        self.named = len(self.known - {"product_code"}) > 1
        self.updates = self.named and len(self.values) > 1

    def all(self) -> dict[str, Truth]:
        choices = self.choices
        whole = {
            "subdomain": {"both": "customer and billing"}.get(choices["subdomain"], choices["subdomain"]),
            "subscriptions": "can be created",
            "charges": "can be added",
            "validation": self.verdict(choices["validation_status"], "validation"),
            "name-product_code": self.name("product_code"),
            "name-id": self.cased(choices["name_id"]),
            "kind-id": choices["id_kind"],
            "unknown-properties": choices["unknown"],
            "read-only-properties": choices["read_only"],
            "delete-subscription": choices["delete_subscription"],
            "slash": choices["slash"],
            "dots": choices["dots"],
            "number-case": choices["number_case"],
            "missing-charge": self.verdict(choices["missing_status"], "recurring-product-not-found"),
            "without-token": "401",
            "unknown-queries": choices["query_unknown"],
            "head": choices["head"],
            "options": choices["options"],
            "idempotency-key": choices["idempotency"],
            "create-status": choices["create_status"],
            "location": choices["location"],
            "tracking-headers": choices["tracking"].lower(),
            "list-items": self.items("recurringProducts"),
            "list-items-subscriptions": self.items("subscriptions"),
            "list-navigation": "absent" if choices["list_items"] == "bare" else choices["navigation"],
            "paging": self.paging(),
            "delete-charge": self.deletion(),
        }
        answers = {key: Truth(frozenset({value})) for key, value in whole.items()}
        for kind in ("customer", "subscription"):
            code = {"already-exists": f"{kind}-already-exists"}.get(
                choices["duplicate_type"], choices["duplicate_type"]
            )
            answers[f"duplicate-{kind}"] = Truth(frozenset({self.verdict(choices["duplicate_status"], code)}))
        removed = self.deletion() in {"removes", "ends"}
        answers["delete-status"] = Truth(frozenset({choices["delete_status"]}), removed)
        answers["broken-off-post"] = Truth(self.late())
        cases = {"camel": "camelCase", "pascal": "PascalCase", "upper": "TYPE"}
        answers["problem-keys"] = Truth(frozenset({cases[choices["problem_case"]]}), self.shown)
        answers["problem-media-type"] = Truth(frozenset({choices["problem_media"]}), self.shown)
        answers["same-product-twice"] = Truth(frozenset({choices["same_product"]}))
        if choices["same_product"] == "refused":
            answers["idempotency-key"] = Truth(frozenset({NOT}))
        if choices["numbers"] == "digits":
            answers |= {"slash": Truth(frozenset({"refused"})), "number-case": Truth(frozenset(), decidable=False)}
        return self.limited(answers | self.of_names() | self.of_updates())

    def limited(self, answers: dict[str, Truth]) -> dict[str, Truth]:
        """Take back what cannot be decided because the server or the gateway hides too much."""
        choices = self.choices
        hidden = set()
        if choices["customer_needs"] != "nothing" and (not self.shown or choices["problem_names"] == "none"):
            hidden |= set(answers)  # nobody says what a customer needs
        if choices["lag"] != "0" and choices["etag"] == "required":
            hidden |= {"update", "patch-means", "put-means", "update-status", "patch-media-type", "null", "etag"}
            hidden |= {"delete-charge", "delete-status"}  # the ETag that is shown is an old one
        if choices["errors_as"] == "200":
            answers = {key: Truth(each.values | self.in_disguise(key)) for key, each in answers.items()}
            hidden |= set(answers)
        return {key: Truth(each.values, each.decidable and key not in hidden) for key, each in answers.items()}

    @staticmethod
    def in_disguise(key: str) -> frozenset[str]:
        """Return the answers that are right if a gateway sends each refusal with the status 200."""
        if key == "head":
            return frozenset({"works"})  # a response to HEAD has no body that could tell
        if key in {"delete-charge", "delete-subscription"}:
            return frozenset({"refused"})
        return frozenset()

    def of_names(self) -> dict[str, Truth]:
        choices, known = self.choices, self.known
        answers = {f"name-{role}": Truth(frozenset({self.name(role)}), role in known) for role in NAMES}
        answers["kind-unit_price"] = Truth(frozenset({choices["price_kind"]}), "unit_price" in known)
        answers["kind-date"] = Truth(frozenset({choices["date_kind"]}), bool({"start_date", "end_date"} & known))
        answers["kind-quantity"] = Truth(frozenset({choices["quantity_kind"]}), self.named and "quantity" in known)
        held = {"default": "the value that holds"}.get(choices["empty_values"], choices["empty_values"])
        answers["values-not-given"] = Truth(frozenset({held}), self.named and bool(self.values))
        rule = choices["dates_rule"]
        value = rule if rule == "accepted" else self.verdict(rule, "unprocessable")
        answers["ends-before-start"] = Truth(frozenset({value}), {"start_date", "end_date"} <= known)
        return answers

    def of_updates(self) -> dict[str, Truth]:
        choices, updates = self.choices, self.choices["update"].split(" and ")
        patch = choices["patch_means"] if "PATCH" in updates else NOT
        put = choices["put_means"] if "PUT" in updates else NOT
        told = "PUT" not in updates or choices["put_needs"] != "everything"
        any_update = updates != ["none"]
        # A gateway that rewrites 405 hides that there is no such method.
        told_none = any_update or self.choices["gateway_status"] == "kept"
        merges = {"PATCH": patch == MERGES, "PUT": put == MERGES and told, "POST": choices["patch_means"] == MERGES}
        method = next((each for each in updates if merges.get(each)), updates[0])
        replaces = choices["put_means" if method == "PUT" else "patch_means"] == "replace"
        null = "clears" if replaces and choices["null"] == "ignored" else choices["null"]
        tag = {"sent": "sent, not enforced"}.get(choices["etag"], choices["etag"])
        return {
            "update": Truth(frozenset({choices["update"]}), self.updates and told_none),
            "patch-means": Truth(frozenset({patch}), self.updates and told_none),
            "put-means": Truth(frozenset({put}), self.updates and told and told_none),
            "patch-media-type": Truth(frozenset({choices["patch_media"]}), self.updates and "PATCH" in updates),
            "update-status": Truth(frozenset({choices["update_status"]}), self.updates and any_update),
            "null": Truth(frozenset({null if any_update else NOT}), self.updates and told_none),
            "etag": Truth(frozenset({tag}), self.updates and told_none and (any_update or tag == "none")),
        }

    def verdict(self, status: str, code: str) -> str:
        if self.choices["errors_as"] == "200":
            return f"200 {code}"  # no gateway rewrites a success
        if self.choices["gateway_status"] == "collapsed" and status not in {"401", "404"}:
            status = "400"
        return f"{status} {code}" if self.shown else status

    def name(self, role: str) -> str:
        return self.cased(self.choices[f"name_{role}"])

    def cased(self, name: str) -> str:
        return name[:1].upper() + name[1:] if self.choices["name_case"] == "pascal" else name

    def items(self, kind: str) -> str:
        return {"by kind": kind, "bare": "a bare array"}.get(self.choices["list_items"], self.choices["list_items"])

    def paging(self) -> str:
        form, size = self.choices["paging"], self.choices["size_parameter"]
        if form == "none" or (size == "none" and self.choices["page_size"] == "200"):
            return "none"
        if form == "parameters" or (form != "header" and self.choices["list_items"] == "bare"):
            return "parameter page" if size == "none" else f"parameters page and {size}"
        return {"link": "navigation.next", "object": "navigation.next.@id", "header": "header Link"}[form]

    def deletion(self) -> str:
        value = self.choices["delete_charge"]
        return "refused" if value == "not configured" and self.choices["gateway_status"] == "collapsed" else value

    def late(self) -> frozenset[str]:
        # A gateway's 503 adds a second or two to the time between two looks.
        late = self.choices["lag"] != "0"
        within: tuple[int, ...] | None = {
            "0": (1, 2, 3, 4) if late else (), "0.6": (1, 2, 3, 4), "5": (7, 8, 9, 10),
        }.get(self.choices["late"])  # fmt: skip
        if within is None:
            return frozenset({"no effect within 15 s"})
        return frozenset(f"takes effect within {seconds} s" for seconds in within) or frozenset(
            {"takes effect at once", "takes effect within 1 s"}
        )


def outside(log: list[tuple[str, str, bytes]], ledger: str, prefix: str) -> list[str]:
    """Return the requests that left the ledger or the prefix."""
    found = []
    for method, target, body in log:
        match = re.fullmatch(rf"/billing/(?:customer|billing)/v1/{ledger}/customers(?:/([^/?]+))?(?:[/?].*)?", target)
        number = unquote(match.group(1) or "") if match else ""
        if match and not match.group(1) and method == "POST":
            number = str(json.loads(body).get("customerNo", ""))
        if not number.startswith(prefix):
            found.append(f"{method} {target}")
    return found
