"""What the contract says to each question, and where an answer contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..description import Contract
from .engine import DOES_NOT_APPLY, Answer
from .names import CANDIDATES
from .rule_texts import ACCEPTED, BY_HAND, RULES, TAKEN_TWICE


@dataclass(frozen=True)
class Contradiction:
    """An answer that the contract does not allow.

    Attributes:
        is_patched: whether the correction can be made by code; `reason` says why not.
    """

    key: str
    answer: str
    claim: str
    is_patched: bool = True
    reason: str = ""


def contradictions(contract: Contract, answers: Mapping[str, Answer]) -> list[Contradiction]:
    """Return each answer that the contract does not allow."""
    found = []
    for key, claim in claims(contract).items():
        answer = answers.get(key, Answer())
        if not answer.is_decided or answer.value == DOES_NOT_APPLY or claim.allows(answer.value):
            continue
        reason = "" if _can_patch(contract, key, answer.value, answers) else _reason(key, answer.value)
        found.append(Contradiction(key, answer.value, claim.text, is_patched=not reason, reason=reason))
    return found


def _reason(key: str, answer: str) -> str:
    """Return why code does not correct the contract."""
    if key.startswith("duplicate-") and answer.startswith("accepted with"):
        return TAKEN_TWICE
    return BY_HAND.get(key.removesuffix("-subscriptions"), "the contract has no place for this answer")


@dataclass(frozen=True)
class Claim:
    """What the contract says: a text for people, and a test of an answer."""

    text: str
    allows: Callable[[str], bool]


def claims(contract: Contract) -> dict[str, Claim]:
    """Return what the contract says, by the key of the question. Other keys are left open by the contract."""
    return {**_names(contract), **_operations(contract), **_statuses(contract), **_rules(contract), **_lists(contract)}


def _is(*values: str) -> Claim:
    return Claim(" or ".join(values), lambda answer: answer in values)


def _verdict(*allowed: str) -> Claim:
    """A status and a problem type; the status alone is right if the type could not be read."""
    return Claim(
        " or ".join(allowed), lambda answer: answer in allowed or answer in {each.partition(" ")[0] for each in allowed}
    )


def _names(contract: Contract) -> dict[str, Claim]:
    found = {f"name-{role}": _is(contract.wire(role)) for role in CANDIDATES}
    found["name-id"] = _is(contract.keys["charge"])
    shown = contract.resources["charge"]["properties"]
    kind = _type(contract, shown[contract.keys["charge"]])
    found["kind-id"] = _is("integer" if kind["type"] == "integer" else "text")
    price = _type(contract, shown[contract.wire("unit_price")])
    found["kind-unit_price"] = _is("text" if price["type"] == "string" else "number")
    quantity = _type(contract, shown[contract.wire("quantity")])
    found["kind-quantity"] = _is("integer" if quantity["type"] == "integer" else "decimal")
    date = _type(contract, shown[contract.wire("start_date")])
    found["kind-date"] = _is(date.get("format", "text"))
    number = _type(contract, contract.creations["customer"]["properties"][contract.keys["customer"]])
    has_slash = "/" in number.get("pattern", "/")
    found["slash"] = _is("accepted") if has_slash else Claim("no slash", lambda answer: answer != "accepted")
    number = _type(contract, contract.creations["subscription"]["properties"][contract.keys["subscription"]])
    has_dots = "[^.]" not in number.get("pattern", "")
    found["dots"] = _is("accepted") if has_dots else Claim("no dot", lambda answer: answer != "accepted")
    return found


def _type(contract: Contract, node: Mapping[str, Any]) -> dict[str, Any]:
    schema = contract.resolve(node)
    for branch in schema.get("anyOf", ()):
        resolved = contract.resolve(branch)
        if resolved.get("type") != "null":
            return resolved
    return schema


def _operations(contract: Contract) -> dict[str, Claim]:
    method = contract.update_method
    nullable = any(
        contract.resolve(branch).get("type") == "null"
        for name, node in contract.change.get("properties", {}).items()
        if name not in {contract.wire("start_date"), contract.wire("end_date")}
        for branch in contract.resolve(node).get("anyOf", ())
    )
    subdomain = [*contract.base_path.split("/"), "", "", ""][2]
    found = {
        "subdomain": Claim(subdomain, lambda answer: subdomain in answer.split(" and ")),
        "update": Claim(method, lambda answer: method in answer.split(" and ")),
        "null": _is("clears") if nullable else Claim("not sent", lambda _: True),
    }
    if method == "PATCH":
        found["patch-means"] = _is("merge")
        found["patch-media-type"] = _is("application/json")
    operation = contract.operation("create", "charge")
    once = operation is not None and "several times" not in _text(contract, "create", "charge")
    found["same-product-twice"] = _is("refused") if once else _is("accepted")
    if contract.operation("delete", "charge") is None:
        found["delete-charge"] = Claim("no DELETE", lambda answer: answer not in {"removes", "ends"})
    else:
        ends = "stays readable" in _text(contract, "delete", "charge")
        found["delete-charge"] = _is("ends") if ends else _is("removes", "not configured")
    has = contract.operation("delete", "subscription") is not None
    found["delete-subscription"] = _is("removes", "not configured") if has else _is("refused", "not configured")
    return found


def _text(contract: Contract, role: str, kind: str) -> str:
    operation = contract.operation(role, kind)
    assert operation is not None
    definition = contract.document["paths"][operation.path][operation.method.lower()]
    return str(definition.get("description", ""))


def _statuses(contract: Contract) -> dict[str, Claim]:
    found = {}
    for kind in ("customer", "subscription"):
        found[f"duplicate-{kind}"] = _verdict(_duplicate(contract, kind))
    types = contract.problem_types
    found["validation"] = _verdict(f"{types['validation'].status} validation") if "validation" in types else _is()
    missing = contract.not_found["charge"]
    found["missing-charge"] = _verdict(f"{types[missing].status} {missing}") if missing in types else _is()
    found["without-token"] = _is("401")
    for key, role in (("create-status", "create"), ("update-status", "update"), ("delete-status", "delete")):
        operation = contract.operation(role, "charge")
        if operation is not None:
            found[key] = _is(*map(str, operation.successes))
    create = contract.operation("create", "charge")
    if create is not None:
        item = contract.document["paths"][create.path]["post"]
        names = {contract.resolve(each)["name"].lower() for each in item.get("parameters", ())}
        has = "idempotency-key" in names
        found["idempotency-key"] = (
            _is("honoured") if has else Claim("no such header", lambda value: value != "honoured")
        )
    found["etag"] = Claim("no If-Match", lambda answer: answer != "required")
    return found


def _duplicate(contract: Contract, kind: str) -> str:
    """Return status and problem type of a duplicate: those of its example, or else what the responses show."""
    examples = contract.document["components"].get("examples", {})
    shown = examples.get(f"{kind.capitalize()}AlreadyExistsProblem", {}).get("value", {})
    if "type" in shown and "status" in shown:
        return f"{shown['status']} {str(shown['type']).rpartition('/')[2]}"
    status, code = contract.duplicates[kind]
    return f"{status} {code}"


def _rules(contract: Contract) -> dict[str, Claim]:
    rules = contract.document.get("x-rules", {})

    def description(name: str) -> str:
        return " ".join(str(rules.get(name, {}).get("description", "")).split())

    found = {"read-only-properties": _is("ignored", "refused")}
    for key, (name, texts) in RULES.items():
        now = description(name)
        found[key] = _is(*(answer for answer, text in texts.items() if text == now))
    rule = description("dates")
    status = next((word for word in rule.replace(",", " ").split() if word.isdigit()), "")
    found["ends-before-start"] = (
        _is("accepted")
        if rule == ACCEPTED
        else Claim(status, lambda answer: answer.startswith(status) and bool(status))
    )
    return found


def _lists(contract: Contract) -> dict[str, Claim]:
    charges, subscriptions = contract.operation("list", "charge"), contract.operation("list", "subscription")
    found = {}
    for key, operation in (("list-items", charges), ("list-items-subscriptions", subscriptions)):
        name = contract.list_name(operation)
        found[key] = _is(name if name is not None else "a bare array")
    schema = contract.resolve(charges.success_schema or {}) if charges else {}
    if "navigation" in schema.get("required", ()):
        found["list-navigation"] = _is("present")
    found["paging"] = Claim(
        "one page, or a link navigation.next", lambda answer: answer == "none" or answer.startswith("navigation.next")
    )
    return found


def _can_patch(contract: Contract, key: str, answer: str, answers: Mapping[str, Answer]) -> bool:
    """Return whether `edits.py` has a correction for an answer."""
    if key in {"paging", "kind-unit_price", "kind-date", "etag", "read-only-properties", "without-token"}:
        return False
    if key in {"patch-media-type", "same-product-twice"}:
        return False
    if key.startswith("list-items"):
        return answer != "a bare array"
    if key == "update":
        return "PATCH" in answer or "PUT" in answer
    if key == "patch-means":
        return "PUT" in answers["update"].value
    if key in {"delete-charge", "delete-subscription"}:
        return answer != "has no effect"
    if key == "validation":
        return answer.partition(" ")[2] in {"", "validation"}
    if key == "missing-charge":
        return answer in {"410", "410 recurring-product-not-found"}
    if key.startswith("duplicate-"):
        status, _, code = answer.partition(" ")
        kind = key.removeprefix("duplicate-")
        declared = contract.problem_types.get(code)
        of_kind = code == "" or code.startswith(f"{kind}-") or (code == "validation" and declared is not None)
        is_its_status = code != "validation" or str(declared and declared.status) == status
        return status in {"400", "409", "422"} and of_kind and is_its_status
    if key == "slash":
        return False
    if key == "create-status":
        return answer.isdigit()
    return not answer.startswith("accepted with")
