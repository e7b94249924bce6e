"""The JSON Schema of what each command prints with `--json`.

The properties of values come from the classes, so that a corrected contract needs no edit here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from importlib.resources import files
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs

from ..config import VARIABLES
from ..models import Customer, RecurringProduct, Subscription
from ..reconcile import Content, Kind
from ..reconcile._drift import ADDED, CHANGED, REMOVED
from ..reconcile._records import Ending, Result

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": "integer", "minimum": 1}
_SWITCH: Final[Schema] = {"type": "boolean"}
_OBJECT: Final[Schema] = {"type": "object"}
_DECIMAL: Final[Schema] = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?(E[+-]?[0-9]+)?$"}
_DAY: Final[Schema] = {"type": "string", "format": "date"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_REASONS: Final[Schema] = {
    "type": "object", "propertyNames": {"pattern": "^[0-9]+$"}, "additionalProperties": _TEXT,
}  # fmt: skip


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else {"anyOf": [schema, {"type": "null"}]}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _by_name(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _object(properties: Mapping[str, Schema], *optional: str) -> Schema:
    """Return the schema of an object whose properties are all there, except the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": dict(properties)}


def _of(kind: Any) -> Schema:
    """Return the schema of values of a type."""
    plain = {str: _TEXT, int: {"type": "integer"}, bool: _SWITCH, Decimal: _DECIMAL, date: _DAY}
    if kind in plain:
        return plain[kind]
    arguments = get_args(kind)
    if NoneType in arguments:
        (rest,) = (each for each in arguments if each is not NoneType)
        return _or_null(_of(rest))
    if get_origin(kind) is tuple:
        return _list(_of(arguments[0]))
    if attrs.has(kind):
        return _values(kind)
    return _OBJECT  # `extra`: properties that this package does not know


def _values(kind: type, *, nulls: bool = True, **more: Schema) -> Schema:
    """Return the schema of a class of values.

    Args:
        kind: the class.
        nulls: whether a value that is None is null in the JSON; False if it is left out.
        more: further properties of the object.
    """
    hints = get_type_hints(kind)
    properties, optional = {}, []
    for field in attrs.fields(kind):
        hint = hints[field.name]
        if not nulls and NoneType in get_args(hint):
            optional.append(field.name)
            (hint,) = (each for each in get_args(hint) if each is not NoneType)
        properties[field.name] = _of(hint)
    return _object(properties | more, *optional)


def _content() -> Schema:
    return _or_null(_values(Content))


def _step() -> dict[str, Schema]:
    return {
        "kind": _one_of(*(kind.value for kind in Kind)),
        "line": _said({"type": ["integer", "null"]}, "The line in the table; null if the write is of no row."),
        "customer_no": _TEXT,
        "subscription_no": _or_null(_TEXT),
        "charge_id": _or_null(_TEXT),
        "before": _said(_content(), "What the charge billed before the write; null if there was none."),
        "after": _said(_content(), "What the charge bills after the write; null if there is none."),
    }


def _version() -> Schema:
    return _object({"version": _TEXT})


def _problems() -> Schema:
    explanation = {
        "status": {"type": "integer", "minimum": 400, "maximum": 599}, "raises": _TEXT, "means": _TEXT, "do": _TEXT,
        "whose": _TEXT, "again": _TEXT,
    }  # fmt: skip
    every = _object({"problems": _said(_by_name(_object(explanation)), "Each problem type. Without CODE.")})
    return {"oneOf": [every, _object({"type": _said(_TEXT, "The problem type that CODE names."), **explanation})]}


def _customer() -> Schema:
    return _values(Customer, nulls=False, subscriptions=_list(_values(Subscription, nulls=False)))


def _charges() -> Schema:
    level = _said(_or_null(_TEXT), "The subscription; null for a charge of the customer itself.")
    return _object({"charges": _list(_values(RecurringProduct, nulls=False, subscription_no=level))})


def _removal() -> Schema:
    return _object({"removed": _said(_TEXT, "The id of the removed charge.")})


def _settings() -> Schema:
    names = [name for name in VARIABLES if name != "environment"]
    value = _object({
        "value": _said(_TEXT, "The value; empty if there is none, *** for a secret."),
        "origin": _said(_TEXT, "option, default, or the name of an environment variable."),
    })  # fmt: skip
    return _object({
        "settings": _said(_object(dict.fromkeys(names, value), *names), "Empty if a setting is missing or wrong."),
        "error": _or_null(_TEXT),
    })  # fmt: skip


def _findings() -> Schema:
    return _object({
        "findings": _list(_object({
            "verdict": _said(_one_of("ok", "wrong", "warning", "-"), "- for what could not be looked at."),
            "what": _TEXT,
            "detail": _TEXT,
            "do": _said(_TEXT, "What to do; empty if there is nothing to do."),
        }))
    })  # fmt: skip


def _history() -> Schema:
    write = {
        "write": _said(_NUMBER, "The number of the write in the journal."),
        "run": _NUMBER,
        **_step(),
        "noted_at": _TIME,
        "result": _said(
            {"type": ["string", "null"], "enum": [*(result.value for result in Result), None]},
            "null if the outcome is not known.",
        ),
        "status": _said({"type": ["integer", "null"]}, "The HTTP status; null if there was no response."),
        "instance": _said(_or_null(_TEXT), "The instance id of the problem in the response."),
    }
    listed = _object({"customer_no": _TEXT, "writes": _list(_object(write))})
    return {"oneOf": [listed, _object({"customer_no": _TEXT, "forgotten": _said(_COUNT, "Writes. With --forget.")})]}


def _run() -> dict[str, Schema]:
    return {
        "run": _NUMBER,
        "command": _TEXT,
        "file": _TEXT,
        "input": _said(_TEXT, "A digest of what the run applied."),
        "options": _said(_OBJECT, "How the table was read, and how it was applied."),
        "shard": _TEXT,
        "plan": _said(_TEXT, "The digest of the plan."),
        "approved": _said(_TEXT, "The digest that was approved in spite of a guard; empty without one."),
        "undoes": _or_null(_NUMBER),
        "user": _TEXT,
        "host": _TEXT,
        "version": _TEXT,
        "started_at": _TIME,
        "ended_at": _said(_TIME, "When the run was last at work."),
        "ended": _said(
            {"type": ["string", "null"], "enum": [*(ending.value for ending in Ending), None]},
            "null if the run was killed, or is at work.",
        ),
        "report": _said(_OBJECT, "The numbers of the report; empty if the run was killed."),
    }


def _runs() -> Schema:
    return _object({"journal": _TEXT, "runs": _list(_object(_run()))})


def _shown_run() -> Schema:
    row = {
        "line": _COUNT, "customer_no": _or_null(_TEXT), "result": _one_of("rejected", "failed"), "reason": _TEXT,
    }  # fmt: skip
    writes = _said(_by_name(_COUNT), "Writes that took effect, by kind.")
    return _object({**_run(), "writes": writes, "not_applied": _list(_object(row))})


def _creations() -> Schema:
    step = {"number": _NUMBER, "customer_no": _TEXT, "subscription_no": _or_null(_TEXT)}
    content = _values(Content)["properties"]
    return _object({"creations": _list(_object({**step, **content, "line": {"type": ["integer", "null"]}}))})


def _drift() -> Schema:
    each = {
        "kind": _one_of(CHANGED, REMOVED, ADDED),
        "customer_no": _TEXT,
        "subscription_no": _or_null(_TEXT),
        "charge_id": _TEXT,
        "run": _said(_or_null(_NUMBER), "The run that wrote the charge last; null if none did."),
        "left": _said(_content(), "What that run left."),
        "now": _said(_content(), "What is held now; null if nothing is."),
        "fields": _said(_list(_TEXT), "The names of the values that differ."),
    }
    failed = _said(_by_name(_TEXT), "The reason for each customer that could not be read.")
    return _object({"customers": _COUNT, "charges": _COUNT, "failed": failed, "drift": _list(_object(each))})


def _export() -> Schema:
    return _object({
        "customers": _said(_COUNT, "Customers that were read, also those that are missing or have no charge."),
        "charges": _COUNT,
        "missing": _said(_list(_TEXT), "Customers that are not in the ledger."),
        "failed": _said(_by_name(_TEXT), "The reason for each customer that could not be read."),
        "resumed": _said(_COUNT, "Customers that an interrupted export had read before."),
        "interrupted": _SWITCH,
    })  # fmt: skip


def _plan() -> Schema:
    money = {"before": _DECIMAL, "after": _DECIMAL, "rows_without_price": _COUNT}
    return _object({
        "rows": _COUNT,
        "unchanged": _COUNT,
        "rejected": _said(_REASONS, "The reason for each row that breaks a rule, by line."),
        "failed": _said(_REASONS, "The reason for each row that could not be compared, by line."),
        "changes": _said(_by_name(_COUNT), "Writes, by kind."),
        "held": _said(_COUNT, "Charges that the customers of the table have now."),
        "in_no_row": _said(_COUNT, "Charges of these customers that are in no row."),
        "money_per_month": _said(_object(money), "In major currency units."),
        "suspicious": _said(_list(_COUNT), "Lines that add a charge beside an open one of the same product."),
        "digest": _said(_TEXT, "The digest of the plan, for --approve."),
        "steps": _said(_list(_object(_step())), "The writes, in the order in which apply sends them."),
    })  # fmt: skip


def _work() -> Schema:
    customers = _said(_COUNT, "Customers that this worker wrote.")
    return _object({"journal": _TEXT, "customers": customers, "interrupted": _SWITCH})


def _report() -> Schema:
    report: Schema = json.loads((files("payex_billing.cli") / "report.schema.json").read_text(encoding="utf-8"))
    return report


@attrs.frozen
class Output:
    """What commands print with `--json`.

    Attributes:
        commands: the commands.
        title: what it is.
        build: returns the schema.
    """

    commands: tuple[str, ...]
    title: str
    build: Callable[[], Schema]


OUTPUTS: Final[Mapping[str, Output]] = {
    "charges": Output(("charges list", "charges add", "charges update", "charges end"), "Charges", _charges),
    "creations": Output(("runs resolve",), "Creations whose outcome could not be told", _creations),
    "customer": Output(("customer get", "customer create"), "A customer with its subscriptions", _customer),
    "drift": Output(("drift",), "What others have changed since the runs", _drift),
    "export": Output(("export",), "What export has written", _export),
    "findings": Output(("doctor",), "What doctor has found", _findings),
    "history": Output(("history",), "The writes to a customer", _history),
    "plan": Output(("plan", "undo --plan-only"), "A plan", _plan),
    "problems": Output(("problems",), "Problem types", _problems),
    "removal": Output(("charges remove",), "A removed charge", _removal),
    "report": Output(("apply", "retry", "undo"), "The report of a run", _report),
    "run": Output(("runs show",), "A run", _shown_run),
    "runs": Output(("runs list",), "The runs of a journal", _runs),
    "settings": Output(("settings",), "The settings, and where they come from", _settings),
    "version": Output(("version",), "The version", _version),
    "work": Output(("work",), "What a worker has written", _work),
}
"""Each schema by its name."""


def schema_of(name: str) -> Schema:
    """Return the schema with a name of `OUTPUTS`."""
    output = OUTPUTS[name]
    schema = output.build()
    if "$id" in schema:
        return schema
    commands = ", ".join(f"`payex-billing {command} --json`" for command in output.commands)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:payex-billing:{name}:1",
        "title": output.title,
        "description": f"Printed by {commands}. A later version may add properties.",
        **schema,
    }
