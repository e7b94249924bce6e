"""Charges whose values are those of the tables in `values.py`: each value of each property is in one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from .exchange import CONTRACT
from .schemas import resolve
from .values import LONGEST, few_texts, spread, values_of

ROOMY = 20  # characters of a text into which several entries of the table fit
FEW = 48  # values of a property, for an endpoint that gets few requests


@cache
def values_by_property(role: str, *, few: bool = False) -> Mapping[str, Sequence[Any]]:
    """Return the valid values of each property of a new charge (`create`), or of a change (`update`).

    With `few`, the texts are packed, and there are at most as many numbers and dates as texts or `FEW`.
    """
    schema = CONTRACT.creations["charge"] if role == "create" else CONTRACT.change
    columns: dict[str, Sequence[Any]] = {name: values_of(node) for name, node in schema["properties"].items()}
    if few:
        packed = {name: _packed_values(node) for name, node in schema["properties"].items()}
        columns = {name: packed[name] or spread(values, FEW) for name, values in columns.items()}
    return columns


def _packed_values(schema: Mapping[str, Any]) -> list[str]:
    """Return the few texts of a schema that is long enough for packing; nothing for any other schema."""
    for branch in map(resolve, resolve(schema).get("anyOf", [schema])):
        if branch.get("type") == "string" and "format" not in branch and branch.get("maxLength", LONGEST) >= ROOMY:
            return few_texts(branch)
    return []


def ends_before_start(values: Mapping[str, Any]) -> bool:
    """Return whether a charge would end before it starts, which the contract refuses with 422."""
    start, end = values.get(CONTRACT.wire("start_date")), values.get(CONTRACT.wire("end_date"))
    return start is not None and end is not None and end < start


def rows(role: str, *, later: bool, few: bool = False) -> list[dict[str, Any]]:
    """Return so many bodies of charges that each value of each property is in at least one of them.

    Args:
        role: `create` for new charges, `update` for changes.
        later: whether the date that the table has next is the start, and a later date the end; else the date is the
            end, and an earlier date the start.
        few: whether the rows are for an endpoint that gets few requests; see `values_by_property`.
    """
    columns = values_by_property(role, few=few)
    start, end = CONTRACT.wire("start_date"), CONTRACT.wire("end_date")
    found = []
    for index in range(max(map(len, columns.values()))):
        # Another stride for each property: two properties of equal length then meet in other pairs.
        row = {name: values[index % len(values)] for name, values in columns.items()}
        if start in columns and end in columns:
            days = sorted(columns[start])
            place = index % len(days)
            first, last = (place, len(days) - 1) if later else (0, place)
            other = first + index * 7 % (last - first + 1)
            row |= {start: days[place if later else other], end: days[other if later else place]}
        found.append(row)
    return found
