"""`record_shapes`: write down what exchanges look like, without any value."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from .._transport import Request, Response
from ..errors import ConfigurationError

Shape: TypeAlias = "str | list[Shape] | dict[str, Shape]"
_LOG = logging.getLogger("payex_billing")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT.*")
# Anything else, such as a number that serves as a key, may be a value.
_NAME = re.compile(r"[$@]?[A-Za-z][A-Za-z_.\-]{0,40}")
_CODE = re.compile(r"[a-z][a-z-]{1,60}")
MOST_SHAPES = 1_000
MOST_BYTES = 4_194_304
MOST_DEPTH = 6


class ShapeRecorder:
    """Appends each shape to a file: when it is new, and when it was seen 10, 100, 1,000 times, and so on.

    A shape has the operation, the status, the names of headers and properties, and the kinds of their values.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Check that the file can be written.

        Raises:
            ConfigurationError: it cannot.
        """
        self._path = Path(path)
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._failed = False
        try:
            with self._path.open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise ConfigurationError(f"record_shapes: {error}") from None

    def record(self, route: str, request: Request, response: Response) -> None:
        """Record one exchange. A file that cannot be written is logged once, and stops nothing."""
        document = _parsed(response.body)
        shape: dict[str, object] = {
            "method": request.method,
            "path": route,
            "status": response.status,
            "media_type": response.headers.get("content-type", "").partition(";")[0].strip().lower()[:60],
            "headers": sorted(name for name in map(str.lower, response.headers) if _NAME.fullmatch(name)),
        }
        if request.body:
            shape["sent"] = shape_of(_parsed(request.body))
        if response.body:
            shape["received"] = "not JSON" if document is None else shape_of(document)
        if code := _problem_code(document, response.status):
            shape["problem"] = code
        key = json.dumps(shape, sort_keys=True)
        with self._lock:
            if key not in self._counts and len(self._counts) >= MOST_SHAPES:
                return
            count = self._counts[key] = self._counts.get(key, 0) + 1
            if str(count).strip("0") == "1":  # 1, 10, 100 …
                self._append(json.dumps({**shape, "count": count}))

    def _append(self, line: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            if not self._failed:
                self._failed = True
                _LOG.warning("record_shapes: %s; the client goes on without it", error)


def shape_of(value: object, depth: int = 0) -> Shape:
    """Return the shape of a JSON value: the names of properties, and the kinds of values."""
    if depth > MOST_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {_name(str(name)): shape_of(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        shapes: list[Shape] = []
        for each in value:
            shape = shape_of(each, depth + 1)
            if shape not in shapes:
                shapes.append(shape)
        return shapes
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    text = str(value)
    if _DATE.fullmatch(text):
        return "date"
    return "date-time" if _TIME.fullmatch(text) else "link" if text.startswith("/") else "text"


def _parsed(body: bytes | None) -> object:
    try:
        return json.loads(body) if body and len(body) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        return None


def _problem_code(document: object, status: int) -> str:
    """Return the problem type of a refusal, if it looks like one; a text with digits may be a value."""
    if status < 400 or not isinstance(document, Mapping):
        return ""
    kind = next((str(value) for name, value in document.items() if str(name).lower() == "type"), "")
    code = kind.rstrip("/").rpartition("/")[2]
    return code if _CODE.fullmatch(code) else ""


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else "…"
