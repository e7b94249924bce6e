"""`make docs`: the documentation as a static site in build/site, made of docs/, the docstrings, the commands' help and
the contract. Works offline: nothing in it is loaded from elsewhere.
"""

from __future__ import annotations

import gc
import json
import re
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
import yaml
from docs_reference import ClassPage, class_pages, overview
from payex_billing.cli._commands import payex_billing
from payex_billing.cli._problems import EXPLAINED
from payex_billing_mock.assets import swagger_ui
from sphinx.cmd.build import build_main

ROOT = Path(__file__).parent.parent
WORK, SITE = ROOT / "build" / "docs", ROOT / "build" / "site"
# In the order of the menu: the title of each group, and its pages.
MENU = {
    "Start": ["tutorial"],
    "How to": [
        "howto/credentials", "howto/settings", "howto/library", "howto/nightly", "howto/errors", "howto/testing",
        "howto/going-live", "howto/bad-night", "howto/many-machines", "howto/customer-file", "howto/mock",
        "howto/console", "howto/contract-suite", "howto/first-contact", "howto/json",
    ],
    "Look up": ["reference", "commands", "problems", "contract", "glossary"],
    "Trust": [
        "safety", "provenance", "questions", "first-contact", "contract-score", "guard-score", "change-cost",
        "benchmarks", "architecture", "deprecations", "changelog",
    ],
}  # fmt: skip
LOADING = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*>")  # the tags that _Loader reads
HEADINGS = re.compile(r"^# ")


def main() -> int:
    """Make the site; returns 1 when a page has something wrong."""
    for folder in (WORK, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", WORK)
    for name in ("ARCHITECTURE.md", "CHANGELOG.md"):
        (WORK / name.lower()).write_text(_site_links((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
    pages = list(class_pages())
    (WORK / "reference").mkdir()
    for page in pages:
        (WORK / f"{page.document}.md").write_text("\n".join(page.text()), encoding="utf-8")
    (WORK / "reference.md").write_text("\n".join(overview(pages)), encoding="utf-8")
    (WORK / "commands.md").write_text("\n".join(commands()), encoding="utf-8")
    (WORK / "problems.md").write_text("\n".join(problems()), encoding="utf-8")
    (WORK / "menu.json").write_text(json.dumps(_side_menu(pages)), encoding="utf-8")
    with (WORK / "index.md").open("a", encoding="utf-8") as index:
        index.write("\n".join(_toctrees()))
    _extra(WORK / "extra")
    # The trees of the pages stay until the end: looking for garbage takes a quarter of the time, and finds none.
    gc.disable()
    if build_main(["--builder", "html", "--fail-on-warning", "--keep-going", "--quiet", str(WORK), str(SITE)]):
        return 1
    (SITE / "llms.txt").write_text("\n".join(_for_models()), encoding="utf-8")
    foreign = sorted({link for page in SITE.rglob("*.html") for link in _loads(page) if "://" in link})
    if foreign:
        print(f"The site would load from elsewhere: {', '.join(foreign)}", file=sys.stderr)
        return 1
    print(f"{(SITE / 'index.html').relative_to(ROOT)}: {len(list(SITE.rglob('*.html')))} pages")
    return 0


def commands() -> Iterator[str]:
    """The page of the commands, which sphinx-click makes from the commands themselves."""
    yield "# Commands\n"
    yield "`payex-billing COMMAND --help` shows the same in a terminal. [Settings](howto/settings.md) come from the"
    yield "environment. [The nightly sync](howto/nightly.md#the-job) explains the exit codes.\n"
    context = click.Context(payex_billing)
    yield "| command | what it does |"
    yield "| --- | --- |"
    for name in payex_billing.list_commands(context):
        command = payex_billing.get_command(context, name)
        assert command is not None
        payex_billing.add_command(command, name)  # sphinx-click finds no command that is loaded when it is asked for
        yield f"| [`{name}`](#payex-billing-{name}) | {command.get_short_help_str(limit=100)} |"
    yield "\n```{eval-rst}"
    yield ".. click:: payex_billing.cli._commands:payex_billing"
    yield "   :prog: payex-billing"
    yield "   :nested: full"
    yield "```\n"


def problems() -> Iterator[str]:
    """What each problem type means."""
    yield "# Problems\n"
    yield "What the API answers when it does not do what it was asked, what is raised, whose fault it is, what to do"
    yield "about it, and whether the same request may be sent again."
    yield "`payex-billing problems` says the same in a terminal.\n"
    for code, each in EXPLAINED.items():
        yield f"## {code}\n"
        yield f"{each['means']}\n"
        yield "| | |"
        yield "| --- | --- |"
        yield f"| status | {each['status']} |"
        yield f"| raises | `{each['raises']}` |"
        yield f"| whose fault | {each['whose']} |"
        yield f"| what to do | {each['do']} |"
        yield f"| may it be sent again? | {each['again']} |\n"


def _toctrees() -> Iterator[str]:
    for title, pages in MENU.items():
        yield from ("", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```")
    yield ""


def _side_menu(pages: list[ClassPage]) -> dict[str, object]:
    """What docs/conf.py needs for the menu at the side: the groups, and the classes of each part of the reference."""
    parts: dict[str, list[tuple[str, str]]] = {}
    for page in pages:
        parts.setdefault(page.part, []).append((page.document, page.name))
    return {"groups": MENU, "reference": parts}


def _extra(folder: Path) -> None:
    """The contract as a page of its own, which needs no server: its text is in a script."""
    target = folder / "contract"
    target.mkdir(parents=True)
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        shutil.copy(swagger_ui() / name, target)
    shutil.copy(ROOT / "LICENSE", target / "swagger-ui.LICENSE")  # Swagger UI has the same license
    shutil.copy(ROOT / "tools" / "swagger-ui.NOTICE", target)
    shutil.copy(ROOT / "openapi.yaml", target)
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    settings = "dom_id: '#contract', deepLinking: true, validatorUrl: null, supportedSubmitMethods: []"
    text = json.dumps(document, default=str)
    (target / "contract.js").write_text(
        f'"use strict";\nSwaggerUIBundle({{spec: {text}, {settings}}});\n', encoding="utf-8"
    )
    (target / "index.html").write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Contract – payex-billing</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="swagger-ui.css">'
        '<script src="swagger-ui-bundle.js" defer></script><script src="contract.js" defer></script></head>'
        '<body><p><a href="../index.html">payex-billing</a></p><main id="contract"></main></body></html>\n',
        encoding="utf-8",
    )


def _for_models() -> Iterator[str]:
    """llms.txt: what is where, for programs that read documentation, and the pages' text below it."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    yield "# payex-billing\n"
    yield "> " + " ".join(index.split("\n\n")[1].split()) + "\n"
    titles = {page: _title(page) for pages in MENU.values() for page in pages}
    for title, pages in MENU.items():
        yield f"## {title}\n"
        yield from (f"- [{titles[page]}]({page}.html)" for page in pages)
        yield ""
    for page in (*MENU["Start"], *MENU["How to"], "problems"):
        yield _page(page)
    yield "# Commands\n"
    yield from _help(payex_billing, ["payex-billing"])


def _help(command: click.Command, path: list[str]) -> Iterator[str]:
    """What `--help` prints, of a command and of those below it."""
    context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
    yield from (f"## {' '.join(path)}\n", "```text", command.get_help(context), "```\n")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _help(below, [*path, name])


def _page(name: str) -> str:
    return (WORK / f"{name}.md").read_text(encoding="utf-8")


def _title(page: str) -> str:
    return HEADINGS.sub("", next(line for line in _page(page).splitlines() if HEADINGS.match(line)))


def _site_links(text: str) -> str:
    """Links of a page at the top of the repository, for the site."""
    text = re.sub(r"\]\(docs/([^)]+)\)", r"](\1)", text)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#|[a-z-]+\.md)[^)]+\)", r"\1", text)


class _Loader(HTMLParser):
    """Collects what a page loads, as opposed to what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Look at a tag."""
        given = dict(attributes)
        if tag in {"script", "img", "iframe", "source"} and given.get("src"):
            self.found.append(str(given["src"]))
        if tag == "link" and given.get("rel") not in {"search", "index", "next", "prev", "canonical"}:
            self.found.append(str(given.get("href")))


def _loads(page: Path) -> list[str]:
    loader = _Loader()
    loader.feed("".join(LOADING.findall(page.read_text(encoding="utf-8"))))
    return [each for each in loader.found if not each.startswith("data:")]


if __name__ == "__main__":
    sys.exit(main())
