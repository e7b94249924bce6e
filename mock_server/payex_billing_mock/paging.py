"""Divides lists into pages, if the contract has query parameters such as `page` and `pageSize`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from .names import words
from .problems import invalid
from .resources import Resource
from .schemas import Schemas
from .validation import Failure, Parameter
from .views import Page

DEFAULT_SIZE = 100
_SIZE = {"size", "limit", "take", "top", "count"}
_OFFSET = {"offset", "skip", "start"}
_CURSOR = {"cursor", "after", "token", "continuation"}


class Paging:
    """Divides one list into pages. Without a query parameter for the page, the whole list is one page.

    Args:
        schemas: the schemas of the contract.
        parameters: the query parameters of the list.
    """

    def __init__(self, schemas: Schemas, parameters: Sequence[Parameter]) -> None:
        self._size = next((each for each in parameters if _is_size(each.name)), None)
        rest = [each for each in parameters if each is not self._size]
        self._position = next((each for each in rest if set(words(each.name)) & ({"page"} | _OFFSET | _CURSOR)), None)
        if self._position is None:
            return
        self._counts_pages = not set(words(self._position.name)) & (_OFFSET | _CURSOR)
        starts = [0]
        if self._counts_pages:
            starts = [each for key in ("default", "minimum") for each in schemas.values(self._position.schema, key)]
        self._first = int(next(iter(starts), 1))
        size = self._size.schema if self._size is not None else {}
        largest = min([DEFAULT_SIZE, *schemas.values(size, "maximum")])
        self._default_size = int(next(iter(schemas.values(size, "default")), largest))

    def page(self, resources: Sequence[Resource], path: str, query: Mapping[str, str]) -> Page:
        """Return the page that a query asks for.

        Raises:
            Refusal: the query asks for a page that cannot exist.
        """
        total = len(resources)
        if self._position is None:
            return Page(resources, {"self": path}, {"total": total, "page": 1, "size": total})
        name = self._position.name
        try:
            size = int(query.get(self._size.name, self._default_size)) if self._size else self._default_size
            position = int(query.get(name, self._first))
        except ValueError:
            raise invalid([Failure(name, "is not one that a list gave")]) from None
        start = (position - self._first) * size if self._counts_pages else position
        if start < 0 or size < 1:
            raise invalid([Failure(name, "must be a page of the list")])
        shown = resources[start : start + size]

        def at(offset: int) -> str:
            wanted = self._first + offset // size if self._counts_pages else offset
            return f"{path}?{urlencode({**query, name: wanted})}"

        paths = {"self": at(start) if query else path}
        if start + size < total:
            paths["next"] = at(start + size)
        if start > 0:
            paths["previous"] = at(max(0, start - size))
        return Page(shown, paths, {"total": total, "page": start // size + self._first, "size": size})


def _is_size(name: str) -> bool:
    found = words(name)
    return bool(set(found) & _SIZE) or found == ["per", "page"]
