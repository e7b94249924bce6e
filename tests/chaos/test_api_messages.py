"""Hostile texts in a problem cause no harm when a program prints, logs or pickles the error."""

from __future__ import annotations

import copy
import io
import json
import logging
import math
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import payex_billing as pb
import pytest

from tests.chaos.backend import FOUR, LEDGER, ROOT, Backend, Fault, Reply, client, json_reply, raised, tried

LIMIT = 2_000
MANY = 100_000
EVIL = {
    "long": "A" * MANY,
    "long of two bytes": "å" * 50_000,
    "long of four bytes": "😀" * 25_000,
    "zero bytes": "a\x00b\x00" * 10,
    "bell and backspace": "a\x07\x08\x7f\x1b",
    "C1": "a\x80\x85\x9b31m",
    "ANSI": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J",
    "lines": "first\r\nINFO forged line\nsecond\x0b\x0c",
    "other lines": "a\u2028b\u2029c\x85d",
    "bidi": "\u202etxet\u202c \u2066x\u2069 \u200f",
    "invisible": "a\u200b\u200d\ufeff\u00ad\u2060b",
    "tags": "a\U000e0041\U000e0042b",
    "lone surrogate": "a\ud800b\udfffc",
    "surrogates the wrong way round": "\udc00\ud800",
    "noncharacters": "a\ufffe\uffff\U0010ffffb",
    "private use": "a\ue000\U00100000b",
    "marks": "a" + "\u0301" * 5000,
    "format": "%s %d %n {0} {x.__class__} ${jndi:ldap://x} \\u0041 \\N{BULLET}",
    "markup": "<script>alert(1)</script> [bold red]x[/bold red] [/] &amp;",
    "spaces": " \t\u00a0\u3000" * 1000,
    "nothing": "",
}


def bodies() -> dict[str, Reply]:
    """Return problems with hostile texts in every field, and problems with a hostile JSON structure."""
    made: dict[str, Any] = {}
    for name, text in EVIL.items():
        for where in ("title", "detail", "instance", "type"):
            made[f"{where} {name}"] = {"title": "t", "type": "billing/customer/problems/validation", where: text}
        made[f"parameter {name}"] = {"type": "validation", "problems": [{text: "is wrong"}]}
        made[f"message {name}"] = {"type": "validation", "problems": [{"productCode": text}]}
        made[f"all {name}"] = {
            "type": text,
            "title": text,
            "detail": text,
            "instance": text,
            "problems": [{text: text}],
        }
    megabyte = "A" * 1_000_000
    for where in ("title", "detail", "instance", "type"):
        made[f"{where} of 1 MB"] = {"title": "t", where: megabyte}
    made["parameter of 1 MB"] = {"type": "validation", "problems": [{megabyte: "is wrong"}, {"productCode": megabyte}]}
    made["many parameters"] = {"type": "validation", "problems": [{f"p{n}": "wrong" * 20} for n in range(10_000)]}
    made["many of one"] = {"type": "validation", "problems": [{f"p{n}": "wrong" for n in range(10_000)}]}
    for number, odd in enumerate(
        [5, True, None, [], {}, [[]], [{}], ["a"], [5], [None], [{"a": 5}], [{"a": None}], [{"a": ["b"]}], [{"a": {"b": "c"}}],
         {"a": "b"}, "text", [{"a": "b"}, {"a": "c"}], [[["a", "b"]]], 1e308]
    ):  # fmt: skip
        for where in ("title", "detail", "instance", "type", "status", "problems", "Type", "TITLE"):
            made[f"{where} odd {number}"] = {"title": "t", where: odd}
        made[f"whole {number}"] = odd
    replies = {
        name: json_reply(400, content, content_type="application/problem+json") for name, content in made.items()
    }
    for name, text in {
        "deep": '{"title": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "deep problems": '{"problems": ' + '[{"a": ' * 20_000 + "1" + "}]" * 20_000 + "}",
        "long number": '{"status": ' + "4" * 10_000 + "}",
        "NaN": '{"status": NaN, "title": Infinity}',
        "twice": '{"title": "a", "title": "b", "Title": "c"}',
        "half": '{"title": "a',
        "empty": "",
    }.items():
        replies[name] = Reply(400, text.encode(), "application/problem+json")
    replies["no UTF-8"] = Reply(400, b'{"title": "\xff\xfe\x80"}', "application/problem+json")
    replies["HTML"] = Reply(400, b"<html>\x1b[31m" + b"x" * MANY, "text/html")
    return replies


BODIES = bodies()


def faults_of(error: BaseException) -> Iterator[str]:
    """Yield the faults in the texts of an error: too long, not printable, cannot be encoded, pickled or copied."""
    for what, text in (("str", str(error)), ("repr", repr(error))):
        if len(text) > (LIMIT if what == "str" else 2 * LIMIT):
            yield f"{what} has {len(text)} characters"
        if not text.isprintable():
            yield f"{what} holds {sorted({char for char in text if not char.isprintable()})[:5]!a}"
        if isinstance(tried(text.encode), Exception):
            yield f"{what} cannot be encoded"
    for encoding, errors in (("utf-8", "strict"), ("ascii", "backslashreplace"), ("latin-1", "backslashreplace")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
        for write in (
            lambda stream=stream: print(error, file=stream),
            lambda stream=stream: traceback.print_exception(error, file=stream),
        ):
            if isinstance(failure := tried(write), Exception):
                yield f"cannot be printed to {encoding}: {failure!r}"
    twin = tried(lambda: pickle.loads(pickle.dumps(error)))
    if type(twin) is not type(error) or str(twin) != str(error):
        yield f"does not pickle: {twin!r}"[:200]
    if str(tried(lambda: copy.deepcopy(error))) != str(error):
        yield "cannot be copied"


def texts_of(error: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and value of every server text that the error gives to the caller."""
    problem = getattr(error, "problem", None)
    for holder in (error, problem):
        for name in ("title", "detail", "instance", "type", "code"):
            if isinstance(text := getattr(holder, name, None), str):
                yield name, text
        for name, text in (getattr(holder, "problems", None) or {}).items():
            yield "parameter", name
            yield "message", text


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A") as running:
        yield running


@FOUR
def test_no_text_of_a_problem_makes_an_error_long_or_unprintable_or_breaks_it(
    backend: Backend, engine_name: str, facade: str
) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        for name, reply in BODIES.items():
            backend.forget_rules()
            backend.on("GET", Fault(reply=reply), times=math.inf)
            error = raised(billing.customer("A").get)
            if not isinstance(error, pb.BillingError):
                wrong.append(f"{name}: {error!r}"[:200])
                continue
            wrong += [f"{name}: {fault}" for fault in faults_of(error)]
            wrong += [
                f"{name}: {what} is {text[:20]!a}"
                for what, text in texts_of(error)
                if not text.isprintable() or isinstance(tried(text.encode), Exception)
            ]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:60])


@FOUR
@pytest.mark.parametrize("status", [401, 404, 409, 422, 429, 500, 501, 503])
def test_the_errors_of_every_status_are_as_short_and_printable(
    backend: Backend, engine_name: str, facade: str, status: int
) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        once = billing.with_options(attempts=1)
        for name in ("all long", "all ANSI", "all lone surrogate", "all bidi", "many parameters", "HTML"):
            reply = Reply(status, BODIES[name].body, BODIES[name].content_type)
            for method, call in (("GET", once.customer("A").get), ("POST", once.customer("N").create)):
                backend.on(method, Fault(None, reply))
                error = raised(call)
                assert isinstance(error, pb.BillingError)
                wrong += [f"{method} {name}: {fault}" for fault in faults_of(error)]
    assert not wrong, "\n".join(wrong)


@FOUR
def test_other_texts_of_the_server_make_no_error_long_or_unprintable(
    backend: Backend, engine_name: str, facade: str
) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        customer = billing.with_options(attempts=1).customer("A")
        for name, text in EVIL.items():
            link = f"{ROOT}/../{text}"
            operation: Any = {"rel": text, "method": text, "href": text}
            honest = {"@id": f"{ROOT}/customers/A", "customerNo": "A", "recurringProducts": "/x", "subscriptions": "/y"}
            replies: dict[str, Any] = {
                "another number": {**honest, "customerNo": text},
                "another @id": {**honest, "@id": text},
                "operation": {**honest, "operations": [operation]},
                "wrong operation": {**honest, "operations": [{"rel": 5, text: text}]},
                "a name": {text: text},
                "a text": text,
                "a list": [text],
            }
            for what, content in replies.items():
                backend.on("GET", Fault(reply=json_reply(200, content)))
                value = tried(customer.get)
                if isinstance(value, pb.BillingError):
                    wrong += [f"{what} {name}: {fault}" for fault in faults_of(value)]
                elif isinstance(value, Exception):
                    wrong.append(f"{what} {name}: {value!r}"[:200])
                else:
                    repr(value)
            page = {"items": [], "navigation": {"@id": "x", "next": link}}
            charge = {
                "@id": text,
                "recurringProductId": text,
                "productCode": text,
                "startDate": text,
                "unitPrice": text,
            }
            for what, content in {"next": page, "charge": {"items": [charge], "navigation": {"@id": text}}}.items():
                backend.on("GET", Fault(reply=json_reply(200, content)))
                error = tried(lambda: list(customer.recurring_products.list()))
                if isinstance(error, pb.BillingError):
                    wrong += [f"{what} {name}: {fault}" for fault in faults_of(error)]
                elif isinstance(error, Exception):
                    wrong.append(f"{what} {name}: {error!r}"[:200])
            error = raised(lambda link=link: billing.follow(pb.Operation(rel="x", method="GET", href=link)))
            wrong += [f"follow {name}: {fault}" for fault in faults_of(error)]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:60])


@FOUR
def test_the_callers_own_texts_make_no_error_long_or_impossible_to_print(
    backend: Backend, engine_name: str, facade: str
) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        for name, text in EVIL.items():
            calls: dict[str, Callable[[], Any]] = {
                "customer": lambda text=text: billing.customer(text).get(),
                "subscription": lambda text=text: billing.customer("A").subscription(text).get(),
                "charge": lambda text=text: charges.get(text),
                "code": lambda text=text: charges.create(pb.Charge(product_code=text)),
                "text": lambda text=text: charges.create(pb.Charge(product_code="P01", text=text)),
                "method": lambda text=text: billing.follow(pb.Operation(rel="x", method=text, href=f"{ROOT}/x")),
                "setting": lambda text=text: pb.Billing(token="t", owner_no=LEDGER, environment=text),
                "base_url": lambda text=text: pb.Billing(token="t", owner_no=LEDGER, base_url=text),
                "owner_no": lambda text=text: pb.Billing(token="t", owner_no=text + "/"),
                "client_cert": lambda text=text: pb.Billing(token="t", owner_no=LEDGER, client_cert=text + "/x"),
            }
            for what, call in calls.items():
                error = tried(call)
                if isinstance(error, pb.BillingError):
                    # The caller's own text may contain a line break. Only a server's text is a risk for the terminal.
                    wrong += [f"{what} {name}: {fault}" for fault in faults_of(error) if " holds " not in fault]
                elif hasattr(error, "close"):
                    error.close()
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:60])


@FOUR
def test_the_log_of_a_hostile_server_is_printable_and_short(
    backend: Backend, engine_name: str, facade: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[Any] = []
    with client(engine_name, facade, backend, on_attempt=lambda *values: seen.append(values)) as billing:
        for name in ("all long", "all ANSI", "all lines", "all lone surrogate", "all bidi", "HTML"):
            backend.on("GET", Fault(reply=Reply(500, BODIES[name].body, BODIES[name].content_type)))
            backend.on("POST", Fault(None, Reply(400, BODIES[name].body, BODIES[name].content_type)))
            tried(billing.customer("A").get)
            tried(billing.customer("N").create)
    texts = [record.getMessage() for record in caplog.records if record.name.startswith("payex")]
    texts += [repr(values) for values in seen]
    assert seen
    wrong = [text[:100] for text in texts if len(text) > LIMIT or not text.isprintable()]
    assert not wrong


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("engine", ["httpx", "reqwest"])
def test_the_command_line_survives_what_a_server_writes(backend: Backend, engine: str, encoding: str) -> None:
    bodies = [f"all {name}" for name in ("ANSI", "lone surrogate", "bidi", "markup", "marks", "lines")]
    environment = {
        **os.environ, "PAYEX_TOKEN": "t", "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": backend.url, "PAYEX_ENGINE": engine,
        "PYTHONIOENCODING": encoding,
    }  # fmt: skip
    arguments: list[Any] = [[], ["--json"]]
    wrong = []
    script = "import sys; from payex_billing.cli import main; sys.exit(main())"
    # Put the texts of all bodies into one problem. One run for each output format is then enough.
    texts = [json.loads(BODIES[name].body) for name in bodies]
    problem = {
        "type": "billing/customer/problems/customer-not-found",
        **{key: " ".join(text[key] for text in texts) for key in ("title", "detail", "instance")},
        "problems": [item for text in texts for item in text["problems"]],
    }
    backend.on("GET", Fault(reply=json_reply(404, problem, content_type="application/problem+json")), times=math.inf)
    for more in arguments:
        command = [sys.executable, "-c", script, "customer", "get", *more, "A"]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        output = done.stdout + done.stderr
        if done.returncode != 1 or b"Traceback" in output or b"\x1b" in output:
            wrong.append(f"{more}: {done.returncode} {output[-300:]!r}")
    assert not wrong, "\n".join(wrong)
