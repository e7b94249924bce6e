"""`make docs`: the site is whole, and needs nothing from elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import payex_billing
import payex_billing_mock
import pytest
from payex_billing import reconcile, testing
from payex_billing.cli._problems import EXPLAINED

from tests.browser import keep, open_page
from tests.support import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made in a copy, so that no other test's is in the way."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("docs", "tools", "openapi.yaml", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    made = subprocess.run([sys.executable, "tools/docs.py"], cwd=copy, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return copy / "build" / "site"


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = text(site / "reference.html")
    modules: list[Any] = [payex_billing, reconcile, testing, payex_billing_mock]
    missing = [
        f"{module.__name__}.{name}"
        for module in modules
        for name in module.__all__
        if f'id="{module.__name__}.{name}"' not in page
    ]
    assert missing == []


def test_every_command_and_every_problem_has_its_place(site: Path) -> None:
    commands, problems = text(site / "commands.html"), text(site / "problems.html")
    for name in ("plan", "apply", "doctor", "mock", "charges add", "problems"):
        assert f"payex-billing {name}" in commands
    for code in EXPLAINED:
        assert f'id="{code}"' in problems


def test_programs_that_read_documentation_find_it(site: Path) -> None:
    page = text(site / "llms.txt")
    assert page.startswith("# payex-billing\n")
    for name in ("tutorial", "howto/nightly", "howto/errors", "reference", "problems"):
        assert f"({name}.html)" in page
        assert (site / f"{name}.html").is_file()


@pytest.fixture
def page() -> Iterator[Any]:
    with open_page(("file:", "data:", "blob:")) as opened:
        yield opened


def test_it_is_read_from_files_without_a_network(site: Path, page: Any) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="Tutorial").first.click()
    page.get_by_role("heading", name="Start the mock").wait_for()
    page.goto((site / "contract" / "index.html").as_uri())
    page.get_by_text("/{ownerNo}/customers/{customerNo}", exact=True).first.wait_for()
    keep(page, "docs-contract")
    page.goto((site / "search.html").as_uri() + "?q=OutcomeUnknown")
    page.get_by_role("link", name="payex_billing.OutcomeUnknown", exact=True).wait_for()
