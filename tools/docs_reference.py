"""The Python reference of the site: one page for each class, and an overview with the functions and constants."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import payex_billing
import payex_billing_mock
from payex_billing import reconcile, testing

# The public names of payex_billing that are no errors, part by part; a test sees to it that none is missing.
PARTS = {
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


@dataclass(frozen=True)
class ClassPage:
    """The page of one class."""

    part: str
    module: str
    name: str

    @property
    def document(self) -> str:
        """The name of the page, without its suffix."""
        below = self.module.removeprefix("payex_billing").lstrip("._")
        return f"reference/{below}.{self.name}" if below else f"reference/{self.name}"

    @property
    def thing(self) -> type:
        """The class."""
        found = getattr(sys.modules[self.module], self.name)
        assert isinstance(found, type)
        return found

    def text(self) -> Iterator[str]:
        """The page, as Markdown."""
        yield f"# {self.name}\n"
        yield f"[Python reference](../reference.md) / {self.part}\n"
        yield "```{eval-rst}"
        yield f".. autoclass:: {self.module}.{self.name}"
        if issubclass(self.thing, payex_billing.BillingError):
            yield "   :no-members:"
            yield "   :show-inheritance:"
        elif self.thing.__base__ is not object:
            yield "   :inherited-members: Generic"
        yield "```"


def class_pages() -> Iterator[ClassPage]:
    """The page of every public class."""
    for part, module, names in _parts():
        for name in names:
            if isinstance(getattr(sys.modules[module], name), type):
                yield ClassPage(part, module, name)


def overview(pages: list[ClassPage]) -> Iterator[str]:
    """The first page of the reference: every class with its first line, and all that is no class."""
    own = {(page.module, page.name): page for page in pages}
    yield "# Python reference\n"
    yield "Everything that can be imported from `payex_billing`, and from the packages beside it. A class has a page.\n"
    for part, module, names in _parts():
        yield f"## {part}\n"
        classes = [own[module, name] for name in names if (module, name) in own]
        if classes:
            yield "| class | what it is |"
            yield "| --- | --- |"
            yield from (f"| [`{page.name}`]({page.document}.md) | {_first_line(page.thing)} |" for page in classes)
            yield ""
        yield "```{eval-rst}"
        for name in names:
            if (module, name) not in own:
                yield from _directive(module, name)
        yield "```\n"
    yield "```{toctree}"
    yield ":hidden:\n"
    yield from (page.document for page in pages)
    yield "```"


def _parts() -> Iterator[tuple[str, str, list[str]]]:
    """Each part of the reference: its title, its module and its names."""
    for part, names in PARTS.items():
        yield part, "payex_billing", names
    named = {name for names in PARTS.values() for name in names}
    yield "Errors", "payex_billing", [name for name in payex_billing.__all__ if name not in named]
    for module in (reconcile, testing, payex_billing_mock):
        yield module.__name__, module.__name__, list(module.__all__)


def _first_line(thing: type) -> str:
    text = inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def _directive(module: str, name: str) -> Iterator[str]:
    if callable(getattr(sys.modules[module], name)):
        yield f".. autofunction:: {module}.{name}\n"
    else:
        yield f".. autodata:: {module}.{name}"
        yield "   :no-value:\n"
