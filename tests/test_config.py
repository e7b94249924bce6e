"""Settings: arguments, then environment, then defaults; what is wrong is said by the name the user used."""

from __future__ import annotations

from typing import Any

import payex_billing as pb
import pytest
from payex_billing import Billing, Settings

GIVEN = {"token": "t", "owner_no": "1234"}


def test_arguments_come_before_variables_and_variables_before_defaults() -> None:
    environ = {"PAYEX_TOKEN": "from-env", "PAYEX_OWNER_NO": "9", "PAYEX_SUBDOMAIN": "billing", "PAYEX_TIMEOUT": "7.5"}
    settings = Settings.load(environ, token="from-argument")
    assert (settings.token, settings.owner_no, settings.subdomain, settings.timeout, settings.deadline) == (
        "from-argument",
        "9",
        "billing",
        7.5,
        120.0,
    )
    assert {name: settings.origins[name] for name in ("token", "owner_no", "subdomain", "deadline")} == {
        "token": "argument",
        "owner_no": "PAYEX_OWNER_NO",
        "subdomain": "PAYEX_SUBDOMAIN",
        "deadline": "default",
    }


def test_the_default_is_production_and_the_subdomain_of_the_examples() -> None:
    settings = Settings.load({}, **GIVEN)
    assert settings.base_url + settings.ledger_prefix == "https://lf-api.payex.com/billing/customer/v1/1234"


@pytest.mark.parametrize(
    ("environ", "arguments", "base_url"),
    [
        ({}, {"environment": "sandbox"}, "https://api.sandbox.payex.com"),
        ({"PAYEX_ENVIRONMENT": "sandbox"}, {}, "https://api.sandbox.payex.com"),
        ({"PAYEX_ENVIRONMENT": "sandbox"}, {"environment": "production"}, "https://lf-api.payex.com"),
        ({"PAYEX_ENVIRONMENT": "sandbox", "PAYEX_BASE_URL": "https://x.example"}, {}, "https://x.example"),
        ({"PAYEX_BASE_URL": "https://x.example"}, {"environment": "sandbox"}, "https://api.sandbox.payex.com"),
        ({"PAYEX_ENVIRONMENT": "sandbox"}, {"base_url": "https://x.example/"}, "https://x.example"),
        ({}, {"base_url": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({}, {"base_url": "http://[::1]:8080"}, "http://[::1]:8080"),
    ],
)
def test_the_nearer_of_environment_and_base_url_wins(
    environ: dict[str, str], arguments: dict[str, str], base_url: str
) -> None:
    assert Settings.load(environ, **GIVEN, **arguments).base_url == base_url


@pytest.mark.parametrize("name", ["token", "owner_no"])
def test_what_is_missing_is_named_with_its_variable(name: str) -> None:
    with pytest.raises(pb.ConfigurationError, match=f"{name} is missing.*PAYEX_{name.upper()}"):
        Settings.load({}, **{key: value for key, value in GIVEN.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("token", "two words", "a space"),
        ("token", "line\n", "a line break"),
        ("token", "å", "no token has"),
        ("token", 7, "must be a str or a function"),
        ("owner_no", "..", "part of a URL"),
        ("owner_no", "1\r\n2", "part of a URL"),
        ("owner_no", 1234, "must be a str, not int"),
        ("subdomain", ".", "part of a URL"),
        ("environment", "test", "one of production, sandbox"),
        ("base_url", "lf-api.payex.com", "an origin such as"),
        ("base_url", "ftp://lf-api.payex.com", "an origin such as"),
        ("base_url", "https://", "an origin such as"),
        ("base_url", "https://user:pw@x.example", "user name"),
        ("base_url", "https://x.example/billing", "without a path"),
        ("base_url", "https://x.example?x", "without a path"),
        ("base_url", "http://x.example", "must be https"),
        ("base_url", "https://x.example:port", "not a URL"),
        ("base_url", 7, "must be a str"),
        ("proxy", "proxy.example:3128", "a URL such as"),
        ("proxy", "http://[", "a URL such as"),
        ("timeout", 0, "seconds above 0"),
        ("timeout", -1, "seconds above 0"),
        ("timeout", "soon", "seconds above 0"),
        ("timeout", float("inf"), "seconds above 0"),
        ("deadline", float("nan"), "seconds above 0"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: Any, said: str) -> None:
    with pytest.raises(pb.ConfigurationError, match=said) as caught:
        Settings.load({}, **(GIVEN | {name: value}))
    assert str(caught.value).startswith(name)


def test_what_is_wrong_in_a_variable_is_named_by_the_variable() -> None:
    with pytest.raises(pb.ConfigurationError, match=r"^PAYEX_TIMEOUT must be"):
        Settings.load({"PAYEX_TIMEOUT": "soon"}, **GIVEN)


def test_a_wrong_token_is_not_shown() -> None:
    with pytest.raises(pb.ConfigurationError) as caught:
        Settings.load({}, token="my secret", owner_no="1")
    assert "secret" not in str(caught.value)


def test_none_means_the_default_and_never_no_limit() -> None:
    settings = Settings.load({}, **GIVEN, timeout=None, deadline=None)
    assert (settings.timeout, settings.deadline) == (30.0, 120.0)


def test_a_client_reads_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYEX_TOKEN", "t")
    monkeypatch.setenv("PAYEX_OWNER_NO", "77")
    with Billing.from_env() as billing:
        assert billing.settings.owner_no == "77"


def test_a_client_without_settings_says_what_to_set() -> None:
    with pytest.raises(pb.ConfigurationError, match="PAYEX_TOKEN"):
        Billing.from_env()


def test_the_token_is_in_no_representation() -> None:
    with Billing(token="s3cret", owner_no="1234") as billing:
        for shown in (repr(billing), repr(billing.settings), str(billing), repr(billing.customer("1"))):
            assert "s3cret" not in shown


@pytest.mark.parametrize("name", ["timeout", "deadline", "attempts", "retry_after_cap"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_an_option_that_is_no_limit_is_refused(name: str, value: float) -> None:
    with Billing(**GIVEN) as billing, pytest.raises(pb.InvalidArgument, match=name):
        billing.with_options(**{name: value})  # type: ignore[arg-type]


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="tocken"):
        Settings.load({}, **GIVEN, tocken="t")
