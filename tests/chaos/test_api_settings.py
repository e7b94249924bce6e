"""Every setting either makes a client or raises `ConfigurationError` with the reason. No other exception may occur."""

from __future__ import annotations

import asyncio
import math
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import payex_billing as pb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chaos.backend import FOUR, Backend, client, tried
from tests.support import NIGHTLY

VALID: dict[str, Any] = {"token": "t", "owner_no": "1234"}
SETTINGS = [
    "token", "token_file", "owner_no", "environment", "base_url", "subdomain", "client_cert", "client_key",
    "client_key_password", "ca_file", "proxy", "timeout", "deadline", "max_concurrency", "max_rate", "tracing", "engine",
]  # fmt: skip


HUGE = 10**400
ODD: list[Any] = [
    b"bytes", b"\xff", bytearray(b"x"), 0, 1, -1, True, False, 1.5, math.nan, math.inf, -math.inf, HUGE, 1e308, -0.0, [], ["a"], {}, {"a": 1},
    (), set(), object(), object, len, lambda: "t", Path("/nonexistent"), Path("a\x00b"), Decimal("1.5"), Decimal("NaN"), Decimal("sNaN"),
    Decimal("Infinity"), datetime(2026, 1, 1), timedelta(seconds=5), 1 + 2j, ..., Exception("x"), range(3), memoryview(b"x"),
    "", " ", "\x00", "a\x00b", "\n", "a\nb", "a\r\nX-Evil: 1", "\ud800", "å", "é" * 300, "\u202e", "\uff0e", "a" * 100_000, "%", "%2f", "..", ".", "/",
    "a/b", "a\\b", "a?b", "a#b", "a;b", "../..", "٣", "1e5", "nan", "inf", "-1", "0", "1_000", " 5", "0x10", "true", "None", "{}", "$HOME", "~",
]  # fmt: skip

HOSTS = [
    "a..b", "a.", ".a", "..", ".", "", " ", "a b", "a\tb", "a\nb", "a\x00b", "[::1", "::1", "[::1]x", "[]", "[::1%eth0]", "[::g]", "[v1.x]", "a" * 64,
    "a" * 300, "a." * 200 + "a", "xn--", "xn--a", "xn--\u00e5", "xn--0", "xn--ls8h=", "å" * 64, "\u00ad", "\u200d", "\u200da", "a\u200d", "\ufdfa" * 20,
    "\ud800", "a\udfff", "\u2488com", "ａ", "例え。テスト", "\u0300", "\u0378", "a_b", "-a", "a-", "a--b", "%", "%41", "a%2fb", "a%00b", "a@b", "u:p@a",
    "@a", "a\\b", "a,b", "a|b", "a{b}", "a^b", "a`b", "a\"b", "a<b>", "a*b", "0x7f.1", "1.2.3", "1.2.3.4.5", "999.1.1.1", "1.2.3.256", "127.1",
    "٣", "1.2.3.٣", "localhost.", "ß", "faß", "\u0130", "ẞ" * 60, "\u3002", "a\u3002b", "a\uff0eb", "a\u3002\u3002b",
]  # fmt: skip
PORTS = [
    "",
    "0",
    "-1",
    "65536",
    "99999",
    "1" * 400,
    "x",
    "8 0",
    " 80",
    "80 ",
    "+80",
    "8_0",
    "٨٠",
    "0x50",
    "80:80",
    "1e3",
    "\x00",
    "80\n",
    "\ud800",
]
URLS = [
    "http://", "https://", "https:", "https:/", "https:///", "https:a", "//a", "a", "a:80", ":", ":80", "://", "https//a", "ftp://a", "file:" "///a",
    "HTTPS://A", "https://a/b", "https://a/", "https://a//", "https://a?b", "https://a#b", "https://a;b", "https://a/../b", "https://a\\b",
    "https://a/\x00", "https://a/\ud800", "\x00https://a", " https://a", "https://a ", "https ://a", "h\nttps://a", "https://a\r\nX: 1",
    "https://[", "https://]", "https://[a", "https://a]", "http://evil.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example",
    "http://[::1]", "http://[::1]:80", "http://localhost:0", "unix:/tmp/x", "data:,x", "javascript:1", "https://a:80:90", "https://:80", "https://@",
    *(f"https://{host}" for host in HOSTS), *(f"https://a:{port}" for port in PORTS), *(f"https://{host}:1/x" for host in HOSTS),
    *(f"http://127.0.0.1:{port}" for port in PORTS), *(f"http://[::1]:{port}" for port in PORTS), "https://" + "a" * 100_000,
]  # fmt: skip


def short(value: Any) -> str:
    return f"{type(value).__name__} {value!a}"[:120]


def listed(wrong: dict[str, Exception]) -> str:
    return "\n".join(f"{what}: {error!r}"[:250] for what, error in wrong.items())


def made(facade: str, **values: Any) -> Exception | None:
    """Open a client, call repr() on it, and close it. Return any exception except ConfigurationError."""
    outcome = tried(lambda: _make(facade, values))
    return None if outcome is None or isinstance(outcome, pb.ConfigurationError) else outcome


def _make(facade: str, values: dict[str, Any]) -> None:
    async def make() -> None:
        async with pb.AsyncBilling(**{**VALID, **values}) as billing:
            repr(billing)

    if facade == "async":
        asyncio.run(make())
    else:
        with pb.Billing(**{**VALID, **values}) as billing:
            repr(billing)


@pytest.mark.parametrize("facade", ["sync", "async"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_no_odd_value_of_a_setting_raises_anything_but_a_configuration_error(facade: str, setting: str) -> None:
    # A separate test checks a huge max_concurrency, because that test has to limit the memory.
    values = [value for value in ODD if setting != "max_concurrency" or value is not HUGE]
    values = values if facade == "sync" else values[::3]
    wrong = {short(value): error for value in values if (error := made(facade, **{setting: value})) is not None}
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("setting", ["base_url", "proxy"])
def test_no_odd_url_raises_anything_but_a_configuration_error(setting: str) -> None:
    wrong = {short(url): error for url in URLS if (error := made("sync", **{setting: url})) is not None}
    assert not wrong, listed(wrong)


CONTENTS = {
    "empty": b"",
    "bytes": bytes(range(256)),
    "text": b"hello",
    "no certificate": b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "bad base64": b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    "bad certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "half": b"-----BEGIN CERTIFICATE-----\nAAAA",
    "bad key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "encrypted": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    "old encryption": b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,zz\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    "utf-16": "-----BEGIN CERTIFICATE-----".encode("utf-16"),
    "der": b"\x30\x82\x01\x0a\x02\x82",
}


@pytest.mark.parametrize("suffix", [".pem", ".p12"])
@pytest.mark.parametrize("setting", ["client_cert", "ca_file", "token_file", "client_key"])
def test_no_odd_file_raises_anything_but_a_configuration_error(tmp_path: Path, setting: str, suffix: str) -> None:
    wrong = {}
    paths: list[Any] = [tmp_path, "/dev/null", "/proc/self/mem", "/nonexistent/x", tmp_path / ("x" * 300), "", "."]
    for name, content in CONTENTS.items():
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(content)
        paths.append(path)
    for path in paths:
        others: dict[str, Any] = {"token": None} if setting == "token_file" else {}
        if setting == "client_key":
            others["client_cert"] = paths[-1]
        for password in (None, "secret"):
            error = made("sync", **{setting: path, "client_key_password": password, **others})
            if error is not None:
                wrong[f"{path} {password!a}"] = error
    assert not wrong, listed(wrong)


def test_a_wrong_keyword_is_a_type_error_and_a_missing_setting_a_configuration_error() -> None:
    with pytest.raises(TypeError):
        pb.Billing(**VALID, tokn="x")
    with pytest.raises(TypeError):
        pb.Billing("t")
    for name in VALID:
        with pytest.raises(pb.ConfigurationError):
            pb.Billing(**{**VALID, name: None})


TEXTS = st.text(max_size=40) | st.text(alphabet=":/@[].%\\?# \x00\n-aå\ud800\u200d\u3002xn0", max_size=30)
VALUES = TEXTS | st.binary(max_size=5) | st.integers() | st.floats() | st.booleans() | st.none() | st.sampled_from(ODD)


@settings(max_examples=5000 if NIGHTLY else 100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(SETTINGS), VALUES, min_size=1, max_size=3))
def test_no_mixture_of_odd_settings_raises_anything_but_a_configuration_error(values: dict[str, Any]) -> None:
    if isinstance(values.get("max_concurrency"), int) and values["max_concurrency"] > 10_000:
        return
    error = made("sync", **values)
    assert error is None, repr(error)


@settings(max_examples=5000 if NIGHTLY else 100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["https://", "http://", "", "https://u:p@", "//"]),
    TEXTS,
    st.sampled_from(["", ":80", ":", ":x", "/"]),
)
def test_no_url_raises_anything_but_a_configuration_error(start: str, host: str, end: str) -> None:
    for setting in ("base_url", "proxy"):
        error = made("sync", **{setting: start + host + end})
        assert error is None, repr(error)


ENVIRONMENTS = [
    {"PAYEX_TIMEOUT": value} for value in ["", "abc", "nan", "inf", "-1", "0", "1e400", "٣", "1_0", " 5 ", "0x10", "\udcff", "9" * 5000]
] + [
    {name: value}
    for name in ["PAYEX_MAX_CONCURRENCY", "PAYEX_MAX_RATE", "PAYEX_DEADLINE", "PAYEX_TRACING", "PAYEX_ENGINE", "PAYEX_ENVIRONMENT",
                 "PAYEX_TOKEN", "PAYEX_OWNER_NO", "PAYEX_BASE_URL", "PAYEX_PROXY", "PAYEX_SUBDOMAIN", "PAYEX_CLIENT_CERT",
                 "PAYEX_CLIENT_KEY", "PAYEX_CLIENT_KEY_PASSWORD", "PAYEX_CA_FILE", "PAYEX_TOKEN_FILE", "HTTPS_PROXY", "ALL_PROXY",
                 "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"]
    for value in ["", " ", "a..b", "https://a..b", "\udcff\udcfe", "a\nb", "nan", "-1", "9" * 5000, "/nonexistent", "socks5://x", "http://[::1"]
]  # fmt: skip


@pytest.mark.parametrize("engine", ["httpx", "reqwest"])
def test_no_odd_environment_raises_anything_but_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    wrong = {}
    for variables in ENVIRONMENTS:
        with monkeypatch.context() as patch:
            for name, value in {
                "PAYEX_TOKEN": "t",
                "PAYEX_OWNER_NO": "1234",
                "PAYEX_ENGINE": engine,
                **variables,
            }.items():
                patch.setenv(name, value)
            outcome = tried(lambda: pb.Billing.from_env().close())
            if outcome is not None and not isinstance(outcome, pb.ConfigurationError):
                wrong[str(variables)[:80]] = outcome
    assert not wrong, listed(wrong)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A") as running:
        yield running


CALLED = ["token", "owner_no", "subdomain", "timeout", "deadline", "max_concurrency", "max_rate"]


@FOUR
def test_a_client_that_could_be_made_makes_calls_that_raise_billing_errors_only(
    backend: Backend, engine_name: str, facade: str
) -> None:
    wrong = {}
    for setting in CALLED:
        for value in ODD[:: 1 if facade == "sync" else 3]:
            if setting == "max_concurrency" and value is HUGE:
                continue
            if setting == "token" and callable(value):
                continue  # the caller is responsible for what its own function raises

            def call(values: dict[str, Any]) -> Any:
                with client(engine_name, facade, backend, **{"timeout": 5, "deadline": 5, **values}) as billing:
                    return tried(billing.with_options(attempts=1).customer("A").get)

            if made("sync", engine=engine_name, **{setting: value}) is None:
                outcome = tried(lambda setting=setting, value=value, call=call: call({setting: value}))
                if isinstance(outcome, Exception) and not isinstance(outcome, pb.BillingError):
                    wrong[f"{setting} {short(value)}"] = outcome
    # A token function may return any value, and the client must handle it. This test does not cover exceptions from
    # the token function itself, because the caller is responsible for them.
    for value in ODD:
        if value is None or callable(value):
            continue
        with client(engine_name, facade, backend, token=lambda value=value: value) as billing:
            outcome = tried(billing.customer("A").get)
            if isinstance(outcome, Exception) and not isinstance(outcome, pb.BillingError):
                wrong[f"token function {short(value)}"] = outcome
    assert not wrong, listed(wrong)


@FOUR
def test_no_odd_option_raises_anything_but_a_billing_error_or_a_type_error(
    backend: Backend, engine_name: str, facade: str
) -> None:
    wrong = {}
    with client(engine_name, facade, backend) as billing:
        for option in ("timeout", "deadline", "attempts", "retry_after_cap", "wait_on_writes"):
            for value in ODD:
                outcome = tried(
                    lambda option=option, value=value: billing.with_options(**{option: value}).customer("A").get()
                )
                if isinstance(outcome, Exception) and not isinstance(outcome, pb.BillingError | TypeError):
                    wrong[f"{option} {short(value)}"] = outcome
    assert not wrong, listed(wrong)


@FOUR
def test_no_odd_argument_raises_anything_but_a_billing_error_or_a_type_error(
    backend: Backend, engine_name: str, facade: str
) -> None:
    wrong = {}
    key = backend.put_charge("A")
    with client(engine_name, facade, backend) as billing:
        customer = billing.with_options(attempts=1, deadline=5).customer("A")
        charges = customer.recurring_products
        for value in [*ODD, None]:
            calls: dict[str, Any] = {
                "customer": lambda value=value: billing.customer(value).get(),
                "ensure": lambda value=value: billing.customer(value).ensure(),
                "subscription": lambda value=value: customer.subscription(value).get(),
                "get": lambda value=value: charges.get(value),
                "delete": lambda value=value: charges.delete(value),
                "create": lambda value=value: charges.create(value),
                "known": lambda value=value: charges.create(pb.Charge(product_code="P01"), known=value),
                "body": lambda value=value: billing.follow(
                    pb.Operation(rel="x", method="POST", href="/billing/customer/v1/1234/x"), value
                ),
                **{
                    f"update {name}": lambda name=name, value=value: charges.update(key, **{name: value})
                    for name in (
                        "product_code",
                        "quantity",
                        "unit_price",
                        "vat_rate",
                        "text",
                        "start_date",
                        "end_date",
                        "extra",
                    )
                },
                **{
                    f"Charge {name}": lambda name=name, value=value: charges.create(
                        pb.Charge(**{"product_code": "P01", name: value})
                    )
                    for name in ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
                },
                "extra": lambda value=value: charges.create(pb.Charge(product_code="P01", extra={"x": value})),
                "extra name": lambda value=value: charges.create(pb.Charge(product_code="P01", extra={str(value): 1})),
            }
            for what, call in calls.items():
                outcome = tried(call)
                if isinstance(outcome, Exception) and not isinstance(outcome, pb.BillingError | TypeError):
                    wrong[f"{what} {short(value)}"] = outcome
                if isinstance(outcome, pb.OutcomeUnknown) and outcome.problem is None and not backend.sent("POST"):
                    wrong[f"{what} {short(value)}, and nothing was sent"] = outcome
    assert not wrong, listed(wrong)
    assert isinstance(date.today(), date)


@pytest.mark.parametrize("facade", ["Billing", "AsyncBilling"])
@pytest.mark.parametrize("places", ["10**9", "10**400"])
def test_a_huge_number_of_places_costs_no_memory(facade: str, places: str) -> None:
    script = (
        "import resource, sys; import asyncio, payex_billing as pb\n"
        "resource.setrlimit(resource.RLIMIT_AS, (800_000_000,) * 2)\n"
        "async def main():\n"
        f"    try: client = pb.{facade}(token='t', owner_no='1', engine='httpx', max_concurrency={places})\n"
        "    except pb.ConfigurationError: return\n"
        "    closed = client.close()\n"
        "    if closed is not None: await closed\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.skipif(sys.version_info[:3] == (3, 13, 0), reason="Python 3.13.0 cannot import its own modules there")
def test_a_client_can_be_made_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    # The working folder of a daemon may be removed. The process can then no longer resolve relative names.
    gone = tmp_path / "gone"
    gone.mkdir()
    script = (
        "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\n"
        "import payex_billing as pb\n"
        "pb.Billing(token='t', owner_no='1').close()\n"
        "for name in ('client_cert', 'ca_file', 'token_file'):\n"
        "    try: pb.Billing(owner_no='1', **{'token': None if name == 'token_file' else 't', name: 'x.pem'}).close()\n"
        "    except pb.ConfigurationError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(gone)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pathlib.Path.cwd().exists()
