"""Name every place of a kind of response, and every change of it: each is one mutant."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from contract_tests.exchange import Exchange, parse_strictly, render

from .recording import Kind, Seen

Path = tuple[str | int, ...]
ALL = "*"  # in a path: each item of a list
ABSENT: Any = object()  # the property is removed
SAME: Any = object()  # the change cannot be made here
# Statuses to replace a status by: the neighbours in its class, and one or more of each other class.
STATUSES = (200, 201, 202, 204, 206, 301, 304, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 501, 503)
HEADERS: dict[str, Callable[[str], str | None]] = {
    "removed": lambda _: None,
    "emptied": lambda _: "",
    "other case": str.swapcase,
    "cut short": lambda value: value[:-1],
    "other text": lambda _: "other",
    "one more": lambda value: str(int(value) + 1) if value.isdigit() else f"{value}, other",
}  # fmt: skip
Neighbours = Mapping[str, Sequence[Any]]  # values of other responses, by the name of the property


@dataclass(frozen=True)
class Mutant:
    """A server that changes one place of the responses of one kind.

    Attributes:
        place: `status`, `header NAME`, `body`, or a path into the body.
        run: the run of `occurrence`; empty if the server changes each response of the kind.
        occurrence: which response of the kind in `run` is changed.
    """

    kind: Kind
    place: str | Path
    change: str
    run: str = ""
    occurrence: int = 0

    @property
    def always(self) -> bool:
        """Whether each response of the kind is changed."""
        return not self.run

    def __str__(self) -> str:
        place = self.place if isinstance(self.place, str) else ".".join(map(str, self.place))
        when = "" if self.always else f", once, in {self.run}"
        return f"{self.kind}, {place}: {self.change}{when}"


def changed(mutant: Mutant, exchange: Exchange, neighbours: Neighbours) -> Exchange | None:
    """Return an exchange with the mutant's response. None if the response does not have the place."""
    if mutant.place == "status":
        return replace(exchange, status=int(mutant.change))
    if isinstance(mutant.place, str) and mutant.place.startswith("header "):
        name = mutant.place.removeprefix("header ")
        if name not in exchange.headers:
            return None
        value = HEADERS[mutant.change](exchange.headers[name])
        kept = {key: each for key, each in exchange.headers.items() if key != name}
        return replace(exchange, headers=kept | ({} if value is None else {name: value}))
    if not exchange.body:
        return None
    text = _bytes(mutant, exchange.body) if mutant.place == "body" else _inside(mutant, exchange.body, neighbours)
    if text is None or text == exchange.body:
        return None
    length = {"content-length": str(len(text))} if "content-length" in exchange.headers else {}
    return replace(exchange, body=text, headers={**exchange.headers, **length})


def mutants_of(kind: Kind, seen: Sequence[Seen], neighbours: Neighbours) -> Iterator[Mutant]:
    """Yield the mutants of a kind that change each response. `seen` has examples of it."""
    for status in STATUSES:
        if status != kind.status:
            yield Mutant(kind, "status", str(status))
    places: dict[tuple[str | Path, str], None] = {}
    for each in seen:
        places |= {(f"header {name}", change): None for name in each.exchange.headers for change in HEADERS}
        if each.exchange.body and each.exchange.is_json:
            places |= {("body", change): None for change in BODIES}
            body = parse_strictly(each.exchange.body)
            places |= {(path, change): None for path in _paths(body) for change in _changes(_at(body, path))}
    for place, change in places:
        mutant = Mutant(kind, place, change)
        if any(changed(mutant, each.exchange, neighbours) is not None for each in seen):
            yield mutant


# the body as bytes


def _doubled_key(text: str) -> str:
    return re.sub(r'\{("[^"]*":)', r"{\1null,\1", text, count=1)


def _other_encoding(text: str) -> bytes:
    return text.encode("utf-16")


BODIES: dict[str, Callable[[str], str | bytes]] = {
    "removed": lambda _: "",
    "cut short": lambda text: text[:-1],
    "half of it": lambda text: text[: len(text) // 2],
    "byte order mark": lambda text: "\ufeff" + text,
    "UTF-16": _other_encoding,
    "Latin-1": lambda text: text.encode("latin-1", "replace"),
    "a key is doubled": _doubled_key,
    "twice": lambda text: text + text,
    "in a list": lambda text: f"[{text}]",
    "in a property": lambda text: f'{{"data":{text}}}',
    "null": lambda _: "null",
    "as text": render,
    "single quotes": lambda text: text.replace('"', "'"),
    "trailing comma": lambda text: text[:-1] + ",}",
    "NaN": lambda text: re.sub(r":null\b|:-?\d[\d.]*", ":NaN", text, count=1),
}


def _bytes(mutant: Mutant, body: bytes) -> bytes | None:
    made = BODIES[mutant.change](body.decode())
    return made if isinstance(made, bytes) else made.encode()


# places inside the body


def _paths(value: Any, above: Path = ()) -> Iterator[Path]:
    """Yield the path of each value inside a value. Of a list: the first, the last, and each item."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield (*above, name)
            yield from _paths(each, (*above, name))
    elif isinstance(value, list) and value:
        yield from _paths(value[0], (*above, ALL))
        if len(value) > 1:
            for index in (0, -1):
                yield (*above, index)
                yield from _paths(value[index], (*above, index))


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[0 if step == ALL else step]
    return value


def _inside(mutant: Mutant, body: bytes, neighbours: Neighbours) -> bytes | None:
    value = parse_strictly(body)
    name = next((step for step in reversed(mutant.place) if isinstance(step, str) and step != ALL), "")
    others = neighbours.get(name, ())
    try:
        _replace(value, mutant.place, lambda held: _changes(held)[mutant.change](held, others))  # type: ignore[arg-type]
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, OverflowError):
        return None
    return render(value).encode("utf-8", "surrogatepass")


def _replace(value: Any, path: Path, change: Callable[[Any], Any]) -> None:
    step, *below = path
    if step == ALL:
        for each in value:
            _replace(each, tuple(below), change)
    elif below:
        _replace(value[step], tuple(below), change)
    else:
        made = change(copy.deepcopy(value[step]))
        if made is ABSENT:
            del value[step]
        elif made is not SAME:
            value[step] = made


# changes of one value: functions of the value and the values of other responses

Change = Callable[[Any, Sequence[Any]], Any]


def _neighbour(held: Any, others: Sequence[Any]) -> Any:
    return next((each for each in others if type(each) is type(held) and each != held), SAME)


def _digit(held: str, _: Sequence[Any]) -> Any:
    """Change the last digit of a text by one, or its last letter if there is no digit."""
    found = list(re.finditer(r"\d", held))
    if found:
        at = found[-1].start()
        return held[:at] + str((int(held[at]) + 1) % 10) + held[at + 1 :]
    return held[:-1] + ("b" if held[-1:] == "a" else "a") if held else SAME


def _other_day(held: str, _: Sequence[Any]) -> Any:
    day = date.fromisoformat(held)
    return (day + timedelta(days=1 if day < date.max else -1)).isoformat()


ANY: dict[str, Change] = {
    "removed": lambda *_: ABSENT,
    "null": lambda held, _: SAME if held is None else None,
    "neighbour's": _neighbour,
}
TEXT: dict[str, Change] = {
    "a number": lambda *_: 1,
    "in a list": lambda held, _: [held],
    "an object": lambda held, _: {"value": held},
    "empty": lambda *_: "",
    "off by a digit": _digit,
    "other case": lambda held, _: held.swapcase(),
    "without its end": lambda held, _: held[:-1],
    "without its beginning": lambda held, _: held[1:],
    "with a space": lambda held, _: held + " ",
}
DATE: dict[str, Change] = {
    "other day": _other_day,
    "date and time": lambda held, _: f"{held}T00:00:00Z",
    "without hyphens": lambda held, _: held.replace("-", ""),
}
NUMBER: dict[str, Change] = {
    "a text": lambda held, _: str(held),
    "true": lambda *_: True,
    "in a list": lambda held, _: [held],
    "one more": lambda held, _: held + 1,
    "one less": lambda held, _: held - 1,
    "off by a digit": lambda held, _: held + Decimal(1).scaleb(Decimal(held).as_tuple().exponent),  # type: ignore[arg-type]
    "negative": lambda held, _: -held,
    "nought": lambda *_: 0,
    "without decimals": lambda held, _: int(held),
    "ten times": lambda held, _: held * 10,
}
LIST: dict[str, Change] = {
    "an object": lambda *_: {},
    "a text": lambda *_: "list",
    "empty": lambda *_: [],
    "without the first": lambda held, _: held[1:],
    "without the last": lambda held, _: held[:-1],
    "the first is doubled": lambda held, _: [*held, held[0]],
    "the last in place of the first": lambda held, _: [held[-1], *held[1:]],
    "null among the items": lambda held, _: [*held, None],
}
OBJECT: dict[str, Change] = {
    "a text": lambda *_: "object",
    "a list": lambda held, _: [held],
    "empty": lambda *_: {},
    "one more property": lambda held, _: held | {"more": "text"},
}
NULL: dict[str, Change] = {
    "removed": lambda *_: ABSENT,
    "neighbour's": lambda _, others: next((each for each in others if each is not None), SAME),
    "a text": lambda *_: "text",
    "a number": lambda *_: 1,
    "empty": lambda *_: "",
}


def _swap(name: str) -> Change:
    def change(held: Any, _: Sequence[Any]) -> Any:
        first, last = held[0], held[-1]
        if first.get(name) == last.get(name):
            return SAME
        return [first | {name: last.get(name)}, *held[1:-1], last | {name: first.get(name)}]

    return change


def _changes(held: Any) -> dict[str, Change]:
    """Return the changes of a value by name."""
    match held:
        case str() if re.fullmatch(r"\d{4}-\d\d-\d\d", held):
            return ANY | TEXT | DATE
        case str():
            return ANY | TEXT
        case bool() | int() | Decimal():
            return ANY | NUMBER
        case list():
            names = {name for each in held if isinstance(each, dict) for name in each} if len(held) > 1 else set()
            return ANY | LIST | {f"{name} is swapped": _swap(name) for name in sorted(names)}
        case dict():
            return ANY | OBJECT
    return NULL
