"""The corrections of `openapi.yaml`, one for each answer that contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import yaml

from ..description import Contract, ContractError
from ..routes import JSON
from . import edits_status as status
from .claims import Contradiction
from .engine import Answer
from .names import CANDIDATES
from .rule_texts import ACCEPTED, DELETION_ENDS, END_BEFORE_START, EVIDENCE, NULL, NULL_NOT_SENT, RULES
from .text_edits import NoSuchPlace, YamlText, folded, parse

SCHEMAS = ("components", "schemas")
CHARGES = ("NewRecurringProduct", "RecurringProductChange", "RecurringProduct")
EXAMPLES = ("components", "examples")
LINKS = ("components", "links")
CHANGES = ("components", "requestBodies", "RecurringProductChange", "content", JSON)
LEVELS = ("Customer", "Subscription")


def correct(text: str, found: Sequence[Contradiction], answers: Mapping[str, Answer]) -> str:
    """Return the contract with the corrections that code can make. What does not fit stays as it is."""
    patched = {each.key: each for each in found if each.is_patched}
    for each in found:
        status, _, declared = each.claim.partition(" ")
        new = each.answer.partition(" ")[0]
        if each.key.startswith("duplicate-") and not each.is_patched and new in {"400", "409", "422"} and new != status:
            patched[each.key] = replace(each, answer=f"{new} {declared}")  # the status alone
    # Names first: the other corrections use them. The verb comes last, because its examples have all values.
    order = [*_EDITS]
    for key in sorted(patched, key=lambda each: order.index(each) if each in order else -1):
        edit = _EDITS.get(key, _rename_property if key.startswith("name-") else None)
        if edit is None:
            continue
        document = YamlText(text)
        try:
            edit(document, patched[key], answers)
            Contract(parse(document.text))
        except (NoSuchPlace, ContractError, yaml.YAMLError, StopIteration):
            continue
        text = document.text
    return text


def _contract(document: YamlText) -> Contract:
    return Contract(parse(document.text))


def _subdomain(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    old, new = found.claim, found.answer.split(" and ")[0]
    document.replace(("servers", 0, "variables", "subdomain", "default"), new)
    document.text = document.text.replace(f"/billing/{old}/v", f"/billing/{new}/v")


def _rename_property(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    """Rename a property of charges: in the schemas, in `required`, in examples, links and texts."""
    contract, role, new = _contract(document), found.key.removeprefix("name-"), found.answer
    old = contract.keys["charge"] if role == "id" else contract.wire(role)
    assert role == "id" or role in CANDIDATES
    for schema in CHARGES:
        place = (*SCHEMAS, schema)
        if document.has(*place, "properties", old):
            document.rename((*place, "properties", old), new)
        if document.has(*place, "required") and old in document.value(*place, "required"):
            document.change((*place, "required"), lambda text, _: new if text == old else None)
    document.change(EXAMPLES, lambda text, is_key: new if is_key and text == old else None)
    if role == "id":
        for start in ("$response.body#/", "$response.body#/items/0/"):
            document.change(LINKS, partial(_retargeted, old=f"{start}{old}", new=f"{start}{new}"))
    lines = document.text.splitlines(keepends=True)
    document.text = "".join(each if each.startswith("#") else each.replace(f"`{old}`", f"`{new}`") for each in lines)


def _id_kind(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    place = (*SCHEMAS, "RecurringProductId")
    old = document.value("components", "parameters", "RecurringProductId", "example")
    if found.answer != "integer":
        raise NoSuchPlace("RecurringProductId")
    document.replace((*place, "type"), "integer")
    document.rename((*place, "minLength"), "minimum")
    document.text = document.text.replace(old, "48151623")


def _quantity_kind(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    place = (*SCHEMAS, "Quantity")
    if found.answer != "decimal":
        raise NoSuchPlace("Quantity")
    document.replace((*place, "type"), "number")
    document.replace((*place, "minimum"), "0.001")
    document.replace((*place, "maximum"), "99999.999")
    document.add_after((*place, "maximum"), "x-decimals: 3")


def _dots(document: YamlText, _: Contradiction, __: Mapping[str, Answer]) -> None:
    document.add_after((*SCHEMAS, "NewSubscriptionNo", "maxLength"), "pattern: ^[^.]*$")


def _null(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    """Take null out of changes, so that the client refuses to send what the server ignores or refuses."""
    contract, text = _contract(document), NULL_NOT_SENT[found.answer]
    for operation in contract.operations.values():
        if operation.role == "update":
            place = ("paths", operation.path, operation.method.lower(), "description")
            document.replace(place, folded(text, indent=8))
    document.replace((*SCHEMAS, "RecurringProductChange", "description"), folded(text, indent=8))
    for key, name in _examples_of(document, CHANGES):
        value = contract.document["components"]["examples"][name]["value"]
        kept = {each: held for each, held in value.items() if held is not None}
        if kept:
            document.replace((*EXAMPLES, name, "value"), _flow(kept))
        else:
            document.remove((*CHANGES, "examples", key))
            document.remove((*EXAMPLES, name))
    place = (*SCHEMAS, "RecurringProductChange", "properties")
    for name in document.keys(*place):
        if document.has(*place, name, "anyOf"):
            reference = document.value(*place, name, "anyOf", 0, "$ref")
            document.add_before((*place, name, "anyOf"), f"$ref: '{reference}'")
            document.remove((*place, name, "anyOf"))


def _examples_of(document: YamlText, content: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the key of each example of a body, and the name of the example in the components."""
    found = [(key, (*content, "examples", key, "$ref")) for key in document.keys(*content, "examples")]
    return [(key, document.value(*place).rpartition("/")[2]) for key, place in found if document.has(*place)]


def _list_items(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    schema = "SubscriptionList" if found.key.endswith("subscriptions") else "RecurringProductList"
    contract = _contract(document)
    kind = "subscription" if schema == "SubscriptionList" else "charge"
    old, new = contract.list_name(contract.operation("list", kind)) or "", found.answer
    document.rename((*SCHEMAS, schema, "properties", old), new)
    document.change((*SCHEMAS, schema, "required"), lambda text, _: new if text == old else None)
    for name in document.keys(*EXAMPLES):
        if name.endswith(schema) and document.has(*EXAMPLES, name, "value", old):
            document.rename((*EXAMPLES, name, "value", old), new)
    for name in document.keys(*LINKS):
        if name.startswith("GetFirst") and name.endswith("RecurringProduct") == (kind == "charge"):
            start = f"$response.body#/{old}/"
            document.change(
                (*LINKS, name),
                partial(_retargeted, old=start, new=f"$response.body#/{new}/"),
            )


def _retargeted(text: str, _: bool, *, old: str, new: str) -> str | None:
    return new + text.removeprefix(old) if text.startswith(old) else None


def _navigation(document: YamlText, _: Contradiction, __: Mapping[str, Answer]) -> None:
    for schema in ("SubscriptionList", "RecurringProductList"):
        place = (*SCHEMAS, schema, "required")
        kept = [name for name in document.value(*place) if name != "navigation"]
        document.replace(place, f"[{', '.join(kept)}]")


def _update(document: YamlText, _: Contradiction, answers: Mapping[str, Answer]) -> None:
    """Change by PUT."""
    contract = _contract(document)
    replaces = answers.get("put-means", Answer()).value != "merge"
    more = "a property left out is cleared" if replaces else "a property left out stays as it is"
    null = answers.get("null", Answer()).value
    more += f". {NULL[null].rstrip('.')}" if null in NULL else "; null clears it"
    for level in LEVELS:
        operation = f"update_{level.lower()}_recurring_product"
        path = next(each.path for each in contract.operations.values() if each.operation_id == operation)
        document.rename(("paths", path, "patch"), "put")
        document.replace(("paths", path, "put", "description"), folded(f"Takes the whole charge: {more}.", indent=8))
    schema = (*SCHEMAS, "RecurringProductChange")
    document.replace((*schema, "description"), folded(f"The charge as it should be: {more}.", indent=8))
    code = contract.wire("product_code")
    if not document.has(*schema, "required"):
        document.add_before((*schema, "properties"), f"required: [{code}]")
    whole = contract.document["components"]["examples"]["NewDeviationProduct"]["value"]
    for _key, name in _examples_of(document, CHANGES):
        value = {**whole, **contract.document["components"]["examples"][name]["value"]}
        document.replace((*EXAMPLES, name, "value"), _flow(value))


def _flow(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(
        dict(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    ).strip()


def _no_deletion(kind: str) -> Callable[[YamlText, Contradiction, Mapping[str, Answer]], None]:
    def edit(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
        contract = _contract(document)
        names = {
            "charge": [
                (f"delete_{level.lower()}_recurring_product", f"Delete{level}RecurringProduct") for level in LEVELS
            ],
            "subscription": [("delete_subscription", "DeleteSubscription")],
        }[kind]
        for operation, link in names:
            path = next(each.path for each in contract.operations.values() if each.operation_id == operation)
            if found.answer == "ends":
                text = DELETION_ENDS.format(end=contract.wire("end_date"))
                document.replace(("paths", path, "delete", "description"), folded(text, indent=8))
                continue
            document.remove(("paths", path, "delete"))
            key = link[0].lower() + link[1:]
            for name in document.keys("components", "responses"):
                if document.has("components", "responses", name, "links", key):
                    document.remove(("components", "responses", name, "links", key))
            document.remove((*LINKS, link))

    return edit


def _rule(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    """Say in `x-rules` what the server does."""
    if found.key == "ends-before-start":
        verdict = found.answer.partition(" ")[0]
        name, text = "dates", ACCEPTED if verdict == "accepted" else END_BEFORE_START.format(status=verdict)
    else:
        name, texts = RULES[found.key]
        text = texts[found.answer]
    if document.has("x-rules", name):
        document.replace(("x-rules", name, "description"), folded(text, indent=6))
    else:
        document.add_after(
            ("x-rules", document.keys("x-rules")[0]),
            f"{name}:\n  description: {folded(text, indent=4)}\n  x-provenance: {EVIDENCE}",
        )


def _idempotency(document: YamlText, found: Contradiction, _: Mapping[str, Answer]) -> None:
    if found.answer != "honoured":
        raise NoSuchPlace("Idempotency-Key")
    document.add_after(
        ("components", "parameters", document.keys("components", "parameters")[-1]),
        "IdempotencyKey:\n"
        "  name: Idempotency-Key\n"
        "  in: header\n"
        "  required: false\n"
        "  description: A repeated POST with the same key takes effect once.\n"
        f"  x-provenance: {EVIDENCE}\n"
        "  schema: {type: string, minLength: 1, maxLength: 64}\n"
        "  example: 0a5b7c1e-7a53-4f1c-9a41-6a1d2d0c9b01",
    )
    contract = _contract(document)
    for operation in contract.operations.values():
        if operation.role == "create":
            lines = "parameters:\n  - $ref: '#/components/parameters/IdempotencyKey'"
            document.add_before(("paths", operation.path, "post", "requestBody"), lines)


_Edit = Callable[[YamlText, Contradiction, Mapping[str, Answer]], None]
# The edits are made in this order, after those of the names of properties.
_EDITS: dict[str, _Edit] = {
    "subdomain": _subdomain,
    "kind-id": _id_kind,
    "kind-quantity": _quantity_kind,
    "dots": _dots,
    "list-items": _list_items,
    "list-items-subscriptions": _list_items,
    "list-navigation": _navigation,
    "null": _null,
    "delete-charge": _no_deletion("charge"),
    "delete-subscription": _no_deletion("subscription"),
    "create-status": status.create_status,
    "update-status": status.update_status,
    "delete-status": status.delete_status,
    "duplicate-customer": status.duplicate,
    "duplicate-subscription": status.duplicate,
    "missing-charge": status.missing_charge,
    "validation": status.validation,
    "unknown-properties": _rule,
    "number-case": _rule,
    "problem-media-type": _rule,
    "ends-before-start": _rule,
    "idempotency-key": _idempotency,
    "update": _update,
    "patch-means": _update,
}
