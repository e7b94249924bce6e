"""`make docs`: the site is whole, needs nothing from elsewhere, and can be read by everybody."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import payex_billing
import payex_billing_mock
import pytest
from payex_billing import reconcile, testing
from payex_billing.cli import _commands
from payex_billing.cli._problems import EXPLAINED

from tests.browser import LOOKS, barriers, keep, low_contrast, open_browser, open_page, show
from tests.support import ROOT

# A page of each kind: the first one, prose with code, a class, a chart, wide tables.
KINDS = ["index", "howto/bad-night", "reference/Billing", "benchmarks", "provenance"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made once in a copy of the project, for all processes of the tests."""
    own = tmp_path_factory.getbasetemp()
    copy = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "site"
    made = copy / "build" / "site"
    with (copy.parent / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if copy.exists():
            assert (made / "llms.txt").is_file(), "another process of the tests could not make the site"
            return made
        copy.mkdir()
        for name in ("docs", "tools", "openapi.yaml", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        making = (sys.executable, "tools/docs.py")
        result = subprocess.run(making, cwd=copy, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    return made


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def readable(page: Path) -> str:
    """The text of a page without its tags."""
    return re.sub(r"<[^>]+>", "", text(page))


def commands() -> Iterator[str]:
    """Every command and every command below it."""

    def below(command: click.Command, path: list[str]) -> Iterator[str]:
        yield " ".join(path)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found
                yield from below(found, [*path, name])

    yield from below(_commands.payex_billing, ["payex-billing"])


# what is there


def test_every_public_class_has_a_page_and_every_other_public_name_a_place(site: Path) -> None:
    modules: list[Any] = [payex_billing, reconcile, testing, payex_billing_mock]
    overview, missing = text(site / "reference.html"), []
    for module in modules:
        for name in module.__all__:
            qualified = f"{module.__name__}.{name}"
            page = overview
            if isinstance(getattr(module, name), type):
                below = module.__name__.removeprefix("payex_billing").lstrip("._")
                file = site / "reference" / f"{below}.{name}.html".lstrip(".")
                page = text(file) if file.is_file() else ""
                assert f'href="{file.relative_to(site)}"' in overview
            if f'id="{qualified}"' not in page:
                missing.append(qualified)
    assert missing == []


def test_the_types_of_arguments_are_in_their_descriptions(site: Path) -> None:
    page = readable(site / "reference" / "Billing.html")
    assert "owner_no=None" in page
    assert "owner_no (str | None) – the ledger number" in page
    assert "max_concurrency (int | None)" in page


def test_every_command_and_every_problem_has_its_place(site: Path) -> None:
    page = text(site / "commands.html")
    every = list(commands())
    assert {"payex-billing apply", "payex-billing charges add", "payex-billing runs show"} <= set(every)
    assert [path for path in every if f'id="{path.replace(" ", "-")}"' not in page] == []
    assert "--approve" in page
    problems = text(site / "problems.html")
    for code in EXPLAINED:
        assert f'id="{code}"' in problems


def test_the_first_page_shows_how_to_begin(site: Path) -> None:
    page = text(site / "index.html")
    assert "pip install payex-billing" in readable(site / "index.html")
    assert "Billing.from_env" in readable(site / "index.html")
    assert 'src="_images/plan.svg"' in page
    body = page[page.index("<article") :]
    for target in ("tutorial", "safety", "howto/bad-night", "first-contact", "howto/first-contact", "glossary"):
        assert f'href="{target}.html"' in body, target


def test_no_page_tells_readers_what_only_maintainers_need(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name not in {"changelog.html", "architecture.html"}]
    assert [page.name for page in pages if "do not edit" in text(page)] == []


def test_programs_that_read_documentation_find_it(site: Path) -> None:
    page = text(site / "llms.txt")
    assert page.startswith("# payex-billing\n")
    for name in ("tutorial", "howto/nightly", "howto/errors", "reference", "problems", "commands", "glossary"):
        assert f"({name}.html)" in page
        assert (site / f"{name}.html").is_file()
    assert "payex-billing charges add" in page


# what is seen


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with open_page(("file:", "data:", "blob:"), browser=browser) as opened:
        yield opened


def visit(page: Any, site: Path, name: str) -> None:
    page.goto((site / f"{name}.html").as_uri())


OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
HIDDEN = """[...document.querySelectorAll(".table-wrapper")].filter((each) => each.scrollWidth > each.clientWidth)
    .map((each) => each.innerText.slice(0, 60))"""


def test_it_is_read_from_files_without_a_network(site: Path, page: Any) -> None:
    visit(page, site, "index")
    page.get_by_role("link", name="Tutorial").first.click()
    page.get_by_role("heading", name="Start the mock").wait_for()
    visit(page, site, "contract/index")
    page.get_by_text("/{ownerNo}/customers/{customerNo}", exact=True).first.wait_for()
    keep(page, "docs-contract")
    page.goto((site / "search.html").as_uri() + "?q=OutcomeUnknown")
    page.get_by_role("link", name="payex_billing.OutcomeUnknown", exact=True).wait_for()


def test_the_menu_marks_the_page_and_shows_the_classes_beside_it(site: Path, page: Any) -> None:
    visit(page, site, "reference/Billing")
    menu = page.locator(".sidebar-tree")
    assert menu.locator(".current-page").all_inner_texts() == ["Billing"]
    menu.get_by_role("link", name="AsyncBilling", exact=True).click()
    page.get_by_role("heading", name="AsyncBilling", level=1).wait_for()


def test_the_copy_button_copies_a_command_without_its_prompt(site: Path, page: Any) -> None:
    visit(page, site, "index")
    block = page.locator("article .highlight-console").first
    block.hover()
    block.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied!").or_(page.locator(".copybtn.success")).first.wait_for()
    search = page.locator("input.sidebar-search")
    search.focus()
    page.keyboard.press("Control+V")
    assert search.input_value() == "pip install payex-billing"


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_everybody_can_read_it(site: Path, page: Any, scheme: str, width: int) -> None:
    show(page, scheme, width)
    found: list[str] = []
    for name in KINDS:
        visit(page, site, name)
        keep(page, f"docs-{name.replace('/', '-')}-{scheme}-{width}")
        found += [f"{name}: contrast {each}" for each in low_contrast(page)]
        found += [f"{name}: {each}" for each in (barriers(page) if scheme == "light" else [])]
        if page.evaluate(OVERFLOW) > 0:
            found.append(f"{name}: wider than the window")
    assert found == []


def test_no_page_hides_a_column_at_1400_pixels(site: Path, page: Any) -> None:
    show(page, "light", 1400)
    hidden: dict[str, Any] = {}
    for file in sorted(site.rglob("*.html")):
        name = str(file.relative_to(site).with_suffix(""))
        if '<div class="table-wrapper' in text(file):
            visit(page, site, name)
            if page.evaluate(OVERFLOW) > 0 or page.evaluate(HIDDEN):
                hidden[name] = page.evaluate(HIDDEN)
    assert hidden == {}


def test_numbers_in_tables_end_below_each_other(site: Path, page: Any) -> None:
    show(page, "light", 1400)
    visit(page, site, "benchmarks")
    table = page.locator("table", has_text="GET at 16, bare pyreqwest").first
    # Of the text itself: a paragraph around it is as wide as the cell.
    edges = """(table) => [...table.rows].map((row) => [...row.cells].map((cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell.querySelector("p") ?? cell);
      const { left, right } = range.getBoundingClientRect();
      return [Math.round(left), Math.round(right)];
    }))"""
    rows = table.evaluate(edges)
    assert len(rows) > 10
    assert len({number[1] for _, number in rows}) == 1
    assert len({number[0] for _, number in rows}) > 1, "numbers of different lengths"
    assert len({name[0] for name, _ in rows}) == 1


def test_pictures_follow_the_theme_that_the_reader_chooses(site: Path, page: Any) -> None:
    show(page, "light", 1400)
    for name in ("index", "benchmarks"):
        seen = {}
        for theme in ("light", "dark"):
            visit(page, site, name)
            page.evaluate("(theme) => { document.body.dataset.theme = theme; }", theme)
            picture = page.locator("article img").first
            picture.scroll_into_view_if_needed()
            box = picture.bounding_box()
            # Without the corners, through which the page is seen.
            inside = {"x": box["x"] + 20, "y": box["y"] + 20, "width": box["width"] - 40, "height": box["height"] - 40}
            seen[theme] = page.screenshot(clip=inside)
        assert seen["light"] != seen["dark"], name


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("name", ["images/plan.svg", "benchmarks.svg"])
def test_pictures_can_be_read_on_light_and_on_dark(name: str) -> None:
    style = re.findall(r"<style>(.*?)</style>", text(ROOT / "docs" / name))[0]
    light, dark = style.split("@media(prefers-color-scheme:dark)")
    for rules in (light, dark):
        ground, ink = (re.findall(rf"{what}\{{[^}}]*fill:(#\w+)", rules)[0] for what in ("rect", "text"))
        assert contrast(ground, ink) >= 4.5
        drawn = re.findall(r"\.l\d\{stroke:(#\w+)\}", rules)
        assert len(drawn) == (4 if name == "benchmarks.svg" else 0)
        assert [line for line in drawn if contrast(ground, line) < 3] == []
    # Every text has the ink of the style, and no colour of its own.
    assert re.findall(r"<text[^>]*fill=", text(ROOT / "docs" / name)) == []
