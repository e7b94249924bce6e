"""Divides lists into pages, if the contract has query parameters such as `page` and `pageSize`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from .names import words
from .problems import invalid
from .resources import Resource
from .schemas import values
from .validation import Failure, Parameter
from .views import Page

DEFAULT_SIZE = 100
_SIZE = {"size", "limit", "take", "top", "count", "per"}
_OFFSET = {"offset", "skip", "start", "cursor", "after", "token", "continuation"}


class Paging:
    """Divides one list into pages. Without a query parameter for the page, the whole list is one page.

    Args:
        parameters: the query parameters of the list.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        sizes = [each for each in parameters if _SIZE & set(words(each.name))]
        positions = [each for each in parameters if each not in sizes and ({"page"} | _OFFSET) & set(words(each.name))]
        self._position = positions[0] if positions else None
        if self._position is None:
            return
        self._counts_pages = not _OFFSET & set(words(self._position.name))
        schema = self._position.schema
        firsts = [*values(schema, "default"), *values(schema, "minimum"), 1] if self._counts_pages else [0]
        self._first = int(firsts[0])
        self._size_name = sizes[0].name if sizes else ""
        size = sizes[0].schema if sizes else {}
        largest = min([DEFAULT_SIZE, *values(size, "maximum")])
        self._default_size = int([*values(size, "default"), largest][0])

    def page(self, resources: Sequence[Resource], path: str, query: Mapping[str, str]) -> Page:
        """Return the page that a query asks for.

        Raises:
            Refusal: the query asks for a page that cannot exist.
        """
        total = len(resources)
        if self._position is None:
            return Page(resources, {"self": path}, total)
        name = self._position.name
        try:
            size = int(query.get(self._size_name, self._default_size))
            position = int(query.get(name, self._first))
        except ValueError:
            raise invalid([Failure(name, "is not one that a list gave")]) from None
        start = (position - self._first) * size if self._counts_pages else position
        if start < 0 or size < 1:
            raise invalid([Failure(name, "must be a page of the list")])

        def at(offset: int) -> str:
            wanted = self._first + offset // size if self._counts_pages else offset
            return f"{path}?{urlencode({**query, name: wanted})}"

        paths = {"self": at(start) if query else path}
        if start + size < total:
            paths["next"] = at(start + size)
        if start > 0:
            paths["previous"] = at(max(0, start - size))
        return Page(resources[start : start + size], paths, total)
