"""Rows of Python: mappings of column to value, or a data frame of pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._columns import TableError
from ._staging import Staging

_LOSSY = {"float32", "float16", "float[pyarrow]", "halffloat[pyarrow]"}


def stage(rows: Any, staging: Staging) -> None:
    """Read the rows; the first is number 1.

    Raises:
        TableError: they are no rows, or a column is refused.
    """
    header = staging.header
    if type(rows).__module__.partition(".")[0] == "pandas":
        _stage_frame(rows, staging)
        return
    if not isinstance(rows, Iterable) or isinstance(rows, Mapping | str | bytes):
        raise TableError(
            f"{header.source}: a value of the type {type(rows).__name__} is no table; give a path, rows or data"
        )
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise TableError(
                f"{header.source}: row {number} is a {type(row).__name__}, not a mapping of column to value"
            )
        staging.add_mapping(number, row)
    if not header.columns:
        raise TableError(f"{header.source}: has no rows, so its columns are not known")
    header.check()


def _stage_frame(frame: Any, staging: Staging) -> None:
    header = staging.header
    header.add_all(str(column).strip() for column in frame.columns)
    for place, type_ in enumerate(map(str, frame.dtypes)):
        if header.kinds[place] is not None and type_.lower() in _LOSSY:
            raise TableError(
                f"{header.source}: the column {header.columns[place]!r} has {type_} numbers, which lose digits. "
                "Make it float64, Decimal or text"
            )
    staging.add_typed(frame.itertuples(index=False, name=None), nan_is_empty=True)
