"""Make texts that are not JSON by RFC 8259, and texts that are JSON but that RFC 8259 leaves to the parser.

Each text is a valid body of an operation with one change. The change is in a place where the rest is valid, so that
only the JSON parser can refuse the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .exchange import render

# RFC 8259, section 6: no leading zero, no plus sign, digits on both sides of the point, no special values.
NUMBERS = (
    "01", "-01", "00", "-", "--1", "+1", ".5", "-.5", "1.", "1.e1", "1e", "1e+", "1.0e", "0x1", "0b1", "0o7", "1_000",
    "1 000", "1n", "1f", "1L", "1d", "NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "1/2", "(1)", "=1",
    "１", "٣",
)  # fmt: skip
# RFC 8259, section 3: `true`, `false` and `null` in lower case are the only literals.
LITERALS = (
    "True", "False", "None", "TRUE", "NULL", "Null", "nul", "undefined", "nil", "yes", "on", "text", "@", "",
)  # fmt: skip
# RFC 8259, section 7: double quotes, escapes from a fixed list, no control characters.
STRINGS = (
    b"'a'", b"`a`", b'"a', b'a"', b"'a\"", b'"\\x41"', b'"\\u12"', b'"\\uZZZZ"', b'"\\u{41}"', b'"\\a"', b'"\\0"',
    b'"\\\'"', b'"\\"', b'"a" "b"', b'"a"+"b"', b'"""a"""', b"\\u0022a\\u0022", b"\xe2\x80\x9ca\xe2\x80\x9d",
    *(b'"' + bytes([code]) + b'"' for code in range(0x20)),
)  # fmt: skip
# RFC 8259, section 2: white space is space, tab, line feed and carriage return only.
SPACES = (b"\x0b", b"\x0c", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xe3\x80\x80", b"\x00", b"\x1a")
COMMENTS = (b"/**/", b"//\n", b"#\n", b"<!---->", b"--\n")
# What may not follow the value. RFC 8259, section 2: a JSON text is one value.
BEHIND = (b"{}", b" {}", b"\n{}", b",{}", b",", b"]", b"}", b";", b"x", b"1", b"null", b"\x00", b"\x1e{}", b"...")
BEFORE = (b",", b":", b"{", b"=", b"x", b")]}',\n", b"while(1);", b"\x1e", b"callback(", b"data:", b"\xff", b"null ")
# Bytes that are not UTF-8 inside a string: a lone continuation, a lone start, an overlong form, a surrogate, too large.
NOT_UTF_8 = (b"\x80", b"\xe5", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff")


def malformed(body: dict[str, Any]) -> Iterator[bytes]:
    """Yield texts that are not JSON in UTF-8, each a change of a valid body."""
    whole = render(body).encode()
    begun = whole.removesuffix(b"}") + (b"," if body else b"")
    name, rest = b'"' + next(iter(body), "a").encode() + b'"', whole.removeprefix(b"{").removesuffix(b"}")
    added = begun + b'"x":'
    for text in (*NUMBERS, *LITERALS):
        yield added + text.encode() + b"}"
    yield from (added + text + b"}" for text in STRINGS)
    for key, value in body.items():
        others = [f"{json.dumps(other)}:{render(each)}".encode() for other, each in body.items() if other != key]
        wrong = (b"'a'", b"a") if isinstance(value, str) else (b"01", b"1.", b"+1", b"NaN", b"0x1")
        yield from (b"{" + b",".join([*others, json.dumps(key).encode() + b":" + each]) + b"}" for each in wrong)
    for space in (*SPACES, *COMMENTS):
        yield from (space + whole, whole + space, b"{" + space + whole[1:], begun + b'"x"' + space + b":1}")
    yield from (whole + text for text in BEHIND)
    yield from (text + whole for text in BEFORE)
    yield from (begun + b'"x":"' + text + b'"}' for text in NOT_UTF_8)
    yield from (begun + b'"x' + text + b'":1}' for text in NOT_UTF_8)
    yield from (
        begun + b"}" if body else b"{,}", b"{," + rest + b"}", begun + b',"x":1}', whole[:-1], whole[1:], rest,
        begun + b'"x"}', begun + b'"x":}', begun + b'"x" 1}', begun + b'"x"=1}', begun + b'"x"=>1}', begun + b"x:1}",
        begun + b"'x':1}", begun + b"1:1}", begun + b"null:1}", begun + b":1}", begun + b'"x":[1,]}',
        begun + b'"x":[,1]}', begun + b'"x":[1 2]}', begun + b'"x":[1}', begun + b'"x":{"y":1]}', b"(" + whole + b")",
        b"{" + name + b"}", b"{" + name + b":}", b"[", b"{", b"}", b"]", b" ", b"\n", b"nonsense", b"<a/>", b"a=b",
        b"- a: 1\n", b"---\n" + whole, b"[" * 20_000, b'{"a":' * 5_000, b"\x80", b"%7B%7D", b"e30=",
    )  # fmt: skip
    text = whole.decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7"):
        if encoding != "utf-7":
            yield text.encode(encoding)


def odd(body: dict[str, Any]) -> Iterator[bytes]:
    """Yield texts that a server may take or refuse: RFC 8259 leaves them to the parser."""
    whole = render(body).encode()
    begun = whole.removesuffix(b"}") + (b"," if body else b"")
    yield b"\xef\xbb\xbf" + whole  # section 8.1: a parser may ignore a byte order mark
    yield from (begun + b'"x":1,"x":2}', begun + b'"":1}')  # section 4: names should be unique
    for surrogate in (b"\\ud800", b"\\udc00", b"\\ud800\\ud800", b"\\udc00\\ud800", b"\\ud83d"):
        yield begun + b'"x":"' + surrogate + b'"}'  # section 8.2: unpaired surrogates
        yield begun + b'"x' + surrogate + b'":1}'
    powers = [sign + b"1e" + power for sign in (b"", b"-") for power in (b"400", b"-400", b"5000", b"-5000", b"99999")]
    for number in (*powers, b"-0", b"-0.0", b"1E2", b"1e+2", b"9" * 5_000, b"0." + b"0" * 5_000):
        yield begun + b'"x":' + number + b"}"  # section 6: range and precision of numbers
    yield begun + b'"x":' + b"[" * 200 + b"]" * 200 + b"}"  # section 9: depth
    yield begun + b'"' + b"x" * 20_000 + b'":1}'


def equal(body: dict[str, Any]) -> Iterator[bytes]:
    """Yield the body in other spellings: white space, escapes, another order of the names, and zeros after numbers."""
    yield render(body).replace('{"', '{ "').replace("}", " }").encode()
    yield b" \t\r\n" + render(body).encode() + b"\n\t "
    yield render(dict(reversed(body.items()))).encode()
    escaped = ",".join(f'"{_escaped(name)}":{_value(value)}' for name, value in body.items())
    yield f"{{{escaped}}}".encode()
    for zeros in (".0", ".0e0"):  # 1 and 1.0 are the same number (x-rules, odd-json)
        parts = (f'"{name}":{_value(value)}{zeros if type(value) is int else ""}' for name, value in body.items())
        yield f"{{{','.join(parts)}}}".encode()


def _value(value: Any) -> str:
    return f'"{_escaped(value)}"' if isinstance(value, str) else render(value)


def _escaped(text: str) -> str:
    """Return a text with every character as UTF-16 escapes."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[index]:02x}{units[index + 1]:02x}" for index in range(0, len(units), 2))
