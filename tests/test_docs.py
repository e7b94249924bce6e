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

import click
import pytest
from payex_billing import Billing, Outcome
from payex_billing.cli._commands import payex_billing
from payex_billing.config import VARIABLES
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
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
SANDBOX = "https://api.sandbox.payex.com"
# Pages of the site that `make docs` makes.
MADE = {"architecture.md", "changelog.md", "commands.md", "problems.md", "reference.md"}
# Commands that another test or job runs exactly so; everything else in a shell snippet is run here.
RUN_ELSEWHERE = {
    "make test": ".ci/run",
    "make test-more": "this is it",
    "make generate": "make check-generated, and test_generate.py",
    "make contract": "make contract in CI, and test_contract_command.py",
    "make contract-diff OTHER=swagger.json": "test_contract_diff.py",
    "make demo": "test_the_demo_plans_and_applies_and_finds_nothing_to_do_the_second_time and .ci/run",
    "pip install payex-billing": "make wheel-test",
    "pip install 'payex-billing[cli,mock]'": "make wheel-test",
    "pip install 'payex-billing[cli,tables]'": "make wheel-test",
    "pip install 'payex-billing[cli,mock,tables]'": "make wheel-test",
    "payex-billing mock --port 8080 --ledger 1234 --token secret": "test_mock_process.py",
    "payex-billing mock --port 8080 --ledger 1234 --token secret --db state.db": "test_mock_process.py",
}


def environment(mock: MockServer) -> dict[str, str]:
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "PYTHONWARNINGS": "error"}
    return {**os.environ, **own}


def run(arguments: list[str], mock: MockServer, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=cwd,
        env={**environment(mock), "PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(("language", "code"), SNIPPETS)
def test_snippet_runs(
    language: str, code: str, mock: MockServer, tmp_path: Path, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if "PAYEX_JOURNAL" in code:
        monkeypatch.setenv("PAYEX_JOURNAL", request.getfixturevalue("database"))
    mock.store.create_customer(LEDGER, {"customerNo": "15615616"})
    (tmp_path / "charges.csv").write_text("customer_no,product_code\n15615616,P01\n7,P02\n")
    if language == "text":  # a table, what a program prints, or commands that need what a test cannot have
        return
    assert language in {"python", "console"}, "a snippet is python, console or text"
    (tmp_path / "docs").mkdir()
    (tmp_path / "payex_billing_mock").mkdir()  # the suite and the contract, where the wheel has them
    (tmp_path / "payex_billing_mock" / "openapi.yaml").symlink_to(ROOT / "openapi.yaml")
    (tmp_path / "payex_billing_contract").symlink_to(ROOT / "contract_tests")
    (tmp_path / "shapes.jsonl").touch()
    (tmp_path / "traffic.har").write_text('{"log": {"entries": []}}')
    for _ in range(2):  # what has run once must run again
        if language == "python":
            run_python(code, mock, tmp_path)
        else:
            run_commands(code, mock, tmp_path)


def run_python(code: str, mock: MockServer, folder: Path) -> str:
    (folder / "test_snippet.py").write_text(code, encoding="utf-8")
    pytest_or_python = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "def test_" in code else []
    result = run([sys.executable, *pytest_or_python, "test_snippet.py"], mock, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def run_commands(code: str, mock: MockServer, folder: Path) -> None:
    for command in commands_in(code):
        if command in RUN_ELSEWHERE:
            continue
        program, *arguments = shlex.split(command.replace(SANDBOX, mock.url))
        if program == "export":
            assert {each.partition("=")[0] for each in arguments} <= set(VARIABLES.values())
            continue
        own = [str(Path(sys.executable).with_name(program))] if program == "payex-billing" else [program]
        result = run([*own, *arguments], mock, folder)
        assert result.returncode == 0, result.stdout + result.stderr


def commands_in(code: str) -> list[str]:
    """The commands of a snippet; a backslash continues a line."""
    return re.findall(r"^\$ (.+)$", re.sub(r"\\\n\s*", "", code), re.MULTILINE)


def test_the_tutorial_works_from_top_to_bottom_and_once_more(console: MockServer, tmp_path: Path) -> None:
    """One mock with its console, one folder, each snippet in its turn; then a reader starts again."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert [language for language, _ in snippets].count("python") == 2
    for _ in range(2):
        for language, code in snippets:
            if language == "text":
                (tmp_path / "charges.csv").write_text(code, encoding="utf-8")
            elif "OutcomeUnknown" in code:
                console.faults.queue("lose-answer:POST")  # the button that the page names
                assert run_python(code, console, tmp_path).startswith(str(Outcome.CREATED))
            elif language == "python":
                run_python(code, console, tmp_path)
            else:
                run_commands(code, console, tmp_path)
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=console.url) as billing:
        customer = billing.customer("15615616")
        held = [charge.product_code for charge in customer.subscription("46701234567").recurring_products.list()]
        assert sorted(held) == ["P01", "P01", "P07"]
        assert [charge.product_code for charge in customer.recurring_products.list()] == ["P90", "P90"]


def test_every_command_that_a_page_shows_exists_with_these_options() -> None:
    """Also those that no test can run as they are, because they need a cluster, a date or a lost creation."""
    shown = [
        (page.name, command)
        for page in PAGES
        for code in re.findall(r"^```(?:text|console)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        for command in commands_in(code)
    ]
    wrong = []
    for page, command in shown:
        program, *arguments = shlex.split(command)
        if program == "payex-billing":
            try:
                parse(payex_billing, arguments)
            except click.UsageError as error:
                wrong.append(f"{page}: {command}: {error.format_message()}")
    assert len(shown) > 50
    assert wrong == []


def parse(command: click.Command, arguments: list[str]) -> None:
    """Find the command and its options, without their values being looked at."""
    passed_on = command.context_settings.get("ignore_unknown_options", False)
    context = click.Context(command, info_name=command.name, ignore_unknown_options=passed_on)
    _, rest, _ = command.make_parser(context).parse_args(list(arguments))
    if isinstance(command, click.Group) and rest:
        _, below, rest = command.resolve_command(context, rest)
        assert below
        parse(below, rest)


def test_no_command_of_a_page_is_hidden_from_these_tests() -> None:
    indented = re.compile(r"^    \$? ?(?:payex-billing|pip|make|python|export) .*$", re.MULTILINE)
    outside = {page.name: indented.findall(FENCED.sub("", page.read_text("utf-8"))) for page in PAGES}
    assert {name: found for name, found in outside.items() if found} == {}


def test_every_link_between_the_pages_leads_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists() and Path(target).name not in MADE
    ]
    assert broken == []


def test_the_readme_has_at_most_900_words() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named <= targets


def test_the_settings_table_names_every_variable() -> None:
    from payex_billing.config import VARIABLES

    page = (ROOT / "docs" / "howto" / "settings.md").read_text(encoding="utf-8")
    assert [variable for variable in VARIABLES.values() if f"`{variable}`" not in page] == []


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


CHARGES = ROOT / "examples" / "charges.csv"


def run_demo(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["demo.py", *arguments])
    return int(demo().main())


def test_the_demo_plans_and_applies_and_finds_nothing_to_do_the_second_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(monkeypatch, str(CHARGES)) == 0
    out = capsys.readouterr().out
    assert out.count("$ payex-billing plan charges.csv") == 2
    assert "200 rows: 0 unchanged, 200 applied, 0 rejected, 0 failed" in out
    assert "200 rows: 200 unchanged, 0 applied, 0 rejected, 0 failed" in out
    assert "holds exactly what the file says" in out


@pytest.mark.parametrize("lie", ["price", "lost", "twice"])
def test_the_demo_fails_when_billing_holds_something_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lie: str
) -> None:
    honest = Store.create
    count = 0

    def create(self: Store, owner: Any, collection: Any, content: Any) -> Any:
        nonlocal count
        charge = honest(self, owner, collection, content)
        if collection.role != "charge":
            return charge
        count += 1
        if count == 5 and lie == "price":
            charge.document["unitPrice"] = 77
        if count == 5 and lie == "lost":
            self.remove(charge)
        if count == 5 and lie == "twice":
            honest(self, owner, collection, content)
        return charge

    monkeypatch.setattr(Store, "create", create)
    code = run_demo(monkeypatch, str(CHARGES))
    out = capsys.readouterr().out
    if lie == "twice":
        assert (code, "differs, 1 times" in out) == (1, True)
    elif lie == "price":  # the response shows it: the row fails, or, if it is read back, the run stops
        assert code in {1, 3}
        assert "exactly what the file says" not in out
    else:  # it is among the first customers, which are read back
        assert (code, "exactly what the file says" in out) == (1, False)


def test_the_demo_names_every_bad_row(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "charges.csv"
    file.write_text("customer_no,product_code,quantity,unit_price\n1,P01,x,\n1,P00001,,1.0000001\n")
    assert run_demo(monkeypatch, str(file)) == 3
    errors = capfd.readouterr().err
    assert all(
        f"line {line}, column {column}" in errors
        for line, column in [(2, "quantity"), (3, "product_code"), (3, "unit_price")]
    )


def test_the_demo_without_a_file_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(monkeypatch) == 64
    assert run_demo(monkeypatch, "nowhere.csv") == 1
    assert "there is no such file" in capfd.readouterr().err


def test_the_table_of_the_demo_has_what_it_is_meant_to_show() -> None:
    from payex_billing import reconcile

    with reconcile.read(CHARGES) as table:
        assert table.rejections == []
        rows = [row for _, found in table.rows() for row in found]
    numbers = {row.customer_no for row in rows}
    assert len(rows) >= 200
    assert len(numbers) >= 60
    assert {row.subscription_no is None for row in rows} == {True, False}
    assert all(any(sign in number for number in numbers) for sign in "åäö/& ")
    prices = [row.charge.unit_price for row in rows if row.charge.unit_price is not None]
    assert any(price < 0 for price in prices)
    assert any(price.normalize().as_tuple().exponent == -6 for price in prices)
    assert {row.charge.end_date is None for row in rows} == {True, False}
