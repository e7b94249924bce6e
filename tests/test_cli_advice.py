"""An error of the command line names the customer, the ledger and the host, and says what to do next."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from payex_billing_mock import MockServer

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(mock: MockServer, tmp_path: Path) -> Run:
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    (tmp_path / "charges.csv").write_text("customer_no,product_code\n1,P01\n")

    def run(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "XDG_CONFIG_HOME": str(tmp_path),
        }  # fmt: skip
        return run_command(*command.split(), cwd=tmp_path, environment={**os.environ, **settings, **variables})

    return run


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("charges list 999", "Customer 999, ledger 1234, URL. Check the number and the ledger. To create the customer: payex-billing customer create 999"),
        ("charges list 1 --subscription 46", "Customer 1, subscription 46, ledger 1234, URL. To see the subscriptions: payex-billing customer get 1"),
        ("charges remove 1 nope --yes", "Customer 1, charge nope, ledger 1234, URL. To see the ids of all charges: payex-billing charges list 1"),
        ("customer get 1 --owner-no 5678", "Customer 1, ledger 5678, URL. Check that the token is of this ledger: payex-billing doctor"),
        ("plan charges.csv --owner-no 5678", "Ledger 5678, URL. To see what is wrong: payex-billing doctor"),
        ("charges list 1 --base-url http://127.0.0.1:1", "Customer 1, ledger 1234, http://127.0.0.1:1. Check the address, the network and the proxy: payex-billing doctor"),
        ("plan charges.csv --patience 0 --base-url http://127.0.0.1:1", "Ledger 1234, http://127.0.0.1:1. To see what is wrong: payex-billing doctor"),
        ("runs show 1", "there is no journal. apply creates it; --journal names another one"),
        ("runs list --profile none", "the profile 'none' cannot be read"),
        ("charges add 7 TOOLONG", "product_code must have at most 5 characters, not 7"),
    ],
)  # fmt: skip
def test_an_error_names_the_place_and_the_next_step(run: Run, mock: MockServer, command: str, said: str) -> None:
    result = run(command, PAYEX_DEADLINE="2")
    assert (result.returncode, said.replace("URL", mock.url) in result.stderr) == (1, True), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("chargs list 1", "Did you mean 'charges'?"),
        ("charges lst 1", "No such command 'lst'"),
        ("--profile x charges list 1", "Options of a command stand after it: payex-billing COMMAND --profile"),
        ("charges list", "Missing argument 'CUSTOMER_NO'"),
        ("charges update 1 x", "name what to change, such as --unit-price 549.00"),
        ("charges add 1 P01 --unit-price 4,99", "'4,99' is not a number such as 499.00"),
        ("charges add 1 P01 --start 01.01.2026", "'01.01.2026' is not a date as yyyy-MM-dd"),
        ("retry x", "'x' is not a number such as 17. To see the runs: payex-billing runs"),
        ("undo 0", "'0' is not a number such as 17"),
        ("charges list 1 --environment test", "'test' is not one of 'production', 'sandbox'"),
        ("apply charges.csv --rate 0", "0.0 is not in the range x>0"),
        ("apply charges.csv --on dask://x:1", "--journal postgresql://"),
        ("runs prune --older-than 5", "such as 90d, 12m or 2y"),
    ],
)
def test_a_wrong_use_says_what_is_right(run: Run, command: str, said: str) -> None:
    result = run(command)
    assert (result.returncode, said in result.stderr) == (64, True), result.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("list", "Only the charges of this subscription. Default: those of all levels."),
        ("add", "The subscription; the customer's own level if not given."),
    ],
)
def test_the_help_says_which_charges_a_command_takes_without_a_subscription(run: Run, command: str, said: str) -> None:
    assert said in " ".join(run(f"charges {command} --help").stdout.split())


def test_no_password_of_a_proxy_or_token_is_in_an_error(run: Run) -> None:
    secrets = {
        "PAYEX_BASE_URL": "https://127.0.0.1:1",
        "PAYEX_PROXY": "http://u:hush@127.0.0.1:1",
        "PAYEX_TOKEN": "hushed",
    }
    result = run("charges list 1", PAYEX_DEADLINE="2", **secrets)
    assert (result.returncode, "hush" in result.stderr, "https://127.0.0.1:1" in result.stderr) == (1, False, True)
