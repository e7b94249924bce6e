"""README, docs and examples are true: every snippet runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.store import Store

from tests.support import LEDGER, PREFIX, ROOT, TOKEN

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
SNIPPETS = [
    pytest.param(language, code, id=f"{page.name}:{number}")
    for page in PAGES
    for number, (language, code) in enumerate(
        re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    )
]
# Commands that another test or job runs exactly so; everything else in a shell snippet is run here.
RUN_ELSEWHERE = {
    "make test": "this is it",
    "make demo": "test_the_demo_finds_everything_as_the_file_says and .ci/run",
    "pip install payex-billing": "make wheel-test",
    "pip install 'payex-billing[cli,mock]'": "make wheel-test",
    "payex-billing mock --port 8080 --ledger 1234 --token secret --db state.db": "test_mock_process.py",
}


def environment(mock: MockServer) -> dict[str, str]:
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "PYTHONWARNINGS": "error"}
    return {**os.environ, **own}


def run(arguments: list[str], mock: MockServer, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=cwd, env=environment(mock), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(("language", "code"), SNIPPETS)
def test_snippet_runs(language: str, code: str, mock: MockServer, tmp_path: Path) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "15615616"})
    if language == "python":
        result = run([sys.executable, "-c", code], mock, tmp_path)
        assert result.returncode == 0, result.stderr
        return
    assert language == "console", "a snippet is python or console"
    for line in code.splitlines():
        command = line.removeprefix("$ ")
        if line.startswith("$ ") and command not in RUN_ELSEWHERE:
            result = run(shlex.split(command), mock, tmp_path)
            assert result.returncode == 0, result.stderr


def test_every_link_between_the_pages_leads_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named <= targets


def test_the_settings_table_names_every_variable() -> None:
    from payex_billing.config import VARIABLES

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [variable for variable in VARIABLES.values() if f"`{variable}`" not in readme] == []


def test_no_file_names_a_machine_or_an_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    # Spelled in parts, so that this file is not found itself.
    forbidden = re.compile(
        "|".join(["file:" + "//", "/wo" + "rk/", "/ro" + "ot/", "pypi" + r"\.org", "python" + "hosted"])
    )
    found = [
        name
        for name in listed
        if name
        and (ROOT / name).is_file()
        and forbidden.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


# examples


def test_the_generated_client_works_by_itself(mock: MockServer, tmp_path: Path) -> None:
    script = str(ROOT / "examples" / "generated_client.py")
    result = run([sys.executable, script, mock.url + PREFIX, LEDGER, TOKEN], mock, tmp_path)
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"created 15615616 at {PREFIX}/1234/customers/15615616",
        "added P01 499.0",
        "problem 404 billing/customer/problems/customer-not-found",
    ]


def demo() -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples" / "demo.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_demo(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["demo.py", *arguments])
    return int(demo().main())


CHARGES = str(ROOT / "examples" / "charges.csv")


def test_the_demo_finds_everything_as_the_file_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(monkeypatch, CHARGES) == 0
    out = capsys.readouterr().out
    assert "holds exactly what the file says" in out
    for error in ("ValidationFailed", "Unauthorized", "CustomerNotFound", "SubscriptionNotFound", "Unprocessable"):
        assert error in out


@pytest.mark.parametrize("lie", ["price", "lost", "twice"])
def test_the_demo_fails_when_billing_holds_something_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lie: str
) -> None:
    honest = Store.create_charge
    count = 0

    def create_charge(self: Store, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        charge = honest(self, *arguments)
        if count == 5 and lie == "price":
            charge.document["quantity"] = 77
        if count == 5 and lie == "lost":
            del self.charges(*arguments[:3])[charge.key.charge]
        if count == 5 and lie == "twice":
            honest(self, *arguments)
        return charge

    monkeypatch.setattr(Store, "create_charge", create_charge)
    assert run_demo(monkeypatch, CHARGES) == 1
    assert "differs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "needs the columns"),
        ("customer_no,product_code\n", "needs the columns"),
        ("customer_no,subscription_no,product_code,quantity,unit_price,vat_rate,text,start_date,end_date\n"
         "1,,P01,x,,,,,\n1,,P00001,,,,,,\n1,,P,,1.0000001,,,,\n", "line 4"),
    ],
)  # fmt: skip
def test_the_demo_names_every_bad_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "charges.csv"
    file.write_text(content)
    assert run_demo(monkeypatch, str(file)) == 1
    assert said in capsys.readouterr().err


def test_the_table_of_the_demo_has_what_it_is_meant_to_show() -> None:
    places_and_charges = demo().read_charges(Path(CHARGES))
    numbers = {place[0] for place, _ in places_and_charges}
    charges = [charge for _, charge in places_and_charges]
    assert len(charges) >= 200
    assert len(numbers) >= 60
    assert {bool(place[1]) for place, _ in places_and_charges} == {True, False}
    assert all(any(sign in number for number in numbers) for sign in "åäö/& ")
    prices = [charge.unit_price for charge in charges if charge.unit_price is not None]
    assert any(price < 0 for price in prices)
    assert any(price.normalize().as_tuple().exponent == -6 for price in prices)
    assert {charge.end_date is None for charge in charges} == {True, False}
