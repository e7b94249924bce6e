"""A table of odd responses: both engines raise the same class, and a POST is reported as not sent or refused only if it was.

Each line is the bytes that follow a request; the server then closes the connection. `BODY` stands for the good body of
the request, `STATUS` for its good status, `LENGTH` for the body's length, so that one line serves a GET and a POST.
What the engines may do differently stands in DIFFERENCES, each with its reason.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from payex_billing import BillingError, Charge, NeverSent, OutcomeUnknown, ProblemError

from tests.chaos.hostile import (
    CUSTOMERS,
    FOUR,
    Connection,
    HostileServer,
    Kind,
    Ledger,
    Request,
    charge_body,
    customer_body,
    name_of,
    opened,
    outcome,
    run,
)
from tests.support import NIGHTLY

JSON = b"Content-Type: application/json\r\n"
SIZED = JSON + b"Content-Length: LENGTH\r\n"
HEAD = b"HTTP/1.1 STATUS OK\r\n"
GOOD = HEAD + SIZED + b"\r\nBODY"
CHUNKED = HEAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"SIZE\r\nBODY\r\n"  # SIZE is the body's length in hex

# The result that a GET and a POST must have. None means that the engines must agree, whatever the result is.
OK = ("ok", "ok")  # the value
LOST = ("lost", "unknown")  # AnswerLost; OutcomeUnknown
WRONG = ("wrong", "unknown")  # MalformedResponse; OutcomeUnknown
REFUSED = ("problem", "problem")  # a definite refusal: ProblemError
AGAIN = ("problem", "unknown")  # an error status that says nothing about a POST
POST_UNKNOWN = (None, "unknown")
POST_OK_OR_UNKNOWN = (None, "ok or unknown")
NEVER = ("never", "never")

Make = Callable[[bytes], bytes]
Expected = tuple[str | None, str | None]


@dataclass(frozen=True)
class Case:
    """One odd response."""

    name: str
    raw: bytes | Make  # a function gets the good body
    expected: Expected
    reset: bool = False  # end with RST in place of FIN


def line(status_line: bytes) -> bytes:
    return status_line + b"\r\n" + SIZED + b"\r\nBODY"


def header(*lines: bytes) -> bytes:
    return HEAD + SIZED + b"".join(text + b"\r\n" for text in lines) + b"\r\nBODY"


def framed(*lines: bytes, body: bytes = b"BODY") -> bytes:
    return HEAD + JSON + b"".join(text + b"\r\n" for text in lines) + b"\r\n" + body


def body(data: bytes | Make, *lines: bytes, kind: bytes = JSON, status: bytes = b"STATUS") -> Make:
    """A response with this body. A function is given the good body, and returns the body to send."""

    def make(good: bytes) -> bytes:
        content = data(good) if callable(data) else data
        lengths = b"Content-Length: %d\r\n" % len(content)
        return (
            b"HTTP/1.1 %b OK\r\n" % status
            + kind
            + lengths
            + b"".join(text + b"\r\n" for text in lines)
            + b"\r\n"
            + content
        )

    return make


def changed(**members: Any) -> Make:
    """The good body with these members changed. None removes a member."""

    def make(good: bytes) -> bytes:
        value = {**json.loads(good), **members}
        return json.dumps({name: member for name, member in value.items() if member is not None}).encode()

    return body(make)


PROBLEM = b"Content-Type: application/problem+json\r\n"


def problem(status: int, code: str = "validation", /, *lines: bytes, **members: Any) -> Make:
    value = {"type": f"billing/customer/problems/{code}", "title": "T", "status": status, **members}
    return body(json.dumps(value).encode(), *lines, kind=PROBLEM, status=b"%d" % status)


def bare(status: int, *lines: bytes) -> bytes:
    """An error status without a body."""
    return b"HTTP/1.1 %d X\r\n" % status + b"".join(text + b"\r\n" for text in lines) + b"Content-Length: 0\r\n\r\n"


def html(status: int) -> Make:
    return body(b"<html>gateway</html>", kind=b"Content-Type: text/html\r\n", status=b"%d" % status)


STATUS_LINES = [
    Case("good", GOOD, OK),
    Case("no reason, no space", line(b"HTTP/1.1 STATUS"), OK),
    Case("no reason", line(b"HTTP/1.1 STATUS "), OK),
    Case("reason in Latin-1", line(b"HTTP/1.1 STATUS Sk\xe5l"), OK),
    Case("reason in UTF-8", line("HTTP/1.1 STATUS Skål".encode()), OK),
    Case("reason with a tab", line(b"HTTP/1.1 STATUS a\tb"), OK),
    Case("reason with NUL", line(b"HTTP/1.1 STATUS a\0b"), POST_OK_OR_UNKNOWN),
    Case("reason with ESC", line(b"HTTP/1.1 STATUS \x1b[31m"), POST_OK_OR_UNKNOWN),
    Case("reason of 5,000", line(b"HTTP/1.1 STATUS " + b"a" * 5000), OK),
    Case("lower case", line(b"http/1.1 STATUS OK"), LOST),
    Case("HTTP/1.0", line(b"HTTP/1.0 STATUS OK"), OK),
    Case("HTTP/0.9 in the line", line(b"HTTP/0.9 STATUS OK"), POST_OK_OR_UNKNOWN),
    Case("HTTP/1.2", line(b"HTTP/1.2 STATUS OK"), POST_OK_OR_UNKNOWN),
    Case("HTTP/1.10", line(b"HTTP/1.10 STATUS OK"), LOST),
    Case("HTTP/2", line(b"HTTP/2 STATUS OK"), LOST),
    Case("HTTP/2.0", line(b"HTTP/2.0 STATUS OK"), POST_OK_OR_UNKNOWN),
    Case("HTTP/3.0", line(b"HTTP/3.0 STATUS OK"), POST_OK_OR_UNKNOWN),
    Case("two spaces", line(b"HTTP/1.1  STATUS OK"), LOST),
    Case("leading space", line(b" HTTP/1.1 STATUS OK"), LOST),
    Case("leading CRLF", line(b"\r\nHTTP/1.1 STATUS OK"), POST_OK_OR_UNKNOWN),
    Case("leading LF", line(b"\nHTTP/1.1 STATUS OK"), POST_OK_OR_UNKNOWN),
    Case("leading BOM", line(b"\xef\xbb\xbfHTTP/1.1 STATUS OK"), LOST),
    Case("tabs", line(b"HTTP/1.1\tSTATUS\tOK"), LOST),
    Case("no version", line(b"STATUS OK"), LOST),
    Case("no slash", line(b"HTTP 1.1 STATUS OK"), LOST),
    Case("status +200", line(b"HTTP/1.1 +STATUS OK"), LOST),
    Case("status -200", line(b"HTTP/1.1 -STATUS OK"), LOST),
    Case("status 0200", line(b"HTTP/1.1 0STATUS OK"), LOST),
    Case("status 20", line(b"HTTP/1.1 20 OK"), LOST),
    Case("status 2000", line(b"HTTP/1.1 STATUS0 OK"), LOST),
    Case("status 2 00", line(b"HTTP/1.1 2 00 OK"), LOST),
    Case("status abc", line(b"HTTP/1.1 abc OK"), LOST),
    Case("status 200.0", line(b"HTTP/1.1 STATUS.0 OK"), LOST),
    Case("status 0x200", line(b"HTTP/1.1 0xSTATUS OK"), LOST),
    Case("status fullwidth", line("HTTP/1.1 ２００ OK".encode()), LOST),
    Case("no status", line(b"HTTP/1.1 OK"), LOST),
    Case("empty status", line(b"HTTP/1.1  OK"), LOST),
    Case("status 000", line(b"HTTP/1.1 000 OK"), POST_UNKNOWN),
    Case("status 001", line(b"HTTP/1.1 001 OK"), POST_UNKNOWN),
    Case("status 99", line(b"HTTP/1.1 99 OK"), LOST),
    Case("status 099", line(b"HTTP/1.1 099 OK"), POST_UNKNOWN),
    Case("status 600", line(b"HTTP/1.1 600 OK"), POST_UNKNOWN),
    Case("status 700", line(b"HTTP/1.1 700 OK"), POST_UNKNOWN),
    Case("status 999", line(b"HTTP/1.1 999 OK"), POST_UNKNOWN),
    Case("ICY", line(b"ICY STATUS OK"), LOST),
    Case("SIP", line(b"SIP/2.0 STATUS OK"), LOST),
    Case("RTSP", line(b"RTSP/1.0 STATUS OK"), LOST),
    Case("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", LOST),
    Case("body only", b"BODY", LOST),
    Case("HTML only", b"<html><body>hello</body></html>\r\n\r\n", LOST),
    Case("HTTP/2 settings", b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", LOST),
    Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", LOST),
    Case("HTTP/2 goaway", b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8), LOST),
    Case("TLS alert", b"\x15\x03\x01\x00\x02\x02\x28", LOST),
    Case("TLS handshake", b"\x16\x03\x01\x00\x05hello", LOST),
    Case("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", LOST),
    Case("SMTP", b"220 mail ESMTP\r\n", LOST),
    Case("zeros", bytes(64), LOST),
    Case("high bytes", b"\xff" * 64 + b"\r\n\r\n", LOST),
    Case("line of 200,000", b"HTTP/1.1 200 " + b"a" * 200_000 + b"\r\n\r\n", POST_UNKNOWN),
]

HEADERS = [
    Case("LF only", GOOD.replace(b"\r\n", b"\n"), POST_OK_OR_UNKNOWN),
    Case("LF in one header", header(b"X-A: b\nX-C: d"), POST_OK_OR_UNKNOWN),
    Case("CR only", GOOD.replace(b"\r\n", b"\r"), LOST),
    Case("CR in a value", header(b"X-A: b\rX-C: d"), POST_OK_OR_UNKNOWN),
    Case("LF before the body", GOOD.replace(b"\r\n\r\n", b"\r\n\n"), POST_OK_OR_UNKNOWN),
    Case("fold with a space", header(b"X-A: b\r\n c"), POST_OK_OR_UNKNOWN),
    Case("fold with a tab", header(b"X-A: b\r\n\tc"), POST_OK_OR_UNKNOWN),
    Case("fold of the first line", HEAD + b" folded\r\n" + SIZED + b"\r\nBODY", POST_OK_OR_UNKNOWN),
    Case("fold of the length", HEAD + JSON + b"Content-Length:\r\n LENGTH\r\n\r\nBODY", POST_OK_OR_UNKNOWN),
    Case("empty fold", header(b"X-A: b\r\n "), POST_OK_OR_UNKNOWN),
    Case("NUL in a value", header(b"X-A: a\0b"), POST_OK_OR_UNKNOWN),
    Case("NUL in a name", header(b"X\0A: b"), POST_OK_OR_UNKNOWN),
    Case("control in a value", header(b"X-A: a\x01b"), POST_OK_OR_UNKNOWN),
    Case("DEL in a value", header(b"X-A: a\x7fb"), POST_OK_OR_UNKNOWN),
    Case("Latin-1 in a value", header(b"X-A: Malm\xf6"), OK),
    Case("UTF-8 in a value", header("X-A: Malmö".encode()), OK),
    Case("high byte in a name", header(b"X-\xf6: a"), POST_OK_OR_UNKNOWN),
    Case("empty value", header(b"X-A:"), OK),
    Case("tab before the value", header(b"X-A:\tb"), OK),
    Case("spaces after the value", header(b"X-A: b   "), OK),
    Case("no colon", header(b"X-A"), POST_OK_OR_UNKNOWN),
    Case("empty name", header(b": b"), POST_OK_OR_UNKNOWN),
    Case("space before the colon", header(b"X-A : b"), POST_OK_OR_UNKNOWN),
    Case("space in a name", header(b"X A: b"), POST_OK_OR_UNKNOWN),
    Case("brackets in a name", header(b"X[A]: b"), POST_OK_OR_UNKNOWN),
    Case("space before a name", HEAD + SIZED + b"X-B: c\r\n X-A: b\r\n\r\nBODY", POST_OK_OR_UNKNOWN),
    Case("99 headers", header(*[b"X-%d: a" % number for number in range(97)]), OK),
    Case("100 headers", header(*[b"X-%d: a" % number for number in range(98)]), POST_OK_OR_UNKNOWN),
    Case("101 headers", header(*[b"X-%d: a" % number for number in range(99)]), POST_OK_OR_UNKNOWN),
    Case("200 headers", header(*[b"X-%d: a" % number for number in range(200)]), LOST),
    Case("2,000 headers", header(*[b"X-%d: a" % number for number in range(2000)]), LOST),
    Case("200 times one header", header(*[b"X-A: a"] * 200), LOST),
    Case("value of 8,000", header(b"X-A: " + b"a" * 8000), OK),
    Case("value of 60,000", header(b"X-A: " + b"a" * 60_000), OK),
    Case("value of 150,000", header(b"X-A: " + b"a" * 150_000), POST_OK_OR_UNKNOWN),
    Case("value of 1,000,000", header(b"X-A: " + b"a" * 1_000_000), LOST),
    Case("name of 70,000", header(b"X" * 70_000 + b": a"), POST_OK_OR_UNKNOWN),
    Case("Connection: close", header(b"Connection: close"), OK),
    Case("Connection: upgrade", header(b"Connection: upgrade", b"Upgrade: h2c"), OK),
    Case("cookies", header(b"Set-Cookie: a=b", b"Set-Cookie: c=d"), OK),
    Case("no type", HEAD + b"Content-Length: LENGTH\r\n\r\nBODY", OK),
    Case("type twice", header(b"Content-Type: text/html"), POST_OK_OR_UNKNOWN),
    Case("type text/html", HEAD + b"Content-Type: text/html\r\nContent-Length: LENGTH\r\n\r\nBODY", POST_OK_OR_UNKNOWN),
    Case("type of a problem", HEAD + PROBLEM + b"Content-Length: LENGTH\r\n\r\nBODY", POST_OK_OR_UNKNOWN),
    Case("type of junk", HEAD + b"Content-Type: \xff;;=\r\nContent-Length: LENGTH\r\n\r\nBODY", POST_OK_OR_UNKNOWN),
    Case("charset utf-8", body(lambda good: good, kind=b"Content-Type: application/json; charset=utf-8\r\n"), OK),
    Case("charset UTF8 quoted", body(lambda good: good, kind=b'Content-Type: application/json;charset="UTF8"\r\n'), OK),
    Case("charset unknown", body(lambda good: good, kind=b"Content-Type: application/json; charset=klingon\r\n"), OK),
    Case("charset utf-16 said only", body(lambda good: good, kind=b"Content-Type: application/json; charset=utf-16\r\n"), OK),
    Case("charset latin-1 said only", body(lambda good: good, kind=b"Content-Type: application/json; charset=iso-8859-1\r\n"), OK),
]  # fmt: skip

FRAMING = [
    Case("no length", framed(), OK),
    Case("length 0", framed(b"Content-Length: 0"), WRONG),
    Case("length too short", framed(b"Content-Length: 5"), WRONG),
    Case("length too long", framed(b"Content-Length: 99999"), LOST),
    Case("length negative", framed(b"Content-Length: -1"), LOST),
    Case("length -0", framed(b"Content-Length: -0"), POST_UNKNOWN),
    Case("length with +", framed(b"Content-Length: +LENGTH"), LOST),
    Case("length in hex", framed(b"Content-Length: 0xLENGTH"), LOST),
    Case("length with text", framed(b"Content-Length: LENGTH bytes"), LOST),
    Case("length of text", framed(b"Content-Length: many"), LOST),
    Case("length empty", framed(b"Content-Length:"), POST_OK_OR_UNKNOWN),
    Case("length 1e2", framed(b"Content-Length: 1e2"), LOST),
    Case("length with a point", framed(b"Content-Length: LENGTH.0"), LOST),
    Case("length with leading zeros", framed(b"Content-Length: 000LENGTH"), OK),
    Case("length with a space inside", framed(b"Content-Length: 1 2"), LOST),
    Case("length in fullwidth digits", framed("Content-Length: １２".encode()), LOST),
    Case("length 2^63", framed(b"Content-Length: 9223372036854775808"), LOST),
    Case("length 2^64", framed(b"Content-Length: 18446744073709551616"), LOST),
    Case("length 2^64 - 1", framed(b"Content-Length: 18446744073709551615"), LOST),
    Case("length 10^30", framed(b"Content-Length: 1" + b"0" * 30), LOST),
    Case("length 5 GB", framed(b"Content-Length: 5000000000"), LOST),
    Case("equal lengths twice", framed(b"Content-Length: LENGTH", b"Content-Length: LENGTH"), POST_OK_OR_UNKNOWN),
    Case("equal lengths in a list", framed(b"Content-Length: LENGTH, LENGTH"), POST_OK_OR_UNKNOWN),
    Case("different lengths twice", framed(b"Content-Length: LENGTH", b"Content-Length: 7"), LOST),
    Case("different lengths, short first", framed(b"Content-Length: 7", b"Content-Length: LENGTH"), LOST),
    Case("different lengths in a list", framed(b"Content-Length: LENGTH, 7"), LOST),
    Case("length and chunked", framed(b"Content-Length: 7", b"Transfer-Encoding: chunked", body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("chunked and length", framed(b"Transfer-Encoding: chunked", b"Content-Length: 7", body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("chunked said, not done", framed(b"Transfer-Encoding: chunked"), LOST),
    Case("chunked, length said too, not done", framed(b"Content-Length: LENGTH", b"Transfer-Encoding: chunked"), LOST),
    Case("coding identity", framed(b"Transfer-Encoding: identity", b"Content-Length: LENGTH"), POST_OK_OR_UNKNOWN),
    Case("coding identity, no length", framed(b"Transfer-Encoding: identity"), POST_OK_OR_UNKNOWN),
    Case("coding unknown", framed(b"Transfer-Encoding: xyz"), POST_OK_OR_UNKNOWN),
    Case("coding gzip", framed(b"Transfer-Encoding: gzip"), POST_OK_OR_UNKNOWN),
    Case("coding gzip, chunked", framed(b"Transfer-Encoding: gzip, chunked", body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("coding chunked, gzip", framed(b"Transfer-Encoding: chunked, gzip", body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("coding chunked, identity", framed(b"Transfer-Encoding: chunked, identity", body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("coding chunked, chunked", framed(b"Transfer-Encoding: chunked, chunked", body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("chunked in two headers", framed(*[b"Transfer-Encoding: chunked"] * 2, body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("coding CHUNKED", framed(b"Transfer-Encoding: CHUNKED", body=CHUNK + b"0\r\n\r\n"), OK),
    Case("coding xchunked", framed(b"Transfer-Encoding: xchunked", body=CHUNK + b"0\r\n\r\n"), POST_OK_OR_UNKNOWN),
    Case("coding chunked with a tab", framed(b"Transfer-Encoding:\tchunked", body=CHUNK + b"0\r\n\r\n"), OK),
    Case("coding empty", framed(b"Transfer-Encoding:", b"Content-Length: LENGTH"), POST_OK_OR_UNKNOWN),
    Case("chunked on HTTP/1.0", framed(b"Transfer-Encoding: chunked", body=CHUNK + b"0\r\n\r\n").replace(b"1.1", b"1.0"), POST_OK_OR_UNKNOWN),
    Case("chunked", CHUNKED + CHUNK + b"0\r\n\r\n", OK),
    Case("chunked, many zeros at the end", CHUNKED + CHUNK + b"0000\r\n\r\n", OK),
    Case("chunk with leading zeros", CHUNKED + b"0000SIZE\r\nBODY\r\n0\r\n\r\n", OK),
    Case("chunk with 25 leading zeros", CHUNKED + b"0" * 25 + CHUNK + b"0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk 0x", CHUNKED + b"0x" + CHUNK + b"0\r\n\r\n", LOST),
    Case("chunk with +", CHUNKED + b"+" + CHUNK + b"0\r\n\r\n", LOST),
    Case("chunk negative", CHUNKED + b"-5\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("chunk with a space after", CHUNKED + b"SIZE \r\nBODY\r\n0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk with a space before", CHUNKED + b" SIZE\r\nBODY\r\n0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk with a tab after", CHUNKED + b"SIZE\t\r\nBODY\r\n0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk extension", CHUNKED + b"SIZE;a=b\r\nBODY\r\n0\r\n\r\n", OK),
    Case("chunk extension quoted", CHUNKED + b'SIZE;a="b;c"\r\nBODY\r\n0;d\r\n\r\n', OK),
    Case("chunk extension of 10,000", CHUNKED + b"SIZE;" + b"a" * 10_000 + b"\r\nBODY\r\n0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk extension of 200,000", CHUNKED + b"SIZE;" + b"a" * 200_000 + b"\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("chunk extension with NUL", CHUNKED + b"SIZE;a=\0\r\nBODY\r\n0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk extension with LF", CHUNKED + b"SIZE;a\nBODY\r\n0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk lines end with LF", CHUNKED + b"SIZE\nBODY\n0\n\n", POST_OK_OR_UNKNOWN),
    Case("chunk without a line end", CHUNKED + b"SIZE\r\nBODY0\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("chunk too long", CHUNKED + b"SIZE0\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("chunk too short", CHUNKED + b"1\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("chunk size empty", CHUNKED + b"\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("chunk size of text", CHUNKED + b"xyz\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("chunk size 2^64", CHUNKED + b"10000000000000000\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("chunk size of 100 digits", CHUNKED + b"f" * 100 + b"\r\nBODY\r\n0\r\n\r\n", LOST),
    Case("no last chunk", CHUNKED + CHUNK, LOST),
    Case("half a last chunk", CHUNKED + CHUNK + b"0", LOST),
    Case("no end of the last chunk", CHUNKED + CHUNK + b"0\r\n", LOST),
    Case("half an end", CHUNKED + CHUNK + b"0\r\n\r", LOST),
    Case("junk for the end", CHUNKED + CHUNK + b"0\r\nxx", LOST),
    Case("trailers", CHUNKED + CHUNK + b"0\r\nX-A: b\r\nX-C: d\r\n\r\n", OK),
    Case("trailer with a length", CHUNKED + CHUNK + b"0\r\nContent-Length: 3\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("trailer without colon", CHUNKED + CHUNK + b"0\r\nX-A\r\n\r\n", POST_OK_OR_UNKNOWN),
    Case("half a trailer", CHUNKED + CHUNK + b"0\r\nX-A: b", LOST),
    Case("200 trailers", CHUNKED + CHUNK + b"0\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", POST_OK_OR_UNKNOWN),
    Case("trailers of 100,000", CHUNKED + CHUNK + b"0\r\nX-A: " + b"b" * 100_000 + b"\r\n\r\n", POST_OK_OR_UNKNOWN),
]  # fmt: skip

ENDS = [
    Case(f"{how} {where}", raw, LOST, reset=how == "reset")
    for how in ("closed", "reset")
    for where, raw in {
        "at once": b"",
        "after 1 byte": b"H",
        "in the status": b"HTTP/1.1 20",
        "after the status line": HEAD,
        "in a header": HEAD + b"Content-Ty",
        "after the headers": HEAD + SIZED,
        "before the body": HEAD + SIZED + b"\r\n",
        "in the body": HEAD + JSON + b"Content-Length: 1000\r\n\r\nBODY",
        "in a chunk": CHUNKED + b"fff\r\nBODY",
        "after 100": b"HTTP/1.1 100 Continue\r\n\r\n",
    }.items()
]

BEFORE = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
INFORMATIONAL = [
    Case("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, OK),
    Case("102 first", b"HTTP/1.1 102 Processing\r\n\r\n" + GOOD, OK),
    Case("103 first", BEFORE + GOOD, OK),
    Case("199 first", b"HTTP/1.1 199 X\r\n\r\n" + GOOD, OK),
    Case("103 20 times", BEFORE * 20 + GOOD, OK),
    Case("100 1,000 times", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + GOOD, POST_OK_OR_UNKNOWN),
    Case("100 20,000 times", b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000 + GOOD, POST_OK_OR_UNKNOWN),
    Case("100 with a length and a body", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + GOOD, POST_OK_OR_UNKNOWN),
    Case("100 with a length", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + GOOD, POST_OK_OR_UNKNOWN),
    Case("100 chunked", b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n" + GOOD, POST_OK_OR_UNKNOWN),
    Case("100 with a broken header", b"HTTP/1.1 100 Continue\r\nX\r\n\r\n" + GOOD, POST_OK_OR_UNKNOWN),
    Case("100 of HTTP/1.0", b"HTTP/1.0 100 Continue\r\n\r\n" + GOOD, POST_OK_OR_UNKNOWN),
    Case("101 first", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + GOOD, POST_UNKNOWN),
    Case("101 without upgrade", b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + GOOD, POST_UNKNOWN),
    Case("101 only", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", POST_UNKNOWN),
    Case("101 with a length", b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 5\r\n\r\nhello", POST_UNKNOWN),
    Case("100 with a body of problems", b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", REFUSED),
]  # fmt: skip


def zipped(*lines: bytes, of: Make = gzip.compress) -> Make:
    return body(of, *lines)


GZIP = b"Content-Encoding: gzip"
ENCODINGS = [
    Case("gzip", zipped(GZIP), OK),
    Case("zlib as deflate", zipped(b"Content-Encoding: deflate", of=zlib.compress), OK),
    Case("bare deflate", zipped(b"Content-Encoding: deflate", of=lambda good: zlib.compress(good)[2:-4]), POST_OK_OR_UNKNOWN),
    Case("identity", zipped(b"Content-Encoding: identity", of=bytes), OK),
    Case("empty encoding", zipped(b"Content-Encoding:", of=bytes), POST_OK_OR_UNKNOWN),
    Case("GZIP", zipped(b"Content-Encoding: GZIP"), POST_OK_OR_UNKNOWN),
    Case("x-gzip", zipped(b"Content-Encoding: x-gzip"), POST_OK_OR_UNKNOWN),
    Case("gzip with spaces", zipped(b"Content-Encoding:   gzip  "), OK),
    Case("gzip, identity", zipped(b"Content-Encoding: gzip, identity"), POST_OK_OR_UNKNOWN),
    Case("identity, gzip", zipped(b"Content-Encoding: identity, gzip"), POST_OK_OR_UNKNOWN),
    Case("gzip twice said, once done", zipped(b"Content-Encoding: gzip, gzip"), POST_UNKNOWN),
    Case("gzip twice", zipped(b"Content-Encoding: gzip, gzip", of=lambda good: gzip.compress(gzip.compress(good))), POST_UNKNOWN),
    Case("gzip in two headers", zipped(GZIP, GZIP, of=lambda good: gzip.compress(gzip.compress(good))), POST_UNKNOWN),
    Case("gzip and deflate", zipped(b"Content-Encoding: gzip, deflate", of=lambda good: zlib.compress(gzip.compress(good))), POST_UNKNOWN),
    Case("br", zipped(b"Content-Encoding: br", of=bytes), POST_OK_OR_UNKNOWN),
    Case("zstd", zipped(b"Content-Encoding: zstd", of=bytes), POST_OK_OR_UNKNOWN),
    Case("compress", zipped(b"Content-Encoding: compress", of=bytes), POST_OK_OR_UNKNOWN),
    Case("unknown encoding", zipped(b"Content-Encoding: klingon", of=bytes), POST_OK_OR_UNKNOWN),
    Case("said gzip, is plain", zipped(GZIP, of=bytes), LOST),
    Case("said deflate, is gzip", zipped(b"Content-Encoding: deflate"), POST_OK_OR_UNKNOWN),
    Case("said gzip, is zlib", zipped(GZIP, of=zlib.compress), POST_OK_OR_UNKNOWN),
    Case("gzip, not said", zipped(), WRONG),
    Case("gzip with junk behind", zipped(GZIP, of=lambda good: gzip.compress(good) + b"junk"), POST_OK_OR_UNKNOWN),
    Case("gzip with zeros behind", zipped(GZIP, of=lambda good: gzip.compress(good) + bytes(16)), POST_OK_OR_UNKNOWN),
    Case("gzip twice in a row", zipped(GZIP, of=lambda good: gzip.compress(good[:20]) + gzip.compress(good[20:])), POST_OK_OR_UNKNOWN),
    Case("gzip and an empty member", zipped(GZIP, of=lambda good: gzip.compress(good) + gzip.compress(b"")), POST_OK_OR_UNKNOWN),
    Case("gzip without its last byte", zipped(GZIP, of=lambda good: gzip.compress(good)[:-1]), LOST),
    Case("gzip without its trailer", zipped(GZIP, of=lambda good: gzip.compress(good)[:-8]), LOST),
    Case("half of gzip", zipped(GZIP, of=lambda good: gzip.compress(good)[:30]), LOST),
    Case("gzip's head only", zipped(GZIP, of=lambda good: gzip.compress(good)[:10]), LOST),
    Case("gzip with a wrong sum", zipped(GZIP, of=lambda good: gzip.compress(good)[:-8] + bytes(4) + gzip.compress(good)[-4:]), LOST),
    Case("gzip with a wrong length", zipped(GZIP, of=lambda good: gzip.compress(good)[:-4] + b"\xff\xff\xff\x7f"), LOST),
    Case("gzip of nothing", zipped(GZIP, of=lambda _: gzip.compress(b"")), WRONG),
    Case("said gzip, no body", zipped(GZIP, of=lambda _: b""), POST_UNKNOWN),
    Case("gzip in chunks", lambda good: CHUNKED.replace(b"\r\n\r\n", b"\r\n" + GZIP + b"\r\n\r\n") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(gzip.compress(good)), gzip.compress(good)), OK),
    Case("gzip up to the end", lambda good: HEAD + JSON + GZIP + b"\r\n\r\n" + gzip.compress(good), OK),
    Case("gzip with a name", zipped(GZIP, of=lambda good: gzip.compress(good)[:3] + b"\x08" + gzip.compress(good)[4:10] + b"name\0" + gzip.compress(good)[10:]), OK),
    Case("gzip of a wrong method", zipped(GZIP, of=lambda good: b"\x1f\x8b\x07" + gzip.compress(good)[3:]), LOST),
]  # fmt: skip

SURROGATE = b'"\\ud800"'
BODIES = [
    Case("empty", body(b""), WRONG),
    Case("spaces", body(b"   "), WRONG),
    Case("spaces around", body(lambda good: b" \r\n\t" + good + b"\n"), OK),
    Case("BOM", body(lambda good: b"\xef\xbb\xbf" + good), POST_OK_OR_UNKNOWN),
    Case("UTF-16", body(lambda good: good.decode().encode("utf-16")), POST_OK_OR_UNKNOWN),
    Case("UTF-32", body(lambda good: good.decode().encode("utf-32-le")), POST_OK_OR_UNKNOWN),
    Case("null", body(b"null"), WRONG),
    Case("true", body(b"true"), WRONG),
    Case("number", body(b"1"), WRONG),
    Case("string", body(b'"x"'), WRONG),
    Case("array", body(b"[]"), WRONG),
    Case("array of the body", body(lambda good: b"[" + good + b"]"), WRONG),
    Case("empty object", body(b"{}"), WRONG),
    Case("HTML", body(b"<html>Log in</html>", kind=b"Content-Type: text/html\r\n"), WRONG),
    Case("half an object", body(lambda good: good[:-1]), WRONG),
    Case("object twice", body(lambda good: good + good), WRONG),
    Case("junk behind", body(lambda good: good + b"x"), WRONG),
    Case("NUL behind", body(lambda good: good + b"\0"), WRONG),
    Case("comma behind", body(lambda good: good[:-1] + b",}"), WRONG),
    Case("comment", body(lambda good: b"/* */" + good), WRONG),
    Case("single quotes", body(lambda good: good.replace(b'"', b"'")), WRONG),
    Case("invalid UTF-8", body(lambda good: good[:-1] + b',"x":"\xff"}'), WRONG),
    Case("overlong UTF-8", body(lambda good: good[:-1] + b',"x":"\xc0\xaf"}'), WRONG),
    Case("surrogate in UTF-8", body(lambda good: good[:-1] + b',"x":"\xed\xa0\x80"}'), POST_OK_OR_UNKNOWN),
    Case("lone surrogate in an unknown value", body(lambda good: good[:-1] + b',"x":' + SURROGATE + b"}"), POST_OK_OR_UNKNOWN),
    Case("lone surrogate in an unknown name", body(lambda good: good[:-1] + b"," + SURROGATE + b":1}"), POST_OK_OR_UNKNOWN),
    Case("lone surrogate in the id", body(lambda good: good.replace(b'"@id": "', b'"@id": "\\ud800')), POST_OK_OR_UNKNOWN),
    Case("control character in a string", body(lambda good: good[:-1] + b',"x":"\x01"}'), POST_OK_OR_UNKNOWN),
    Case("NaN", body(lambda good: good[:-1] + b',"x":NaN}'), POST_OK_OR_UNKNOWN),
    Case("Infinity", body(lambda good: good[:-1] + b',"x":Infinity}'), POST_OK_OR_UNKNOWN),
    Case("-Infinity", body(lambda good: good[:-1] + b',"x":-Infinity}'), POST_OK_OR_UNKNOWN),
    Case("1e400", body(lambda good: good[:-1] + b',"x":1e400}'), POST_OK_OR_UNKNOWN),
    Case("leading zero", body(lambda good: good[:-1] + b',"x":01}'), WRONG),
    Case("+1", body(lambda good: good[:-1] + b',"x":+1}'), WRONG),
    Case("1.", body(lambda good: good[:-1] + b',"x":1.}'), WRONG),
    Case("integer of 5,000 digits", body(lambda good: good[:-1] + b',"x":' + b"9" * 5000 + b"}"), POST_OK_OR_UNKNOWN),
    Case("nested 500 deep", body(lambda good: good[:-1] + b',"x":' + b"[" * 500 + b"]" * 500 + b"}"), POST_OK_OR_UNKNOWN),
    Case("nested 5,000 deep", body(lambda good: good[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}"), POST_OK_OR_UNKNOWN),
    Case("nested 200,000 deep", body(lambda good: good[:-1] + b',"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"), POST_OK_OR_UNKNOWN),
    Case("key twice, equal", body(lambda good: good[:-1] + b',"operations":null}'), POST_OK_OR_UNKNOWN),
    Case("key twice, id differs", body(lambda good: good[:-1] + b',"@id":"/x"}'), POST_OK_OR_UNKNOWN),
    Case("operations of text", changed(operations="x"), POST_OK_OR_UNKNOWN),
    Case("operations of junk", changed(operations=[1]), POST_OK_OR_UNKNOWN),
    Case("id a number", changed(**{"@id": 5}), POST_OK_OR_UNKNOWN),
    Case("id of another host", changed(**{"@id": "https://evil.example/x"}), POST_OK_OR_UNKNOWN),
    Case("id missing", changed(**{"@id": None}), POST_OK_OR_UNKNOWN),
]  # fmt: skip

SUCCESSES = [
    Case("202", body(lambda good: good, status=b"202"), POST_OK_OR_UNKNOWN),
    Case("203", body(lambda good: good, status=b"203"), POST_OK_OR_UNKNOWN),
    Case("206", body(lambda good: good, b"Content-Range: bytes 0-9/99", status=b"206"), POST_OK_OR_UNKNOWN),
    Case("207", body(lambda good: good, status=b"207"), POST_OK_OR_UNKNOWN),
    Case("226", body(lambda good: good, status=b"226"), POST_OK_OR_UNKNOWN),
    Case("299", body(lambda good: good, status=b"299"), POST_OK_OR_UNKNOWN),
    Case("200 and 201 changed", lambda good: GOOD.replace(b"STATUS", b"200" if b"productCode" in good else b"201"), POST_OK_OR_UNKNOWN),
    Case("202 empty", bare(202), POST_UNKNOWN),
    Case("204", b"HTTP/1.1 204 No Content\r\n\r\n", POST_UNKNOWN),
    Case("204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: LENGTH\r\n\r\nBODY", POST_UNKNOWN),
    Case("204 chunked", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n", POST_UNKNOWN),
    Case("204 with a body", b"HTTP/1.1 204 No Content\r\n\r\nBODY", POST_UNKNOWN),
    Case("204 with gzip said", b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n", POST_UNKNOWN),
    Case("205", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", POST_UNKNOWN),
    Case("205 with a body", line(b"HTTP/1.1 205 Reset Content"), POST_OK_OR_UNKNOWN),
]  # fmt: skip

REDIRECTS = [
    Case(f"{status} {name}", bare(status, *lines), POST_UNKNOWN)
    for status in (300, 301, 302, 303, 307, 308)
    for name, lines in {"": [], "with Location": [b"Location: /billing/customer/v1/1234/customers/x"]}.items()
] + [
    Case("304", b"HTTP/1.1 304 Not Modified\r\n\r\n", POST_UNKNOWN),
    Case("304 with a body", line(b"HTTP/1.1 304 Not Modified"), POST_UNKNOWN),
    Case("305", bare(305, b"Location: http://127.0.0.1:1/"), POST_UNKNOWN),
    Case("306", bare(306), POST_UNKNOWN),
    Case("399", bare(399), POST_UNKNOWN),
    Case("302 to another host", bare(302, b"Location: http://127.0.0.1:1/x"), POST_UNKNOWN),
    Case("302 to nowhere", bare(302, b"Location:"), POST_UNKNOWN),
    Case("302 to junk", bare(302, b"Location: http://[::"), POST_UNKNOWN),
    Case("302 in Latin-1", bare(302, b"Location: /\xe5"), POST_UNKNOWN),
    Case("302 to a file", bare(302, b"Location: file:%s" % b"///etc/passwd"), POST_UNKNOWN),
    Case("302 with the good body", line(b"HTTP/1.1 302 Found"), POST_UNKNOWN),
]

NOT_REFUSED = {408, 425, 460, 499}  # says nothing about whether a POST took effect
ERRORS = [
    *(
        Case(f"{status}", bare(status), AGAIN if status in NOT_REFUSED else REFUSED)
        for status in (
            *range(400, 419), *range(421, 427), 428, 429, 431, 440, 444, 449, 450, 451, 460, 463, 494, 495, 496, 497,
            498, 499,
        )
        if status != 407
    ),
    *(Case(f"{status} problem", problem(status), AGAIN if status in NOT_REFUSED else REFUSED) for status in (400, 403, 404, 408, 409, 410, 422, 425, 429, 460, 499)),
    *(Case(f"{status}", bare(status), AGAIN) for status in (*range(500, 512), *range(520, 528), 529, 530, 540, 561, 598, 599)),
    *(Case(f"{status} HTML", html(status), AGAIN) for status in (500, 502, 503, 504)),
    *(Case(f"{status} problem", problem(status), AGAIN) for status in (500, 502, 504, 520)),
    Case("400 HTML", html(400), REFUSED),
    Case("407", bare(407), REFUSED),
    Case("407 with a challenge", bare(407, b"Proxy-Authenticate: Basic realm=x"), REFUSED),
    Case("401 with a challenge", bare(401, b"WWW-Authenticate: Bearer, Basic realm=x, \xff"), REFUSED),
    Case("501 not-implemented", problem(501, "not-implemented"), REFUSED),
    Case("503 service-unavailable", problem(503, "service-unavailable"), REFUSED),
    Case("503 another problem", problem(503, "validation"), AGAIN),
    Case("501 another problem", problem(501, "validation"), AGAIN),
    Case("503 with Retry-After", bare(503, b"Retry-After: 0"), AGAIN),
    Case("600", bare(600), POST_UNKNOWN),
    Case("999", bare(999), POST_UNKNOWN),
    *(
        Case(f"429 Retry-After {text!r}", bare(429, b"Retry-After: " + text), REFUSED)
        for text in (
            b"", b"0", b"-1", b"1e9", b"1.5", b"NaN", b"inf", b"soon", b"\xf6", b"9" * 400,
            b"Wed, 21 Oct 2015 07:28:00 GMT", b"Wed, 99 Xxx 9999 99:99:99 GMT", b"0, 5",
        )
    ),
    Case("400 half a problem", body(b'{"type":"bil', kind=PROBLEM, status=b"400"), REFUSED),
    Case("400 array", body(b"[1]", kind=PROBLEM, status=b"400"), REFUSED),
    Case("400 null", body(b"null", kind=PROBLEM, status=b"400"), REFUSED),
    Case("400 gzip broken", body(b"xx", GZIP, kind=PROBLEM, status=b"400"), POST_UNKNOWN),
    Case("400 too short", b"HTTP/1.1 400 X\r\nContent-Length: 50\r\n\r\nhello", POST_UNKNOWN),
    Case("400 half a chunk", b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", POST_UNKNOWN),
    Case("400 title a number", problem(400, title=5), REFUSED),
    Case("400 title of surrogates", problem(400, title="\ud800\udfff\ud800"), REFUSED),
    Case("400 title of controls", problem(400, title="\x00\x1b[31m\r\n\u202e"), REFUSED),
    Case("400 problems a text", problem(400, problems="x"), REFUSED),
    Case("400 problems of junk", problem(400, problems=[1, None, {"a": 1}, {"b": {"c": "d"}}, []]), REFUSED),
    Case("400 type a number", problem(400, type=7), REFUSED),
    Case("400 type an URL", problem(400, type="https://x.example/problems/validation?y#z"), REFUSED),
    Case("400 status says 201", problem(400, status=201), REFUSED),
    Case("400 in PascalCase", body(b'{"Type":"a/validation","Title":"T","Problems":[{"a":"b"}]}', kind=PROBLEM, status=b"400"), REFUSED),
    Case("400 keys twice", body(b'{"title":"a","Title":"b","TITLE":"c"}', kind=PROBLEM, status=b"400"), REFUSED),
    Case("400 in UTF-16", body('{"title":"x"}'.encode("utf-16"), kind=PROBLEM, status=b"400"), REFUSED),
    Case("400 with the good body", line(b"HTTP/1.1 400 Bad Request"), REFUSED),
    Case("500 with the good body", line(b"HTTP/1.1 500 Error"), AGAIN),
]  # fmt: skip

CASES = [
    *STATUS_LINES, *HEADERS, *FRAMING, *ENDS, *INFORMATIONAL, *ENCODINGS, *BODIES, *SUCCESSES, *REDIRECTS, *ERRORS,
]  # fmt: skip

# The cases in which the engines may differ, each with its reason. Neither library has a setting for them. No difference
# makes a POST look safer than it is: the stricter engine reports that the outcome is unknown.
_LENIENT = "h11 takes it, hyper refuses it"
_STRICT = "h11 refuses it, hyper takes it"
DIFFERENCES: dict[str, str] = {
    **dict.fromkeys(
        [
            "reason with ESC", "HTTP/0.9 in the line", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "fold with a space",
            "fold with a tab", "fold of the length", "empty fold", "space before a name", "control in a value",
            "DEL in a value", "name of 70,000", "chunked on HTTP/1.0", "200 trailers", "trailers of 100,000",
        ],
        _LENIENT,
    ),
    **dict.fromkeys(
        [
            "leading CRLF", "leading LF", "line of 200,000", "value of 150,000", "coding identity",
            "coding identity, no length", "coding unknown", "coding gzip", "coding gzip, chunked",
            "coding chunked, gzip", "coding chunked, identity", "coding chunked, chunked", "chunked in two headers",
            "coding xchunked", "coding empty", "chunk with 25 leading zeros",
        ],
        _STRICT,
    ),
    "304 with a body": "on httpx an error status with bytes behind it counts as lost; hyper does not show such bytes",
}  # fmt: skip


class Odd:
    """Sends the case that the customer's number names."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def handle(self, connection: Connection) -> None:
        request = connection.read_request()
        if request is None:
            return
        case = CASES[int(request.customer_no[1:])]
        good = self.good(request)
        raw = case.raw(good) if callable(case.raw) else case.raw
        for name, value in (
            (b"STATUS", b"201" if request.method == "POST" else b"200"),
            (b"LENGTH", b"%d" % len(good)),
            (b"SIZE", b"%x" % len(good)),
            (b"BODY", good),
        ):
            raw = raw.replace(name, value)
        connection.send(raw)
        if case.reset:
            connection.reset()

    def good(self, request: Request) -> bytes:
        number = request.customer_no
        if request.method == "GET":
            return json.dumps(customer_body(number)).encode()
        self.ledger.perform(request)
        return json.dumps(charge_body(f"{CUSTOMERS}/{number}/recurring-products", "id-1", request.json)).encode()


Results = dict[tuple[str, str], Any]


def together(kind: Kind, url: str, count: int, act: Callable[[Any, int], Any], **options: Any) -> list[Any]:
    """Call `act` for every number, several at a time, each with a new client. Return the results.

    A shared client would use a connection again that the server is about to close, and lose the next request with it.
    """

    async def one(number: int) -> Any:
        async with opened(kind, url, timeout=60, deadline=300, **options) as billing:
            return await outcome(lambda: act(billing.with_options(attempts=1), number))

    async def everything() -> list[Any]:
        first = await one(0)  # alone: what a client loads when it is first used is loaded then
        if kind.facade == "sync":
            with ThreadPoolExecutor(8) as threads:
                rest = [threads.submit(run, kind, one(number)) for number in range(1, count)]
                return [first, *(future.result() for future in rest)]
        gate = asyncio.Semaphore(16)

        async def gated(number: int) -> Any:
            async with gate:
                return await one(number)

        return [first, *await asyncio.gather(*(gated(number) for number in range(1, count)))]

    return run(kind, everything())


def act(billing: Any, number: int) -> Any:
    """Make the call of this number. The first half of the numbers are GETs, the second half POSTs."""
    if number < len(CASES):
        return billing.customer(f"o{number}").get()
    charge = Charge(product_code=f"{number - len(CASES):05d}")
    return billing.customer(f"o{number - len(CASES)}").recurring_products.create(charge)


@cache
def observed(kind: Kind) -> tuple[Results, Ledger]:
    """The results of one client for every case. All tests of this file share one run."""
    odd = Odd()
    with HostileServer(odd.handle) as server:
        results = together(kind, server.url, 2 * len(CASES), act)
    names = [(case.name, method) for method in ("GET", "POST") for case in CASES]
    return dict(zip(names, results, strict=True)), odd.ledger


def label(result: Any) -> str:
    """The class of a result, the same for both facades."""
    return name_of(result).removeprefix("Async") if isinstance(result, BaseException) else "ok"


MEANINGS: dict[str, Callable[[Any], bool]] = {
    "ok": lambda result: not isinstance(result, BaseException),
    "lost": lambda result: label(result) == "AnswerLost",
    "unknown": lambda result: isinstance(result, OutcomeUnknown),
    "ok or unknown": lambda result: isinstance(result, OutcomeUnknown) or not isinstance(result, BaseException),
    "wrong": lambda result: label(result) == "MalformedResponse",
    "problem": lambda result: isinstance(result, ProblemError),
    "never": lambda result: isinstance(result, NeverSent),
}


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 200
    assert set(DIFFERENCES) <= set(names)


# These comparisons need every response from a third and a fourth client.
costly = pytest.mark.skipif(not NIGHTLY, reason="two more clients meet every response: NIGHTLY=1")


@pytest.mark.parametrize("facade", ["sync", pytest.param("async", marks=costly)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_both_engines_raise_the_same_class(facade: str, method: str) -> None:
    httpx, reqwest = (observed(Kind(engine, facade))[0] for engine in ("httpx", "reqwest"))
    different = {
        case.name: f"httpx {label(httpx[case.name, method])}, reqwest {label(reqwest[case.name, method])}"
        for case in CASES
        if label(httpx[case.name, method]) != label(reqwest[case.name, method]) and case.name not in DIFFERENCES
    }
    assert not different, "\n".join(f"{name}: {text}" for name, text in different.items())


def test_the_list_of_differences_holds_no_case_on_which_the_engines_agree() -> None:
    httpx, reqwest = (observed(Kind(engine, "sync"))[0] for engine in ("httpx", "reqwest"))
    equal = [
        name
        for name in DIFFERENCES
        if all(label(httpx[name, method]) == label(reqwest[name, method]) for method in ("GET", "POST"))
    ]
    assert not equal


@costly
@pytest.mark.parametrize("engine", ["httpx", "reqwest"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_both_facades_raise_the_same_class(engine: str, method: str) -> None:
    blocking, awaited = (observed(Kind(engine, facade))[0] for facade in ("sync", "async"))
    different = [
        f"{name}: sync {label(result)}, async {label(awaited[name, asked])}"
        for (name, asked), result in blocking.items()
        if asked == method and label(result) != label(awaited[name, asked])
    ]
    assert not different, "\n".join(different)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_case_means_what_the_table_says(kind: Kind, method: str) -> None:
    results, _ = observed(kind)
    wrong = []
    for case in CASES:
        expected = case.expected[0 if method == "GET" else 1]
        result = results[case.name, method]
        if expected is not None and not MEANINGS[expected](result):
            wrong.append(f"{case.name}: {expected} expected, {label(result)}: {result}"[:200])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_no_case_raises_an_error_that_is_not_of_the_package(kind: Kind) -> None:
    results, _ = observed(kind)
    foreign = [
        f"{case}: {name_of(result)}: {result}"[:200]
        for case, result in results.items()
        if isinstance(result, BaseException) and not isinstance(result, BillingError)
    ]
    assert not foreign, "\n".join(foreign)


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_no_case_makes_the_client_post_twice_or_say_never_sent(kind: Kind) -> None:
    """Every request of this table was read in full by the server."""
    results, ledger = observed(kind)
    assert {code: count for code, count in ledger.posts.items() if count != 1} == {}
    assert len(ledger.posts) == len(CASES)
    never = [case for case, result in results.items() if isinstance(result, NeverSent)]
    assert not never


# The proxy sends an odd response to CONNECT. The request was never sent, whatever the proxy says.

PROXY: dict[str, bytes | None] = {
    "closed at once": b"",
    "reset at once": None,
    "closed in the status line": b"HTTP/1.1 2",
    "closed in the headers": b"HTTP/1.1 200 OK\r\nX-A: b\r\n",
    "407": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    "407 with a challenge": b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
    "403": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello",
    "400": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "429": b"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
    "500": b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
    "502": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "503": b"HTTP/1.1 503 X\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
    "504": b"HTTP/1.1 504 X\r\nContent-Length: 0\r\n\r\n",
    "301": b"HTTP/1.1 301 X\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n",
    "200, then closed": b"HTTP/1.1 200 Connection established\r\n\r\n",
    "200, then junk": b"HTTP/1.1 200 OK\r\n\r\njunk that is no TLS at all, and long enough",
    "200 with a body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "200, then an alert": b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03\x00\x02\x02\x28",
    "200, then the alert bad_certificate": b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03\x00\x02\x02\x2a",
    "200, then a response": b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    "201": b"HTTP/1.1 201 X\r\n\r\n",
    "204": b"HTTP/1.1 204 X\r\n\r\n",
    "101": b"HTTP/1.1 101 X\r\nUpgrade: tls\r\nConnection: upgrade\r\n\r\n",
    "100, then 200": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0 200": b"HTTP/1.0 200 OK\r\n\r\n",
    "no HTTP": b"SSH-2.0-x\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "a broken header": b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
    "200 headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a header of 100,000": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "status 999": b"HTTP/1.1 999 X\r\n\r\n",
}


@cache
def through_proxy(kind: Kind) -> dict[tuple[str, str], Any]:
    """The results of one client for every response of the proxy. The port of the origin selects the case."""
    results: dict[tuple[str, str], Any] = {}
    for name, raw in PROXY.items():

        def handle(connection: Connection, raw: bytes | None = raw) -> None:
            if not connection.read_head():
                return
            if raw is None:
                connection.reset()
                return
            connection.send(raw)

        def one(billing: Any, number: int) -> Any:
            customer = billing.customer("c")
            return customer.recurring_products.create(Charge(product_code="P01")) if number else customer.get()

        with HostileServer(handle) as proxy:
            pair = together(kind, "https://127.0.0.1:1", 2, one, proxy=proxy.url)
        results[name, "GET"], results[name, "POST"] = pair
    return results


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_request_that_did_not_get_through_the_proxy_was_never_sent(kind: Kind) -> None:
    wrong = [
        f"{case}: {label(result)}: {result}"[:200]
        for case, result in through_proxy(kind).items()
        if not isinstance(result, NeverSent)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("facade", ["sync", "async"])
def test_both_engines_raise_the_same_class_for_a_proxy(facade: str) -> None:
    httpx, reqwest = (through_proxy(Kind(engine, facade)) for engine in ("httpx", "reqwest"))
    different = [
        f"{case}: httpx {label(result)}, reqwest {label(reqwest[case])}"
        for case, result in httpx.items()
        if label(result) != label(reqwest[case])
    ]
    assert not different, "\n".join(different)


# a connection that is reused, and that the server closes

DEATHS: dict[str, Callable[[Connection], None]] = {
    "FIN after the request": lambda connection: connection.close(),
    "RST after the request": lambda connection: connection.reset(),
    "1 byte": lambda connection: connection.send(b"H"),
    "half a head": lambda connection: connection.send(b"HTTP/1.1 201 Created\r\nContent-"),
    "100 only": lambda connection: connection.send(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "408": lambda connection: connection.send(bare(408, b"Connection: close")),
}


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("death", DEATHS)
def test_a_post_on_a_reused_connection_that_dies_is_sent_once(kind: Kind, death: str) -> None:
    """Many HTTP libraries retry a request that fails on a reused connection, but the server may have processed it."""
    ledger = Ledger()

    def handle(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            honest = ledger.perform(request)
            if request.method == "POST":
                DEATHS[death](connection)
                return
            connection.send(honest)

    async def scenario() -> Any:
        async with opened(kind, server.url) as billing:
            customer = billing.customer("c")
            await outcome(customer.get)
            return await outcome(lambda: customer.recurring_products.create(Charge(product_code="P01")))

    with HostileServer(handle) as server:
        result = run(kind, scenario())
    assert (label(result), ledger.posts["P01"], server.accepted) == ("OutcomeUnknown", 1, 1)
