"""A correction of openapi.yaml: its edit, its wanted cost, and what the smoke test must expect after it.

The functions below are edits that several corrections share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .contract import Contract, map_texts

CHARGE_ATTRIBUTES = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
# Where each attribute of a charge is in the JSON object, as a path of keys.
WIRE = {
    "product_code": ("productCode",),
    "quantity": ("quantity",),
    "unit_price": ("unitPrice",),
    "vat_rate": ("vatRate",),
    "text": ("text",),
    "start_date": ("startDate",),
    "end_date": ("endDate",),
}


@dataclass(frozen=True)
class Expectations:
    """What the smoke test must expect after a correction. The defaults are for today's contract."""

    wire: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(WIRE))
    samples: Mapping[str, str] = field(
        default_factory=dict
    )  # by attribute: a value to send instead of the usual one, as text
    required: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # by resource: values of new required properties
    declared_extra: Mapping[str, str] = field(
        default_factory=dict
    )  # values of new optional properties of charges, by wire name
    may_delete_charges: bool = True
    may_delete_subscriptions: bool = True
    may_clear: bool = True  # null clears a value
    duplicate: tuple[str, ...] = ("AlreadyExists",)
    not_found: tuple[str, ...] = ("NotFound",)
    pages_of: int | None = None
    lists_customers: bool = False
    idempotency: bool = False
    replaces: bool = False  # an update is a PUT

    def to_dict(self) -> dict[str, Any]:
        """Return the expectations as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Expectations:
        """Read expectations from the dict that `to_dict` made."""
        wire = {name: tuple(path) for name, path in values["wire"].items()}
        pairs = {name: tuple(values[name]) for name in ("duplicate", "not_found")}
        return cls(**{**values, "wire": wire, **pairs})


@dataclass(frozen=True)
class Correction:
    """A correction of the contract. `edit` changes the contract in place."""

    key: str
    title: str
    edit: Callable[[Contract], None]
    wanted: int | None = None  # at most this many files edited by hand; None means no limit
    expect: Expectations = Expectations()


def wire(**renamed: str) -> dict[str, tuple[str, ...]]:
    """Return WIRE with some names changed; `pricing.count` means the key `count` in the object `pricing`."""
    return {**WIRE, **{name: tuple(path.split(".")) for name, path in renamed.items()}}


def from_swagger(**schema: Any) -> dict[str, Any]:
    """Return the schema of a property, marked as documented by the vendor's file."""
    return {**schema, "x-provenance": {"level": "documented", "source": "customer-swagger"}}


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a property that may also be null."""
    return from_swagger(anyOf=[dict(schema), {"type": "null"}])


def problem(name: str, title: str, status: int, **more: Any) -> dict[str, Any]:
    """Return an example of a problem."""
    instance = "urn:uuid:0a5b7c1e-7a53-4f1c-9a41-6a1d2d0c9b99"
    kind = f"billing/customer/problems/{name}"
    return {"value": {"type": kind, "title": title, "status": status, "instance": instance, **more}}


def replace_response(contract: Contract, old: str, new: str, component: str | None = None) -> int:
    """Change the status `old` of responses to `new`, and return how many operations changed.

    With `component`, only that response changes. An operation that already has a response with `new` keeps it and
    loses `old`.
    """
    count = 0
    for _, _, operation in contract.operations():
        responses = operation["responses"]
        response = responses.get(old)
        if response is None or (component and not response["$ref"].endswith(f"/{component}")):
            continue
        if new in responses:
            del responses[old]
        else:
            renamed = {(new if status == old else status): each for status, each in responses.items()}
            responses.clear()
            responses.update(sorted(renamed.items()))
        count += 1
    assert count, f"no operation answers {old}"
    return count


def response_ref(name: str) -> dict[str, str]:
    """Return a reference to a response of the components."""
    return {"$ref": f"#/components/responses/{name}"}


def move_links(contract: Contract, old: str, new: str) -> None:
    """Replace `old` by `new` in the links of the examples."""
    before = str(contract.document["components"]["examples"])
    contract.change_texts(lambda text: text.replace(old, new) if text.startswith("/") else text)
    assert str(contract.document["components"]["examples"]) != before, f"no example links to {old}"


def change_values(contract: Contract, key: str, change: Callable[[Any], Any]) -> None:
    """Replace each value of a property in the examples by the result of `change`."""
    done: set[int] = set()
    count = 0

    def visit(value: Any) -> None:
        nonlocal count
        if id(value) in done:
            return
        if isinstance(value, dict):
            done.add(id(value))
            for name, each in value.items():
                if name == key:
                    value[name] = change(each)
                    count += 1
                else:
                    visit(each)
        elif isinstance(value, list):
            for each in value:
                visit(each)

    for example in contract.examples():
        visit(example["value"])
    assert count, f"no example has {key}"


def add_to_charges(contract: Contract, name: str, schema: Mapping[str, Any], sample: object, *, required: bool) -> None:
    """Add a property to charges, in requests and responses, and to the examples of whole charges."""
    # An optional property may be null in an update: null clears it. A required property cannot be cleared.
    contract.schema("NewRecurringProduct")["properties"][name] = from_swagger(**schema)
    change = from_swagger(**schema) if required else nullable(schema)
    contract.schema("RecurringProductChange")["properties"][name] = change
    contract.schema("RecurringProduct")["properties"][name] = from_swagger(**schema) if required else nullable(schema)
    if required:
        contract.schema("NewRecurringProduct")["required"].append(name)
        contract.schema("RecurringProduct")["required"].append(name)
    for example in (
        *("NewMasterProduct", "NewDeviationProduct", "NewCredit"),
        *("CustomerRecurringProduct", "SubscriptionRecurringProduct"),
    ):
        contract.component("examples", example)["value"][name] = sample


__all__ = [
    "CHARGE_ATTRIBUTES", "Correction", "Expectations", "add_to_charges", "change_values", "from_swagger",
    "map_texts", "move_links", "nullable", "problem", "replace_response", "response_ref", "wire",
]  # fmt: skip
