"""The types of the contract table `_contract`, which `make generate` writes from openapi.yaml."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

import attrs


class Kind(Enum):
    """The type of a property's value."""

    TEXT = "text"
    WHOLE = "whole number"
    DECIMAL = "decimal number"
    BOOLEAN = "true or false"
    DATE = "date"
    TIME = "date and time"
    LINK = "link"
    ID = "number or id of a resource"
    """Text in Python. On the wire it is text, or a whole number if `Property.whole` says so."""
    OPERATIONS = "operations"
    JSON = "any JSON"


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return None if pattern is None else re.compile(pattern)


@attrs.frozen(kw_only=True)
class Property:
    """A property of a resource or of a body, or a parameter of a path.

    Attributes:
        name: the name in Python.
        wire: the name in the contract.
        kind: the type of its value.
        required: whether the property must be present.
        nullable: whether the value may be null.
        whole: whether an id is a whole number on the wire.
        minimum: the lowest number.
        maximum: the highest number.
        decimals: how many decimals a number may have.
        min_length: the fewest characters of a text.
        max_length: the most characters of a text.
        pattern: the regular expression that the whole text must match.
        excluded: texts that are not allowed.
        choices: the only texts that are allowed; empty for any.
        description: the meaning of the property.
    """

    name: str
    wire: str
    kind: Kind
    required: bool = False
    nullable: bool = False
    whole: bool = False
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    decimals: int | None = None
    min_length: int = 0
    max_length: int | None = None
    pattern: re.Pattern[str] | None = attrs.field(default=None, converter=_compiled)
    excluded: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    description: str = ""


Shape: TypeAlias = tuple[Property, ...]


@attrs.frozen(kw_only=True)
class Operation:
    """An operation of the contract.

    Attributes:
        name: its `operationId`.
        method: the HTTP method.
        path: the path under the API's prefix, with its parameters in braces.
        body: the properties of the request's body; None without a body.
        media_type: the type of the request's body.
        result: the properties of the resource in a successful response, or of each resource in a list; None without a
            body.
        items: the name of a list's array; None if the result is no list.
        navigation: the name of the property with a list's links; None if the links are beside the array.
        is_navigation_optional: whether a list may come without that property; it is then the whole list.
        own: the name of the link from a list to itself.
        following: the name of the link to the next page.
        idempotency_header: the header with a key, by which the server recognises a repeated request; None if the
            operation has no such header.
    """

    name: str
    method: str
    path: str
    body: Shape | None = None
    media_type: str = ""
    result: Shape | None = None
    items: str | None = None
    navigation: str | None = None
    is_navigation_optional: bool = False
    own: str = "@id"
    following: str = "next"
    idempotency_header: str | None = None


@attrs.frozen(kw_only=True)
class Server:
    """An environment of the API.

    Attributes:
        origin: the scheme and host, such as `https://lf-api.payex.com`.
        path: the prefix of all paths; `{subdomain}` stands for the setting of that name.
    """

    origin: str
    path: str
