"""The corrections of statuses and problem types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..description import Contract
from ..routes import PROBLEM
from .claims import Contradiction
from .engine import Answer
from .rule_texts import EVIDENCE
from .text_edits import NoSuchPlace, YamlText, parse

RESPONSES = ("components", "responses")
EXAMPLES = ("components", "examples")
Answers = Mapping[str, Answer]
# The response that has the problems of a status beside its own.
SHARED = {"400": "ValidationFailed", "422": "Unprocessable"}


def _operations(document: YamlText) -> Iterator[tuple[str, str, str]]:
    """Yield the path, the method and the id of each operation."""
    for operation in Contract(parse(document.text)).operations.values():
        yield operation.path, operation.method.lower(), operation.operation_id


def _reference(name: str) -> str:
    return f"{{$ref: '#/components/responses/{name}'}}"


def _move(document: YamlText, path: str, method: str, old: str, new: str) -> None:
    """Give a response another status; if the operation has that status already, only remove the old one."""
    place = ("paths", path, method, "responses")
    if not document.has(*place, old):
        raise NoSuchPlace(old)
    if document.has(*place, new):
        document.remove((*place, old))
    else:
        document.rename((*place, old), new)


def create_status(document: YamlText, found: Contradiction, _: Answers) -> None:
    """Change the status of creations."""
    for path, method, name in list(_operations(document)):
        if name.startswith("create_"):
            _move(document, path, method, found.claim, found.answer)


def update_status(document: YamlText, found: Contradiction, _: Answers) -> None:
    """Change the status of changes; 204 has no body."""
    if found.answer == "204":
        document.add_after(
            (*RESPONSES, "Deleted"),
            f"Updated:\n  description: The charge was changed. No body.\n  x-provenance: {EVIDENCE}",
        )
    for path, method, name in list(_operations(document)):
        if name.startswith("update_"):
            _move(document, path, method, found.claim, found.answer)
            if found.answer == "204":
                document.replace(("paths", path, method, "responses", "204"), _reference("Updated"))


def delete_status(document: YamlText, found: Contradiction, _: Answers) -> None:
    """Change the status of removals."""
    for path, method, name in list(_operations(document)):
        if name.startswith("delete_"):
            _move(document, path, method, found.claim, found.answer)


def duplicate(document: YamlText, found: Contradiction, _: Answers) -> None:
    """Change status and problem type of a creation whose number is taken."""
    kind = found.key.removeprefix("duplicate-")
    new, _blank, code = found.answer.partition(" ")
    old, _blank, declared = found.claim.partition(" ")
    response, example = f"{kind.capitalize()}AlreadyExists", f"{kind.capitalize()}AlreadyExistsProblem"
    code = code or declared
    if code != declared:
        _rename_type(document, declared, code, example)
    if new == old:
        return
    path, method = next((path, method) for path, method, name in _operations(document) if name == f"create_{kind}")
    document.replace((*EXAMPLES, example, "value", "status"), new)
    if code != "validation":
        document.replace(("x-problem-types", code, "status"), new)
    _move(document, path, method, old, new)
    if new in SHARED:
        document.remove((*RESPONSES, response))
        _add_example(document, SHARED[new], response[0].lower() + response[1:], example)


def _rename_type(document: YamlText, old: str, new: str, example: str) -> None:
    prefix = document.value(*EXAMPLES, example, "value", "type").removesuffix(old)
    document.replace((*EXAMPLES, example, "value", "type"), f"{prefix}{new}")
    if document.has("x-problem-types", new):
        document.remove(("x-problem-types", old))
        title = document.value("x-problem-types", new, "title")
        document.replace((*EXAMPLES, example, "value", "title"), title)
    else:
        document.rename(("x-problem-types", old), new)


def _add_example(document: YamlText, response: str, key: str, example: str) -> None:
    examples = (*RESPONSES, response, "content", PROBLEM, "examples")
    line = f"{key}: {{$ref: '#/components/examples/{example}'}}"
    document.add_after((*examples, document.keys(*examples)[-1]), line)


def missing_charge(document: YamlText, found: Contradiction, _: Answers) -> None:
    """Change the status of a charge that does not exist."""
    new = found.answer.partition(" ")[0]
    if new != "410":
        raise NoSuchPlace(new)
    for name in ("RecurringProductNotFound", "SubscriptionRecurringProductNotFound"):
        document.remove((*RESPONSES, name, "content", PROBLEM, "examples", "recurringProductNotFound"))
    document.add_after(
        (*RESPONSES, "SubscriptionRecurringProductNotFound"),
        "RecurringProductGone:\n"
        "  description: The charge does not exist.\n"
        f"  x-provenance: {EVIDENCE}\n"
        "  content:\n"
        f"    {PROBLEM}:\n"
        "      schema: {$ref: '#/components/schemas/Problem'}\n"
        "      examples:\n"
        "        gone: {$ref: '#/components/examples/RecurringProductNotFoundProblem'}",
    )
    for path, method, _name in list(_operations(document)):
        if path.endswith("/{recurringProductId}"):
            line = f"'{new}': {_reference('RecurringProductGone')}"
            document.add_after(("paths", path, method, "responses", "404"), line)
    document.replace((*EXAMPLES, "RecurringProductNotFoundProblem", "value", "status"), new)
    document.replace(("x-problem-types", "recurring-product-not-found", "status"), new)


def validation(document: YamlText, found: Contradiction, _: Answers) -> None:
    """Change the status of a request that breaks the contract."""
    new, old = found.answer.partition(" ")[0], found.claim.partition(" ")[0]
    if new not in SHARED:
        raise NoSuchPlace(new)
    for path, method, _name in list(_operations(document)):
        _move(document, path, method, old, new)
    _add_example(document, SHARED[new], "validation", "ValidationProblem")
    document.replace((*EXAMPLES, "ValidationProblem", "value", "status"), new)
    document.replace(("x-problem-types", "validation", "status"), new)
    # What was refused with the old status beside it moves along.
    for name in document.keys(*RESPONSES, SHARED[old], "content", PROBLEM, "examples"):
        if name != "validation":
            document.remove((*RESPONSES, SHARED[old], "content", PROBLEM, "examples", name))
