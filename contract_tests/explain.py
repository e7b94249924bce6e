"""Explain a failure to the provider of an API, who does not know this suite: what was promised, sent and received."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from .citations import DIRECT, citations, of_operation
from .curl import token_pattern, tokens
from .exchange import CONTRACT, Broken, Exchange, parse_strictly, render

SHOWN = 2_000  # characters of a body
SENTENCE = 300  # characters of the first line
STEPS = 8  # earlier requests of a failure


def explain(error: BaseException, exchanges: Sequence[Exchange], test: str = "", promise: str = "") -> str:
    """Return the message of a failure.

    Args:
        exchanges: those of the test, in the order of their requests.
        promise: what the test tries, in one sentence.
    """
    error = _leaf(error)
    name, how = (error.promise, error.how) if isinstance(error, Broken) else ("", _sentence(error))
    exchange = getattr(error, "exchange", None) or (exchanges[-1] if exchanges else None)
    lines = [_cut(how.partition("\n")[0], SENTENCE), ""]
    if exchange is None:
        return "\n".join([*lines, "No request was sent in this test.", *_tried(test, name, promise)])
    known = tokens()
    lines += ["What was promised:"]
    cited = citations(name, how, exchange)
    if name not in DIRECT or not cited:
        lines.append("  Inferred by this suite: a conclusion from openapi.yaml, which may say it in other words.")
        lines += ["  The nearest sentence of the contract:"] if cited else []
    lines += [f"  {each}" for each in cited]
    operation = None if cited else of_operation(exchange)
    lines += ["  The sentence of the operation:", f"  {operation}"] if operation else []
    lines += _tried(test, name, promise)
    before = _earlier(exchange, exchanges)
    if before:
        count = "1 request" if len(before) == 1 else f"{len(before)} requests"
        lines += ["", f"What was sent before, to get there ({count}):"]
        lines += [f"  {each.curl}" for each in before]
    lines += ["", "What was sent:", f"  {exchange.curl}", "", "What came back:"]
    if exchange.status:
        lines.append(f"  HTTP {exchange.status} after {exchange.seconds:.3f} s")
        lines += [f"  {header}: {value}" for header, value in exchange.headers.items()]
        lines += ["", _body(exchange.body)] if exchange.body else ["  (no body)"]
    else:
        lines.append("  No response.")
    lines += ["", "The difference:", *(f"  {_cut(line, SHOWN)}" for line in how.splitlines())]
    if name == "what_was_sent_is_what_is_held":
        lines += [f"  {line}" for line in _not_held(exchange)]
    return without_tokens("\n".join(lines), known)


def _not_held(exchange: Exchange) -> list[str]:
    """Return how the values of a response differ from the values that were sent."""
    try:
        sent, held = parse_strictly(exchange.sent), exchange.object
    except AssertionError:
        return []
    return difference({name: held[name] for name in sent if name in held}, sent) if isinstance(sent, dict) else []


def without_tokens(text: str, known: Any) -> str:
    """Return a text with the shell expression of each token in place of the token."""
    pattern = token_pattern(known)
    return pattern.sub(lambda found: known[found[0]], text) if pattern else text


def difference(found: Any, expected: Any, at: str = "") -> list[str]:
    """Return each difference between two JSON values in one line, with its place. A value is cut, a place never."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = [*expected, *(name for name in found if name not in expected)]
        return [line for name in names for line in _at(f"{at}.{name}" if at else str(name), found, expected, name)]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = zip(found, expected, strict=True)
        return [line for index, pair in enumerate(pairs) for line in difference(*pair, f"{at}[{index}]")]
    if found == expected:
        return []
    if isinstance(found, list) and isinstance(expected, list):
        lines = [f"found {_items(len(found))}, expected {_items(len(expected))}"]
        lines += [f"not expected: {_short(each)}" for each in found if each not in expected][:5]
        lines += [f"missing: {_short(each)}" for each in expected if each not in found][:5]
        return [f"{at}: {line}" if at else line for line in lines]
    return [(f"{at}: " if at else "") + f"found {_short(found)}, expected {_short(expected)}"]


def _at(place: str, found: dict[str, Any], expected: dict[str, Any], name: str) -> list[str]:
    if name not in found:
        return [f"{place}: found nothing, expected {_short(expected[name])}"]
    if name not in expected:
        return [f"{place}: found {_short(found[name])}, expected nothing"]
    return difference(found[name], expected[name], place)


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _short(value: Any) -> str:
    try:
        text = render(value)
    except (TypeError, ValueError):
        text = repr(value)
    return _cut(text, SHOWN // 4)


def _leaf(error: BaseException) -> BaseException:
    """Return the first broken promise of a group, or else its first error."""
    leaves: deque[BaseException] = deque([error])
    found: list[BaseException] = []
    while leaves:
        each = leaves.popleft()
        if isinstance(each, BaseExceptionGroup):
            leaves.extend(each.exceptions)
        else:
            found.append(each)
    return next((each for each in found if isinstance(each, Broken)), found[0])


def _sentence(error: BaseException) -> str:
    match error:
        case AssertionError():
            return str(error).partition("\n")[0] or "a value is not as the test expects it"
        case KeyError() | IndexError() | TypeError() | AttributeError():
            return f"the response lacks a value that the test needs ({type(error).__name__}: {error})"
        case _:
            return f"{type(error).__name__}: {error}"


def _tried(test: str, name: str, promise: str) -> Iterable[str]:
    if promise:
        yield f'  The test {test} tries: "{promise}"'
    if name and name != test:
        yield f"  The check that failed: {name}"


def _earlier(exchange: Exchange, exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Return the successful writes before an exchange that concern the same customer."""
    customer = _customer(exchange)
    writes: list[Exchange] = []
    for each in exchanges:
        if each is exchange:
            break
        if each.method != "GET" and each.status < 300 and customer and customer == _customer(each):
            writes.append(each)
    return writes[-STEPS:]


def _customer(exchange: Exchange) -> tuple[str, ...]:
    """Return the ledger and the number of the customer that an exchange concerns."""
    number = exchange.parameters.get(CONTRACT.place("customer").parameter)
    if number is None and exchange.method == "POST":
        try:
            body = parse_strictly(exchange.sent)
        except AssertionError:
            return ()
        number = body.get(CONTRACT.keys["customer"]) if isinstance(body, dict) else None
    return (exchange.parameters.get(CONTRACT.ledger_parameter, ""), number) if isinstance(number, str) else ()


def _body(body: bytes) -> str:
    text = body.decode("utf-8", "backslashreplace")
    return "  " + _cut(text, SHOWN)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length:,} more characters)"
