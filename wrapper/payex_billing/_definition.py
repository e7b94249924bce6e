"""What the generated code defines of an operation, and JSON. Requests and responses are bytes here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import quote

from payex_billing_client import AuthenticatedClient

from ._calls import PreparedRequest, Unreadable
from ._transport import Response
from .errors import InvalidArgument

try:
    import orjson
except ModuleNotFoundError:  # the extra `fast`
    orjson = None  # type: ignore[assignment]

T = TypeVar("T")
# Whole numbers that may not fit into 64 bits have 19 digits or more.
_long = re.compile(rb"[0-9]{19}").search
# Every digit becomes a 0 and every other byte a 1. 19 digits in a row are three zeros in a row in every sixth byte. An
# id or a date can look so too, but most responses do not, and are spared the search, which takes ten times as long.
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x31 for byte in range(256))
# What `quote` leaves as it is.
_unreserved = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
# Only asked whether unexpected statuses raise; they never get that far.
_CLIENT = AuthenticatedClient(base_url="", token="", raise_on_unexpected_status=True)


class Definition:
    """An operation as the generated code defines it.

    Its `_get_kwargs` is asked once, with ids that stand out, for what all requests have in common: quoting and
    formatting for each cost more than all else. A test holds the requests made here to `_get_kwargs`, for any ids.

    Args:
        module: the operation's generated module.
        ids: how many ids its route has.
        body: a body as it may be sent, if there is one.
    """

    __slots__ = ("_headers", "_method", "_operation", "_parse", "_path", "_template")

    def __init__(self, module: ModuleType, ids: int, body: Any) -> None:
        given = {} if body is None else {"body": body}
        kwargs = module._get_kwargs(*(f"~{number}~" for number in range(ids)), **given)
        self._operation = module.__name__.rpartition(".")[2]
        self._method: str = kwargs["method"].upper()
        self._path: str = re.sub("~[0-9]~", "%s", kwargs["url"])
        self._template = _template(self._path)
        self._headers: Mapping[str, str] = kwargs.get("headers", {})
        self._parse = module._parse_response

    def request(self, ids: tuple[str, ...], body: Any) -> PreparedRequest:
        """The request for these ids, in the order of the route, with a body of the generated models.

        Raises:
            InvalidArgument: the body cannot be written as JSON.
        """
        if not _unreserved("".join(ids)):
            ids = tuple([quote(value, safe="") for value in ids])
        content = None if body is None else _written(body)
        return PreparedRequest(self._operation, self._method, self._path % ids, self._template, self._headers, content)

    def read(self, status: int, convert: Callable[[Any], T], response: Response, *, is_list: bool = False) -> T:
        """What a response says, taken as one with this status.

        Raises:
            Unreadable: it is not what the contract says. The reason repeats no value of the response.
        """
        try:
            value = parse_json(response.body)
        except (ValueError, RecursionError):
            raise Unreadable("the body is not JSON") from None
        if is_list and not (isinstance(value, dict) and isinstance(value.get("items"), list)):
            raise Unreadable("items is not a list")  # the generated code reads an empty object as an empty list
        try:
            return convert(self._parse(client=_CLIENT, response=_Parsed(status, value)))
        except KeyError as error:
            raise Unreadable(f"the body lacks {error}") from None
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise Unreadable("the body is not what the contract says") from None


class _Parsed:
    """What the generated parsers look at of an HTTP library's response."""

    __slots__ = ("_value", "status_code")

    def __init__(self, status_code: int, value: Any) -> None:
        self.status_code = status_code
        self._value = value

    def json(self) -> Any:
        return self._value


def parse_json(body: bytes) -> Any:
    """What a body says.

    orjson, if it is installed, reads what it and the standard library agree on. It rejects lone surrogates and a byte
    order mark, and rounds whole numbers beyond 64 bits. The standard library reads a body that could hold one of
    these, so that a response means the same with and without the extra.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    if orjson is not None and (b"000" not in body[::6].translate(_DIGITS) or not _long(body)):
        try:
            return orjson.loads(body)
        except ValueError:
            pass
    return json.loads(body, parse_constant=_refuse_constant)


def write_json(argument: str, value: Any) -> bytes:
    """The value as a body.

    Raises:
        InvalidArgument: it cannot be written as JSON; the argument is named.
    """
    try:
        return _encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(argument, f"cannot be written as JSON: {error}") from None


def _written(body: Any) -> bytes:
    """A body of the generated models. Whatever can be wrong with one came with `extra`: all else has been checked."""
    value = body.to_dict()
    # orjson would write a number that is not finite as null, and only `extra` can hold one.
    if orjson is not None and not body.additional_properties:
        return orjson.dumps(value)
    return write_json("extra", value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _template(path: str) -> str:
    """The route with its parameters unfilled: every other segment of this API is a parameter."""
    names = {"customers": "{customerNo}", "subscriptions": "{subscriptionNo}", "recurring-products": "{id}"}
    segments = path.split("/")
    literals = segments[2::2]
    filled = "".join(f"/{literal}/{names[literal]}" for literal in literals)
    return "/{ownerNo}" + (filled if len(segments) % 2 == 0 else filled.rpartition("/")[0])
