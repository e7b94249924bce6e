"""Pages of a list, for contracts whose lists have query parameters such as `page` and `pageSize`."""

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
    """How one list is divided into pages: not at all, unless a query parameter says which page is wanted.

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
        schema = self._position.schema
        self._counts_pages = not set(words(self._position.name)) & (_OFFSET | _CURSOR)
        starts = schemas.values(schema, "default") + schemas.values(schema, "minimum")
        self._first = (
            int(starts[0]) if self._counts_pages and starts and str(starts[0]).isdigit() else int(self._counts_pages)
        )
        sizes = schemas.values(self._size.schema, "default") if self._size else []
        largest = (
            min(schemas.values(self._size.schema, "maximum"), default=DEFAULT_SIZE) if self._size else DEFAULT_SIZE
        )
        self._default_size = int(sizes[0]) if sizes else min(DEFAULT_SIZE, int(largest))

    def page(self, resources: Sequence[Resource], path: str, query: Mapping[str, str]) -> Page:
        """The page that a query asks for.

        Raises:
            Refusal: there cannot be such a page.
        """
        total = len(resources)
        if self._position is None:
            numbers = {"total": total, "count": total, "page": 1, "size": total, "pages": 1, "offset": 0}
            return Page(resources, {"self": path}, numbers)
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

        last = max(0, total - 1) // size * size
        paths = {"self": at(start) if query else path, "first": at(0), "last": at(last)}
        if start + size < total:
            paths["next"] = at(start + size)
        if start > 0:
            paths["previous"] = at(max(0, start - size))
        pages = last // size + 1
        number = start // size + self._first if self._counts_pages else start // size + 1
        return Page(shown, paths, {
            "total": total, "count": len(shown), "page": number, "size": size, "pages": pages, "offset": start,
        })  # fmt: skip


def _is_size(name: str) -> bool:
    found = words(name)
    return bool(set(found) & _SIZE) or found == ["per", "page"]
