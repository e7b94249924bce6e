"""A crash reporter collects messages, pickles, and tracebacks with local variables. None of them contains a secret.

Tools such as Sentry, pytest and `traceback.TracebackException(capture_locals=True)` record the local variables of every
frame. The tests skip their own frames, because a caller is responsible for its own variables.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import payex_billing as pb
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.chaos.backend import (
    FIN,
    FOUR,
    RST,
    SILENCE,
    TRUNCATE,
    Backend,
    Face,
    Fault,
    Reply,
    client,
    json_reply,
    look_up_by_the_error,
    problem,
    raised,
    tried,
)

TOKEN, PASSWORD, PROXY_PASSWORD = "tok3n-Zq8-secret", "k3y-Xw7-password", "pr0xy-Vu6-password"
SECRETS = [TOKEN, PASSWORD, PROXY_PASSWORD]
SECRETS += [base64.b64encode(f"{user}{PROXY_PASSWORD}".encode()).decode() for user in ("user:", ":")]
HERE = str(Path(__file__).parent)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its causes and contexts, and the members of exception groups."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        context = None if one.__suppress_context__ else one.__context__
        waiting += [one.__cause__, context, *getattr(one, "exceptions", ())]


def shown(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield every text that a crash reporter would record for an error."""
    for one in chain(error):
        yield "message", f"{one} {one!r} {one.args!r} {getattr(one, '__notes__', '')}"
        yield "attributes", repr({name: value for name, value in vars(one).items() if not callable(value)})
        yield from objects_shown(one.__traceback__)
        pickled = tried(lambda one=one: pickle.dumps(one))
        if isinstance(pickled, bytes):
            yield "pickle", pickled.decode("latin-1")


def objects_shown(link: TracebackType | None) -> Iterator[tuple[str, str]]:
    """Yield the local variables of every frame and the items of their dicts and lists, as Sentry records them."""
    while link is not None:
        frame = link.tb_frame
        # These tests open the client with a generator, so the frames of contextlib contain the test's own arguments.
        if not frame.f_code.co_filename.startswith(HERE) and not frame.f_code.co_filename.endswith("contextlib.py"):
            for name, value in frame.f_locals.items():
                where = f"{Path(frame.f_code.co_filename).name}:{link.tb_lineno} {name}"
                yield where, str(tried(lambda value=value: repr(value)))
                if isinstance(value, dict):
                    yield from ((f"{where}[{key!r}]", repr(item)) for key, item in value.items())
                elif isinstance(value, list | tuple):
                    yield from ((f"{where}[]", repr(item)) for item in value)
                elif isinstance(value, bytes | bytearray | memoryview):
                    yield where, bytes(value).decode("latin-1")
        link = link.tb_next


def leaks(error: BaseException) -> list[str]:
    return [
        f"{type(error).__name__}, {where}: {secret}"
        for where, text in shown(error)
        for secret in SECRETS
        if secret in text or repr(secret)[1:-1] in text
    ]


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A") as running:
        yield running


HTML = Reply(200, b"<html>", "text/html")
FAULTS: dict[str, Any] = {
    "401": problem(401, "unauthorized"),
    "403": problem(403, "forbidden"),
    "404": problem(404, "customer-not-found"),
    "429": problem(429, "too-many-requests", "Retry-After: 3600"),
    "500": Reply(500, b""),
    "503": problem(503, "service-unavailable"),
    "302": Reply(302, b"", None, ("Location: http://127.0.0.1:1/",)),
    "html": HTML,
    "another": json_reply(200, {"customerNo": "B", "recurringProducts": "/x", "subscriptions": "/x"}),
    "deep": Reply(200, b"[" * 50_000),
    "rst": RST,
    "fin": FIN,
    "truncate": TRUNCATE,
    "silence": SILENCE,
    "garbage": Reply(raw=b"\x00\xff garbage\r\n\r\n"),
    "bad header": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
    "long header": Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n"),
    "gzip that is none": Reply(200, b"no gzip", headers=("Content-Encoding: gzip",)),
    "101": Reply(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    "1xx for ever": Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
    "echo": None,  # `echo` below builds this response: a problem with the Authorization value in a header
}


def echo(request: Any, _: Reply) -> Reply:
    sent = request.headers.get("authorization", "")
    return problem(400, "validation", f"X-Echo: {sent}", title="title", detail="detail")


@FOUR
def test_no_failure_of_a_call_shows_the_token(
    backend: Backend, engine_name: str, facade: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    found = []
    with client(engine_name, facade, backend, token=TOKEN) as billing:
        once = billing.with_options(attempts=1, timeout=0.5)
        for name, reply in FAULTS.items():
            for method, call in (
                ("GET", once.customer("A").get),
                ("POST", once.customer("N").create),
                ("GET", lambda: list(once.customer("A").subscriptions.list())),
            ):
                backend.forget_rules()
                backend.on(method, Fault(None, reply if name != "echo" else echo), times=5)
                error = tried(call)
                if isinstance(error, Exception):
                    found += [f"{method} {name}: {leak}" for leak in leaks(error)]
                if isinstance(error, pb.OutcomeUnknown):
                    found += [f"{name}: {secret} in lost" for secret in SECRETS if secret in repr(error.lost)]
                    backend.on("GET", Fault(reply=problem(401, "unauthorized")))
                    result = look_up_by_the_error(billing, error)
                    found += [f"{name}: {secret} in result" for secret in SECRETS if secret in repr(result)]
        found += [secret for secret in SECRETS if secret in repr(billing) + repr(vars(billing.__class__))]
    # httpcore2 logs response headers, so it also logs a token that the server echoes. The server leaks that token,
    # not the client.
    messages = [record.getMessage() for record in caplog.records]
    logged = [text for text in messages if any(secret in text for secret in SECRETS) and "X-Echo" not in text]
    found += [f"log: {text[:300]}" for text in logged]
    assert not found, f"{len(found)}:\n" + "\n".join(dict.fromkeys(found))


@FOUR
def test_no_failure_to_reach_the_server_shows_the_token(engine_name: str, facade: str) -> None:
    found = []
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        closed = reserved.getsockname()[1]
    with Backend() as plain:
        for base_url in (
            f"http://127.0.0.1:{closed}", f"https://127.0.0.1:{closed}", f"https://127.0.0.1:{plain.port}", "https://name.invalid",
        ):  # fmt: skip
            with client(engine_name, facade, base_url=base_url, token=TOKEN, timeout=0.5) as billing:
                once = billing.with_options(attempts=1)
                for call in (once.customer("A").get, once.customer("A").create):
                    error = raised(call)
                    assert isinstance(error, pb.BillingError)
                    found += [f"{base_url}: {leak}" for leak in leaks(error)]
    assert not found, "\n".join(dict.fromkeys(found))


@FOUR
def test_no_wrong_argument_shows_the_token(backend: Backend, engine_name: str, facade: str) -> None:
    found = []
    with client(engine_name, facade, backend, token=TOKEN) as billing:
        charges = billing.customer("A").recurring_products
        calls: list[Callable[[], Any]] = [
            lambda: billing.customer("").get(),
            lambda: billing.customer("\ud800").get(),
            lambda: billing.follow(pb.Operation(rel="x", method="GET", href="//evil.example/x")),
            lambda: billing.follow(pb.Operation(rel="x", method="TRACE", href="/x")),
            lambda: billing.follow(pb.Operation(rel="x", method="POST", href="/billing/customer/v1/1234/x"), object()),
            lambda: charges.create(5),
            lambda: charges.update("x", extra=5),
            lambda: billing.with_options(timeout=-1),
            lambda: billing.look_up(5),
        ]
        for call in calls:
            found += leaks(raised(call))
    if facade == "sync":
        found += leaks(raised(billing.customer("A").get))  # the client is closed here
    assert not found, "\n".join(dict.fromkeys(found))


class Stop(Exception):
    """An exception that a hook of the caller raises."""


@FOUR
def test_what_a_hook_of_the_caller_raises_does_not_show_the_token(
    backend: Backend, engine_name: str, facade: str
) -> None:
    def hook(*_: Any) -> None:
        raise Stop

    found = []
    with client(engine_name, facade, backend, token=TOKEN, on_attempt=hook) as billing:
        for call in (billing.customer("A").get, billing.customer("N").create):
            error = tried(call)
            found += leaks(error) if isinstance(error, Exception) else []
    assert not found, "\n".join(dict.fromkeys(found))


@FOUR
def test_a_cancelled_or_abandoned_call_does_not_show_the_token(engine_name: str, facade: str) -> None:
    if facade == "sync":
        pytest.skip("a blocking call cannot be cancelled from outside")
    found = []

    async def main(url: str) -> None:
        billing = pb.AsyncBilling(token=TOKEN, owner_no="1234", base_url=url, engine=engine_name, timeout=2)
        async with billing:
            for call in (billing.customer("A").get, billing.customer("N").create):
                task = asyncio.ensure_future(call())
                await asyncio.sleep(0.2)
                task.cancel()
                try:
                    await task
                except BaseException as error:
                    found.extend(leaks(error))
                try:
                    async with asyncio.timeout(0.2):
                        await call()
                except TimeoutError as error:
                    found.extend(leaks(error))

    with Backend() as backend:
        backend.on("*", Fault(reply=SILENCE), times=99)
        asyncio.run(main(backend.url))
    assert not found, "\n".join(dict.fromkeys(found))


@FOUR
def test_no_source_of_the_token_shows_it(
    backend: Backend, engine_name: str, facade: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    sources: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
        "environment": ({"PAYEX_TOKEN": TOKEN}, {}),
        "file": ({}, {"token_file": path}),
        "file in the environment": ({"PAYEX_TOKEN_FILE": str(path)}, {}),
        "function": ({}, {"token": lambda: TOKEN}),
    }
    found = []
    for source, (variables, arguments) in sources.items():
        options = {"token": None, **arguments}
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            with client(engine_name, facade, backend, **options) as billing:
                billing.customer("A").get()
                assert backend.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"
                once = billing.with_options(attempts=1, timeout=0.3)
                for fault in ("401", "500", "html", "garbage", "silence"):
                    backend.on("*", Fault(None, FAULTS[fault]), times=99)
                    for call in (once.customer("A").get, once.customer("N").create):
                        found += [f"{source}: {leak}" for leak in leaks(raised(call))]
                    backend.forget_rules()
                found += [f"{source}: {secret}" for secret in SECRETS if secret in repr(billing)]
            with pytest.raises(pb.ConfigurationError) as caught:
                pb.Billing(owner_no="1234", **options, timeout=-1)
            found += [f"{source}: {leak}" for leak in leaks(caught.value)]
    assert not found, "\n".join(dict.fromkeys(found))


BAD_TOKENS: list[Any] = [TOKEN + "\n", TOKEN + "\r\nX: 1", TOKEN + "\x00", TOKEN + "å", TOKEN + "\ud800", " " + TOKEN, TOKEN.encode(), TOKEN * 10_000]  # fmt: skip


@FOUR
def test_a_token_that_cannot_be_used_is_not_shown(
    backend: Backend, engine_name: str, facade: str, tmp_path: Path
) -> None:
    found = []

    def failure(options: dict[str, Any]) -> Any:
        with client(engine_name, facade, backend, **options) as billing:
            return tried(billing.with_options(attempts=1).customer("A").get)

    def failing() -> str:
        # This test does not cover a vault client that puts the secret into its own error or its own local variables.
        raise RuntimeError("the vault is closed")

    for number, token in enumerate(BAD_TOKENS):
        path = tmp_path / str(number)
        path.write_bytes(str(token).encode("utf-8", "surrogatepass"))
        for how, options in {
            "value": {"token": token},
            "function": {"token": lambda token=token: token},
            "file": {"token": None, "token_file": path},
        }.items():
            error = tried(lambda options=options: failure(options))
            if isinstance(error, Exception):
                found += [f"{how} {token!a:.40}: {leak}" for leak in leaks(error)]
    assert isinstance(tried(lambda: failure({"token": failing})), Exception)
    assert not found, "\n".join(dict.fromkeys(found))


WRONG: list[dict[str, Any]] = [
    {"timeout": -1}, {"timeout": "x"}, {"deadline": -1}, {"max_concurrency": 0}, {"max_rate": -1}, {"environment": "x"},
    {"base_url": "https://a..b"}, {"base_url": "http://evil.example"}, {"base_url": "ftp://x"}, {"owner_no": "a/b"}, {"owner_no": ""},
    {"subdomain": "a/b"}, {"client_cert": "/nonexistent"}, {"ca_file": "/nonexistent"}, {"ca_file": "/dev/null"}, {"proxy": "x"},
    {"tracing": "x"}, {"token_file": "/nonexistent"}, {"client_key": "/nonexistent"}, {"client_cert": "a\x00b"},
    {"proxy": f"http://user:{PROXY_PASSWORD}@a..b:1"}, {"proxy": f"ftp://user:{PROXY_PASSWORD}@a:1"}, {"proxy": f"http://user:{PROXY_PASSWORD}@a:x"},
    {"proxy": f"http://user:{PROXY_PASSWORD}@"}, {"proxy": f"user:{PROXY_PASSWORD}@a:1"}, {"proxy": f"http://user:{PROXY_PASSWORD}@[::1"},
    {"base_url": f"https://user:{PROXY_PASSWORD}@a"}, {"base_url": "http://127.0.0.1:1", "proxy": f"http://user:{PROXY_PASSWORD}@127.0.0.1:1"},
    {"client_key_password": PASSWORD}, {"client_key_password": PASSWORD.encode()}, {"client_key_password": [PASSWORD]},
]  # fmt: skip


def rejected(engine: str, facade: str) -> Iterator[tuple[list[str], Exception]]:
    """Yield the error of each wrong setting. The other settings include valid secrets."""
    for wrong in WRONG:
        settings = {"token": TOKEN, "client_key_password": PASSWORD, **wrong}

        def make(settings: dict[str, Any] = settings) -> None:
            with client(engine, facade, **settings):
                pass

        error = tried(make)
        if isinstance(error, Exception):
            yield list(wrong), error


@FOUR
def test_an_error_of_another_setting_shows_no_secret(engine_name: str, facade: str) -> None:
    found = [f"{wrong}: {leak}" for wrong, error in rejected(engine_name, facade) for leak in leaks(error)]
    assert not found, "\n".join(dict.fromkeys(found))


@FOUR
def test_a_reporter_can_write_down_the_locals_of_a_rejected_setting(engine_name: str, facade: str) -> None:
    # Python 3.11 calls repr() on every local variable, also on a client that is only half constructed. If that repr()
    # raises, the crash reporter itself crashes.
    for _, error in rejected(engine_name, facade):
        traceback.TracebackException.from_exception(error, capture_locals=True)


def certificate(folder: Path, password: str) -> tuple[Path, Path]:
    """Create a certificate and its encrypted key. Return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(5)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@FOUR
@pytest.mark.parametrize("right", [True, False], ids=["right password", "wrong password"])
def test_the_password_of_the_key_is_not_shown(tmp_path: Path, engine_name: str, facade: str, right: bool) -> None:
    cert, key = certificate(tmp_path, PASSWORD if right else "another")
    options = {"client_cert": cert, "client_key": key, "client_key_password": PASSWORD, "token": TOKEN}
    found = []

    def failure(base_url: str) -> Any:
        with client(engine_name, facade, base_url=base_url, timeout=0.5, **options) as billing:
            found.extend(secret for secret in SECRETS if secret in repr(billing))
            return tried(billing.with_options(attempts=1).customer("A").get)

    with Backend() as plain:
        error = tried(lambda: failure(f"https://127.0.0.1:{plain.port}"))
    assert isinstance(error, pb.BillingError), repr(error)
    found += leaks(error)
    assert not found, "\n".join(dict.fromkeys(found))


PROXIES: dict[str, Reply | str] = {
    "407": Reply(407, b"", None, ("Proxy-Authenticate: Basic",)),
    "403": Reply(403, b"no"),
    "502": Reply(502, b""),
    "garbage": Reply(raw=b"\x00 garbage\r\n\r\n"),
    "rst": RST,
    "fin": FIN,
    "silence": SILENCE,
    "200 and garbage": Reply(raw=b"HTTP/1.1 200 OK\r\n\r\ngarbage that is no TLS"),
}


@FOUR
def test_the_password_of_a_proxy_is_not_shown(engine_name: str, facade: str) -> None:
    found = []
    for name, reply in PROXIES.items():
        with Backend() as proxy:
            proxy.on("CONNECT", Fault(None, reply), times=99)
            address = f"http://user:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}"
            with client(
                engine_name, facade, base_url="https://name.invalid", token=TOKEN, proxy=address, timeout=0.5
            ) as billing:
                error = raised(billing.with_options(attempts=1).customer("A").get)
                assert isinstance(error, pb.BillingError), repr(error)
                found += [f"{name}: {leak}" for leak in leaks(error)]
                found += [secret for secret in SECRETS if secret in repr(billing)]
            assert all(TOKEN not in str(request.headers) for request in proxy.requests)
    assert not found, "\n".join(dict.fromkeys(found))


@FOUR
@pytest.mark.parametrize("variable", ["PAYEX_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, engine_name: str, facade: str, variable: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        closed = reserved.getsockname()[1]
    monkeypatch.setenv(variable, f"http://user:{PROXY_PASSWORD}@127.0.0.1:{closed}")
    with client(engine_name, facade, base_url="https://name.invalid", token=TOKEN, deadline=2) as billing:
        error = raised(billing.with_options(attempts=1).customer("A").get)
        assert not leaks(error)
        assert PROXY_PASSWORD not in repr(billing)


def test_no_representation_of_the_settings_shows_a_secret() -> None:
    settings = pb.Settings(
        token=TOKEN, owner_no="1234", client_key_password=PASSWORD, proxy=f"http://user:{PROXY_PASSWORD}@p:1"
    )
    shown = f"{settings} {settings!r} {[settings]}"
    assert not [secret for secret in SECRETS if secret in shown]


@FOUR
def test_nothing_that_a_client_holds_shows_a_secret(backend: Backend, engine_name: str, facade: str) -> None:
    # Check two levels of attributes, because a debugger or a crash reporter may show both.
    with client(engine_name, facade, backend, token=TOKEN) as billing:
        billing.customer("A").get()
        root = billing._target if isinstance(billing, Face) else billing
        level: list[tuple[str, Any]] = [("billing", root)]
        found = []
        for _ in range(3):
            below = []
            for path, value in level:
                if TOKEN in repr(value):
                    found.append(f"{path}: {type(value).__name__}")
                names = vars(value) if hasattr(value, "__dict__") else {}
                slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
                below += [(f"{path}.{name}", held) for name, held in names.items()]
                below += [(f"{path}.{name}", getattr(value, name, None)) for name in slots if isinstance(name, str)]
            level = below
        assert not found, "\n".join(found)
