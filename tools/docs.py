"""`make docs`: the documentation as a static site in build/site, made of docs/, the docstrings, the commands' help and
the contract. Works offline: nothing in it is loaded from elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
import payex_billing
import payex_billing_mock
import yaml
from payex_billing import reconcile, testing
from payex_billing.cli import _commands
from payex_billing.cli._problems import EXPLAINED
from payex_billing_mock.assets import swagger_ui

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
    "Look up": ["reference", "commands", "problems", "contract"],
    "Trust": [
        "safety", "provenance", "questions", "first-contact", "contract-score", "guard-score", "change-cost",
        "benchmarks", "architecture", "deprecations", "changelog",
    ],
}  # fmt: skip
# The public names, group by group; a test sees to it that none is missing.
GROUPS = {
    "Clients": ["Billing", "AsyncBilling", "Settings"],
    "Routes": [
        "CustomerHandle", "SubscriptionsHandle", "SubscriptionHandle", "RecurringProductsHandle",
        "AsyncCustomerHandle", "AsyncSubscriptionsHandle", "AsyncSubscriptionHandle", "AsyncRecurringProductsHandle",
    ],
    "Values": [
        "Customer", "Subscription", "Charge", "RecurringProduct", "CustomerCharge", "Operation", "JsonValue", "UNSET",
        "Unset",
    ],
    "What a client tells": ["ResponseInfo", "RecordedWrite", "__version__"],
    "Lost creations": ["LostCreation", "NaturalKey", "LookUpResult", "Outcome"],
    "Transports": ["Transport", "AsyncTransport", "Request", "Response", "Failure"],
}  # fmt: skip
HEADINGS = re.compile(r"^# ")


def main() -> int:
    """Make the site; returns 1 when a page has something wrong."""
    for folder in (WORK, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", WORK)
    for name in ("ARCHITECTURE.md", "CHANGELOG.md"):
        (WORK / name.lower()).write_text(_site_links((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
    (WORK / "reference.md").write_text("\n".join(reference()), encoding="utf-8")
    (WORK / "commands.md").write_text("\n".join(commands()), encoding="utf-8")
    (WORK / "problems.md").write_text("\n".join(problems()), encoding="utf-8")
    with (WORK / "index.md").open("a", encoding="utf-8") as index:
        index.write("\n".join(_menu()))
    _extra(WORK / "extra")
    command = (sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet")
    result = subprocess.run([*command, str(WORK), str(SITE)], cwd=ROOT, check=False)
    if result.returncode:
        return 1
    (SITE / "llms.txt").write_text("\n".join(_for_models()), encoding="utf-8")
    foreign = sorted({link for page in SITE.rglob("*.html") for link in _loads(page) if "://" in link})
    if foreign:
        print(f"The site would load from elsewhere: {', '.join(foreign)}", file=sys.stderr)
        return 1
    print(f"{(SITE / 'index.html').relative_to(ROOT)}: {len(list(SITE.rglob('*.html')))} pages")
    return 0


def reference() -> Iterator[str]:
    """The Python reference, from docstrings."""
    yield "# Python reference\n"
    yield "Everything that can be imported from `payex_billing`, and from the packages beside it.\n"
    named = [*GROUPS.items(), ("Errors", _errors())]
    for title, names in named:
        yield f"## {title}\n"
        yield from _directives("payex_billing", names)
    for module, title in ((reconcile, "payex_billing.reconcile"), (testing, "payex_billing.testing")):
        yield f"## {title}\n"
        yield from _directives(title, list(module.__all__))
    yield "## payex_billing_mock\n"
    yield from _directives("payex_billing_mock", list(payex_billing_mock.__all__))


def _errors() -> list[str]:
    grouped = {name for names in GROUPS.values() for name in names}
    return [name for name in payex_billing.__all__ if name not in grouped]


def _directives(module: str, names: list[str]) -> Iterator[str]:
    """What autodoc makes of each name."""
    yield "```{eval-rst}"
    for name in names:
        thing = getattr(sys.modules[module], name)
        if isinstance(thing, type):
            yield f".. autoclass:: {module}.{name}"
            if issubclass(thing, payex_billing.BillingError):
                yield "   :no-members:"
                yield "   :show-inheritance:"
            elif thing.__base__ is not object:
                yield "   :inherited-members: Generic"
        elif callable(thing):
            yield f".. autofunction:: {module}.{name}"
        else:
            yield f".. autodata:: {module}.{name}"
            yield "   :no-value:"
        yield ""
    yield "```\n"


def commands() -> Iterator[str]:
    """The commands, as their help says."""
    yield "# Commands\n"
    yield "Every command takes `--help`. Settings come from the [environment](howto/credentials.md).\n"
    yield from _command(_commands.payex_billing, ["payex-billing"])


def _command(command: click.Command, path: list[str]) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
    yield f"## {' '.join(path)}\n"
    yield "```text"
    yield command.get_help(context)
    yield "```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _command(below, [*path, name])


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


def _menu() -> Iterator[str]:
    for title, pages in MENU.items():
        yield from ("", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```")
    yield ""


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
    for page in (*MENU["Start"], *MENU["How to"], "problems", "commands"):
        yield _page(page)


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
    loader.feed(page.read_text(encoding="utf-8"))
    return [each for each in loader.found if not each.startswith("data:")]


if __name__ == "__main__":
    sys.exit(main())
