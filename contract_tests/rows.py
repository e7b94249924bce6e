"""Make charges from the values in `values.py`. Each value of each property is in at least one charge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from .exchange import CONTRACT
from .schemas import resolve
from .values import LONGEST, few_texts, spread, values_of

ROOMY = 20  # a text of so many characters has space for several entries of the table
FEW = 48  # values of each property for a real endpoint


@cache
def values_by_property(role: str, *, few: bool = False) -> Mapping[str, Sequence[Any]]:
    """Return the valid values of each property of a new charge (`create`), or of a change (`update`).

    Args:
        role: `create` or `update`.
        few: whether to return few values, for a real endpoint: packed texts, and at most `FEW` numbers, dates and
            short texts.
    """
    schema = CONTRACT.creations["charge"] if role == "create" else CONTRACT.change
    columns: dict[str, Sequence[Any]] = {name: values_of(node) for name, node in schema["properties"].items()}
    if few:
        packed = {name: _packed_values(node) for name, node in schema["properties"].items()}
        columns = {name: packed[name] or spread(values, FEW) for name, values in columns.items()}
    return columns


def _packed_values(schema: Mapping[str, Any]) -> list[str]:
    """Return packed texts if the schema allows texts that are long enough for packing; otherwise an empty list."""
    for branch in map(resolve, resolve(schema).get("anyOf", [schema])):
        if branch.get("type") == "string" and "format" not in branch and branch.get("maxLength", LONGEST) >= ROOMY:
            return few_texts(branch)
    return []


def ends_before_start(values: Mapping[str, Any]) -> bool:
    """Return whether a charge would end before its start date. The contract refuses such a charge with 422."""
    start, end = values.get(CONTRACT.wire("start_date")), values.get(CONTRACT.wire("end_date"))
    return start is not None and end is not None and end < start


def rows(role: str, *, later: bool, few: bool = False) -> list[dict[str, Any]]:
    """Return bodies of charges. Each value of each property is in at least one body.

    Args:
        role: `create` for new charges, `update` for changes.
        later: whether the date that the table has next is the start, and a later date the end; else the date is the
            end, and an earlier date the start.
        few: whether to use few values, for a real endpoint; see `values_by_property`.
    """
    columns = values_by_property(role, few=few)
    start, end = CONTRACT.wire("start_date"), CONTRACT.wire("end_date")
    found = []
    for index in range(max(map(len, columns.values()))):
        # Each property goes on in its own list, so the pairs of values differ from row to row.
        row = {name: values[index % len(values)] for name, values in columns.items()}
        if start in columns and end in columns:
            days = sorted(columns[start])
            place = index % len(days)
            first, last = (place, len(days) - 1) if later else (0, place)
            other = first + index * 7 % (last - first + 1)
            row |= {start: days[place if later else other], end: days[other if later else place]}
        found.append(row)
    return found
