"""Compares the names of the contract by their words, so that casing and separators do not matter."""

from __future__ import annotations

import re
from collections.abc import Iterable

_IDENTIFIERS = {"id", "no", "number", "nr", "key", "code"}
_WORD = re.compile(r"[A-ZÅÄÖ]?[a-zåäö]+|[A-ZÅÄÖ]+(?![a-zåäö])|\d+")


def words(name: str) -> list[str]:
    """Return the words of a name: `recurringProductId` and `recurring-product-id` have the same words."""
    return [word.lower() for word in _WORD.findall(name)]


def are_same(name: str, other: str) -> bool:
    """Return whether two names have the same words."""
    return words(name) == words(other)


def stem(name: str) -> str:
    """Return the words of a name, joined by hyphens, without a last word such as `No` or `Id`."""
    found = words(name)
    return "-".join(found[:-1] if found and found[-1] in _IDENTIFIERS else found)


def singular(word: str) -> str:
    """Return the name for one element of a collection: `recurring-product` for `recurring-products`."""
    last = word.rpartition("/")[2]
    if last.endswith(("ss", "us")):
        return last
    return last[:-3] + "y" if last.endswith("ies") else last.removesuffix("s")


def only(names: Iterable[str], wanted: set[str]) -> str:
    """Return the only name that contains a wanted word; empty if no name or more than one name does."""
    found = [name for name in names if wanted & set(words(name))]
    return found[0] if len(found) == 1 else ""
