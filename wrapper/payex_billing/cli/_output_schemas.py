"""`payex-billing schema`: the JSON Schema of what each command prints with `--json`.

The properties of values come from the classes, so that a corrected contract needs no edit here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib.resources import files
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs
import click

from ..config import VARIABLES
from ..models import Customer, RecurringProduct, Subscription
from ..reconcile import Content, Kind
from ..reconcile._drift import ADDED, CHANGED, REMOVED
from ..reconcile._records import Ending, Result
from ._common import say_json
from ._lazy_group import suggestion
from ._table import table

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


_CONTENT: Final = _or_null(_values(Content))
_STEP: Final[dict[str, Schema]] = {
    "kind": _one_of(*(kind.value for kind in Kind)),
    "line": _said({"type": ["integer", "null"]}, "The line in the table; null if the write is of no row."),
    "customer_no": _TEXT,
    "subscription_no": _or_null(_TEXT),
    "charge_id": _or_null(_TEXT),
    "before": _said(_CONTENT, "What the charge billed before the write; null if there was none."),
    "after": _said(_CONTENT, "What the charge bills after the write; null if there is none."),
}
_EXPLANATION: Final[dict[str, Schema]] = {
    "status": {"type": "integer", "minimum": 400, "maximum": 599}, "raises": _TEXT, "means": _TEXT, "do": _TEXT,
    "whose": _TEXT, "again": _TEXT,
}  # fmt: skip
_PROBLEMS: Final[Schema] = {
    "oneOf": [
        _object({"problems": _said(_by_name(_object(_EXPLANATION)), "Each problem type. Without CODE.")}),
        _object({"type": _said(_TEXT, "The problem type that CODE names."), **_EXPLANATION}),
    ]
}
_CUSTOMER: Final = _values(Customer, nulls=False, subscriptions=_list(_values(Subscription, nulls=False)))
_LEVEL: Final = _said(_or_null(_TEXT), "The subscription; null for a charge of the customer itself.")
_CHARGES: Final = _object({"charges": _list(_values(RecurringProduct, nulls=False, subscription_no=_LEVEL))})
_SETTING: Final = _object({
    "value": _said(_TEXT, "The value; empty if there is none, *** for a secret."),
    "origin": _said(_TEXT, "option, default, or the name of an environment variable."),
})  # fmt: skip
_VALUES: Final = {name: _SETTING for name in VARIABLES if name != "environment"}
_SETTINGS: Final = _object({
    "settings": _said(_object(_VALUES, *_VALUES), "Empty if a setting is missing or wrong."),
    "error": _or_null(_TEXT),
})  # fmt: skip
_FINDINGS: Final = _object({
    "findings": _list(_object({
        "verdict": _said(_one_of("ok", "wrong", "warning", "-"), "- for what could not be looked at."),
        "what": _TEXT,
        "detail": _TEXT,
        "do": _said(_TEXT, "What to do; empty if there is nothing to do."),
    }))
})  # fmt: skip
_WRITE: Final[dict[str, Schema]] = {
    "write": _said(_NUMBER, "The number of the write in the journal."),
    "run": _NUMBER,
    **_STEP,
    "noted_at": _TIME,
    "result": _said(
        {"type": ["string", "null"], "enum": [*(result.value for result in Result), None]},
        "null if the outcome is not known.",
    ),
    "status": _said({"type": ["integer", "null"]}, "The HTTP status; null if there was no response."),
    "instance": _said(_or_null(_TEXT), "The instance id of the problem in the response."),
}
_HISTORY: Final[Schema] = {
    "oneOf": [
        _object({"customer_no": _TEXT, "writes": _list(_object(_WRITE))}),
        _object({"customer_no": _TEXT, "forgotten": _said(_COUNT, "Writes. With --forget.")}),
    ]
}
_RUN: Final[dict[str, Schema]] = {
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
_RUNS: Final = _object({"journal": _TEXT, "runs": _list(_object(_RUN))})
_ROW: Final[dict[str, Schema]] = {
    "line": _COUNT, "customer_no": _or_null(_TEXT), "result": _one_of("rejected", "failed"), "reason": _TEXT,
}  # fmt: skip
_WRITES: Final = _said(_by_name(_COUNT), "Writes that took effect, by kind.")
_SHOWN_RUN: Final = _object({**_RUN, "writes": _WRITES, "not_applied": _list(_object(_ROW))})
_CREATION: Final[dict[str, Schema]] = {
    "number": _NUMBER,
    "customer_no": _TEXT,
    "subscription_no": _or_null(_TEXT),
    **_values(Content)["properties"],
    "line": {"type": ["integer", "null"]},
}
_CREATIONS: Final = _object({"creations": _list(_object(_CREATION))})
_DRIFTED: Final[dict[str, Schema]] = {
    "kind": _one_of(CHANGED, REMOVED, ADDED),
    "customer_no": _TEXT,
    "subscription_no": _or_null(_TEXT),
    "charge_id": _TEXT,
    "run": _said(_or_null(_NUMBER), "The run that wrote the charge last; null if none did."),
    "left": _said(_CONTENT, "What that run left."),
    "now": _said(_CONTENT, "What is held now; null if nothing is."),
    "fields": _said(_list(_TEXT), "The names of the values that differ."),
}
_UNREAD: Final = _said(_by_name(_TEXT), "The reason for each customer that could not be read.")
_DRIFT: Final = _object({"customers": _COUNT, "charges": _COUNT, "failed": _UNREAD, "drift": _list(_object(_DRIFTED))})
_EXPORT: Final = _object({
    "customers": _said(_COUNT, "Customers that were read, also those that are missing or have no charge."),
    "charges": _COUNT,
    "missing": _said(_list(_TEXT), "Customers that are not in the ledger."),
    "failed": _UNREAD,
    "resumed": _said(_COUNT, "Customers that an interrupted export had read before."),
    "interrupted": _SWITCH,
})  # fmt: skip
_MONEY: Final[dict[str, Schema]] = {"before": _DECIMAL, "after": _DECIMAL, "rows_without_price": _COUNT}
_PLAN: Final = _object({
    "rows": _COUNT,
    "unchanged": _COUNT,
    "rejected": _said(_REASONS, "The reason for each row that breaks a rule, by line."),
    "failed": _said(_REASONS, "The reason for each row that could not be compared, by line."),
    "changes": _said(_by_name(_COUNT), "Writes, by kind."),
    "held": _said(_COUNT, "Charges that the customers of the table have now."),
    "in_no_row": _said(_COUNT, "Charges of these customers that are in no row."),
    "money_per_month": _said(_object(_MONEY), "In major currency units."),
    "suspicious": _said(_list(_COUNT), "Lines that add a charge beside an open one of the same product."),
    "digest": _said(_TEXT, "The digest of the plan, for --approve."),
    "steps": _said(_list(_object(_STEP)), "The writes, in the order in which apply sends them."),
})  # fmt: skip
_WORK: Final = _object({
    "journal": _TEXT,
    "customers": _said(_COUNT, "Customers that this worker wrote."),
    "interrupted": _SWITCH,
})  # fmt: skip
_REPORT: Final[Schema] = json.loads((files("payex_billing.cli") / "report.schema.json").read_text(encoding="utf-8"))


@attrs.frozen
class Output:
    """What commands print with `--json`.

    Attributes:
        commands: the commands.
        title: what it is.
        schema: the schema.
    """

    commands: tuple[str, ...]
    title: str
    schema: Schema


OUTPUTS: Final[Mapping[str, Output]] = {
    "charges": Output(("charges list", "charges add", "charges update", "charges end"), "Charges", _CHARGES),
    "creations": Output(("runs resolve",), "Creations whose outcome could not be told", _CREATIONS),
    "customer": Output(("customer get", "customer create"), "A customer with its subscriptions", _CUSTOMER),
    "drift": Output(("drift",), "What others have changed since the runs", _DRIFT),
    "export": Output(("export",), "What export has written", _EXPORT),
    "findings": Output(("doctor",), "What doctor has found", _FINDINGS),
    "history": Output(("history",), "The writes to a customer", _HISTORY),
    "plan": Output(("plan", "undo --plan-only"), "A plan", _PLAN),
    "problems": Output(("problems",), "Problem types", _PROBLEMS),
    "removal": Output(
        ("charges remove",), "A removed charge", _object({"removed": _said(_TEXT, "The id of the removed charge.")})
    ),
    "report": Output(("apply", "retry", "undo"), "The report of a run", _REPORT),
    "run": Output(("runs show",), "A run", _SHOWN_RUN),
    "runs": Output(("runs list",), "The runs of a journal", _RUNS),
    "settings": Output(("settings",), "The settings, and where they come from", _SETTINGS),
    "version": Output(("version",), "The version", _object({"version": _TEXT})),
    "work": Output(("work",), "What a worker has written", _WORK),
}
"""Each schema by its name."""


def schema_of(name: str) -> Schema:
    """Return the schema with a name of `OUTPUTS`."""
    output = OUTPUTS[name]
    if "$id" in output.schema:
        return output.schema
    commands = ", ".join(f"`payex-billing {command} --json`" for command in output.commands)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:payex-billing:{name}:1",
        "title": output.title,
        "description": f"Printed by {commands}. A later version may add properties.",
        **output.schema,
    }


@click.command(epilog="\b\nExamples:\n  payex-billing schema\n  payex-billing schema charges")
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """Print the JSON Schema called NAME, or list the schemas and the commands whose --json output they describe."""
    if name is None:
        table(["schema", "commands with --json"], [[key, ", ".join(each.commands)] for key, each in OUTPUTS.items()])
    elif name in OUTPUTS:
        say_json(schema_of(name))
    else:
        raise click.UsageError(
            f"there is no schema {name!r}.{suggestion(name, OUTPUTS)} payex-billing schema lists the schemas"
        )


@click.command(name="report-schema")
def report_schema() -> None:
    """Print the JSON Schema of a report. `payex-billing schema report` prints the same."""
    say_json(schema_of("report"))
