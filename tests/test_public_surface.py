"""What is public: names, the error tree, the two facades as twins, and what an import costs."""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.util
import inspect
import json
import pickle
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import payex_billing as pb
import payex_billing_mock
import pytest
from payex_billing import errors

from tests.support import ROOT

PUBLIC = {
    "AlreadyExists", "AnswerLost", "AsyncBilling", "AsyncCustomerHandle", "AsyncRecurringProductsHandle",
    "AsyncSubscriptionHandle", "AsyncSubscriptionsHandle", "AsyncTransport", "Attempt", "Billing",
    "BillingError", "CertificateRejected", "Charge", "ChargeChange", "ChargeContent", "ConfigurationError", "ConflictingCharge",
    "Customer", "CustomerAlreadyExists", "CustomerCharge", "CustomerHandle", "CustomerNotFound", "DeadlineExceeded", "Failure", "Forbidden", "InvalidArgument", "JsonValue",
    "LedgerNotConfigured", "LookUpResult", "LostCreation", "MalformedResponse", "NaturalKey", "NeverSent", "NotFound", "NotSupported",
    "Operation", "Outcome",
    "OutcomeUnknown", "Phase", "Problem", "ProblemError", "RateLimited", "RecordedWrite", "RecurringProduct",
    "RecurringProductNotFound", "RecurringProductsHandle", "Request", "RequestRefused", "Response", "ResponseInfo", "ServerFailed",
    "ServiceUnavailable",
    "Settings", "Subscription", "SubscriptionAlreadyExists", "SubscriptionHandle", "SubscriptionNotFound",
    "SubscriptionsHandle", "Transport", "TransportError", "UNSET", "Unauthorized", "UnexpectedStatus", "Unprocessable",
    "UnsafeLink", "Unset", "ValidationFailed", "__version__",
}  # fmt: skip
ERRORS = [getattr(errors, name) for name in errors.__all__ if name not in {"Attempt", "Phase", "Problem"}]


def test_the_public_names_are_these() -> None:
    assert set(pb.__all__) == PUBLIC
    assert all(hasattr(pb, name) for name in pb.__all__)


def test_a_name_is_loaded_from_where_a_type_checker_finds_it() -> None:
    tree = ast.parse((ROOT / "wrapper" / "payex_billing" / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and node.level]
    imported = {name: node.module for node in imports for alias in node.names for name in names_of(node.module, alias)}
    assert imported == pb._HOME_OF
    assert set(imported) == PUBLIC


def names_of(module: str, alias: ast.alias) -> list[str]:
    """The names that an import brings: a star brings those that the module lists."""
    if alias.name != "*":
        return [alias.name]
    listed: list[str] = importlib.import_module(f"payex_billing.{module}").__all__
    return listed


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        pb.Nothing  # noqa: B018
    assert set(dir(pb)) >= PUBLIC


def test_the_version_is_the_one_of_the_project() -> None:
    from importlib.metadata import version

    assert version("payex-billing") == pb.__version__


@pytest.mark.parametrize("module", ["config", "errors", "models", "reconcile", "testing"])
def test_a_public_module_is_there_after_a_plain_import(module: str) -> None:
    assert f"payex_billing.{module}" in loaded_by(f"import payex_billing\npayex_billing.{module}.__all__")


@pytest.mark.parametrize("package", [pb, payex_billing_mock], ids=lambda package: package.__name__)
def test_every_public_name_is_listed_once_and_sorted(package: Any) -> None:
    names = package.__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), name))


def test_every_public_module_has_a_sorted_all() -> None:
    for module in pkgutil.iter_modules(pb.__path__, "payex_billing."):
        if not module.name.rpartition(".")[2].startswith("_"):
            names = importlib.import_module(module.name).__all__
            assert names == sorted(names, key=lambda name: (not name.isupper(), name)), module.name


def test_every_public_name_has_a_docstring() -> None:
    undocumented = [
        name
        for name in PUBLIC - {"JsonValue", "Unset", "UNSET", "__version__"}
        if not inspect.getdoc(getattr(pb, name))
    ]
    assert undocumented == []


def test_every_public_method_has_a_docstring() -> None:
    missing = [
        f"{name}.{method}"
        for name in PUBLIC
        if inspect.isclass(getattr(pb, name))
        for method, function in vars(getattr(pb, name)).items()
        if not method.startswith("_") and callable(function) and not inspect.getdoc(function)
    ]
    assert missing == []


# errors


def drawn_tree() -> dict[str, str | None]:
    """Each class and its parent, as the docstring of errors.py draws them."""
    parents: dict[str, str | None] = {}
    stack: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([\s│]*(?:[├└]── )?)([A-Z]\w+)(?=$|\s{2,}|\s*$)", line)
        if match and hasattr(errors, match[2]):
            depth = len(match[1])
            while stack and stack[-1][0] >= depth:
                stack.pop()
            parents[match[2]] = stack[-1][1] if stack else None
            stack.append((depth, match[2]))
    return parents


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    actual = {
        error.__name__: next((base.__name__ for base in error.__mro__[1:] if base in ERRORS), None) for error in ERRORS
    }
    assert drawn_tree() == actual


def example_of(error: type[pb.BillingError]) -> pb.BillingError:
    attempts = (pb.Attempt(pb.Phase.ANSWERED, status=503, wait=1.0), pb.Attempt(pb.Phase.ANSWER_LOST, failure="reset"))
    if issubclass(error, pb.ProblemError):
        problem = pb.Problem(409, code="x", title="T", problems={"a": "b"})
        return error(problem, operation="op", attempts=attempts, retry_after=2.5)
    if issubclass(error, pb.InvalidArgument):
        return error("customer_no", "must not be empty")
    if issubclass(error, pb.OutcomeUnknown):
        lost = pb.LostCreation(key=pb.NaturalKey(customer_no="1"), sent_at=1_800_000_000.0, known={"a"})
        return error("lost", lost=lost, operation="op", attempts=attempts, problem=pb.Problem(500))
    if issubclass(error, pb.MalformedResponse):
        return error("bad", operation="op", attempts=attempts, status=200)
    if issubclass(error, pb.TransportError):
        return error("lost", operation="op", attempts=attempts)
    return error("message")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_pickles_copies_and_deepcopies(error: type[pb.BillingError]) -> None:
    original = example_of(error)
    for twin in (pickle.loads(pickle.dumps(original)), copy.copy(original), copy.deepcopy(original)):
        assert type(twin) is error
        assert str(twin) == str(original)
        assert twin.args == original.args
        assert vars(twin) == vars(original)


def test_an_error_tells_how_often_it_was_tried() -> None:
    assert str(example_of(pb.AnswerLost)) == "op: lost (after 2 attempts)"


def test_every_problem_type_of_the_contract_has_a_class() -> None:
    from payex_billing._policy.problems import BY_CODE, BY_STATUS

    types = payex_billing_mock.load_contract().problem_types
    # 405, 413 and 415 are a client's own mistake that this client does not make; their status is enough.
    plain = {"method-not-allowed", "content-too-large", "unsupported-media-type"}
    assert set(BY_CODE) == set(types) - plain
    assert {types[code].status for code in BY_CODE} == set(BY_STATUS)


# the facades


def twins() -> list[tuple[type, type]]:
    names = [name.removeprefix("Async") for name in PUBLIC if name.startswith("Async")]
    names.remove("Transport")  # a protocol, with words of its own for each
    return [(getattr(pb, name), getattr(pb, f"Async{name}")) for name in sorted(names)]


def neutral(signature: inspect.Signature) -> str:
    return re.sub(r"\bAsync(?=[A-Z])", "", str(signature))


@pytest.mark.parametrize(("blocking", "asynchronous"), twins(), ids=lambda kind: kind.__name__)
def test_both_facades_have_the_same_methods_with_the_same_signatures(blocking: type, asynchronous: type) -> None:
    def surface(kind: type) -> dict[str, str]:
        return {
            name: neutral(inspect.signature(member)) if callable(member) else type(member).__name__
            for name, member in vars(kind).items()
            if not name.startswith("_") or name == "__init__"
        }

    assert surface(asynchronous) == surface(blocking)


def test_both_facades_are_documented_with_the_same_words() -> None:
    for blocking, asynchronous in twins():
        for name, member in vars(blocking).items():
            if not name.startswith("_") and callable(member):
                assert inspect.getdoc(vars(asynchronous)[name]) == inspect.getdoc(member), name


# imports


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout))


HEAVY = {
    "httpx", "httpcore", "httpx2", "httpcore2", "anyio", "asyncio", "ssl", "click", "rich", "granian", "jsonschema_rs", "yaml", "starlette",
    "opentelemetry", "duckdb", "pyreqwest", "polars", "payex_billing_mock", "payex_billing_client", "email.utils",
}  # fmt: skip


def test_importing_the_package_loads_no_http_library() -> None:
    assert loaded_by("import payex_billing") & HEAVY == set()


def test_values_errors_and_settings_load_no_http_library() -> None:
    light = {"errors", "models", "config", "_transport"}
    names = ", ".join(sorted(name for name, module in pb._HOME_OF.items() if module in light))
    assert loaded_by(f"from payex_billing import {names}") & HEAVY == set()


def test_making_a_client_loads_neither_mock_nor_command_line() -> None:
    loaded = loaded_by("import payex_billing\npayex_billing.Billing(token='t', owner_no='1', engine='httpx').close()")
    assert "httpx2" in loaded
    assert loaded & {"httpx", "granian", "jsonschema_rs", "yaml", "payex_billing_mock", "payex_billing.cli"} == set()


def test_the_command_line_starts_without_an_http_library() -> None:
    assert loaded_by("import payex_billing.cli._commands") & (HEAVY - {"click"}) == set()


def test_the_client_needs_nothing_but_attrs_httpx2_and_msgspec() -> None:
    """Every import outside the extras' own folders is of the standard library, attrs, httpx2, msgspec or ourselves."""
    allowed = set(sys.stdlib_module_names) | {"attrs", "httpx2", "payex_billing", "payex_billing_client"}
    files = [
        path
        for folder in ("wrapper/payex_billing", "generated_client/payex_billing_client")
        for path in (ROOT / folder).rglob("*.py")
        if not {"cli", "testing", "reconcile"} & set(path.parts)
    ]
    assert len(files) > 30
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            extra = {
                "_httpx2.py": {"httpcore2"},
                "httpx2.py": {"httpcore2"},
                "_network.py": {"httpcore2"},
                "_reqwest.py": {"pyreqwest"},
                "json.py": {"msgspec"},
                "_pytest_plugin.py": {"pytest"},
                "tls.py": {"cryptography"},
                "telemetry.py": {"opentelemetry"},
            }.get(path.name, set())
            assert {name.partition(".")[0] for name in names} <= allowed | extra, path


def test_no_module_is_longer_than_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("wrapper", "mock_server", "contract_tests", "tools")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400 and path.name != "_contract.py"
    }
    assert long == {}


def _annotations(thing: Any) -> Iterator[tuple[str, str]]:
    """Every annotation that a user can meet, as it is written, with where it stands."""
    if inspect.isfunction(thing):
        yield from ((f"{thing.__qualname__}({name})", str(note)) for name, note in thing.__annotations__.items())
    elif isinstance(thing, type):
        yield from (
            (f"{thing.__name__}.{name}", str(note)) for name, note in vars(thing).get("__annotations__", {}).items()
        )
        for name, member in vars(thing).items():
            if name.startswith("_") and name != "__init__":
                continue
            found = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(found):
                yield from _annotations(found)


def test_no_public_annotation_is_any() -> None:
    from payex_billing import reconcile, testing

    vague = [
        where
        for module in (pb, reconcile, testing)
        for name in module.__all__
        for where, note in _annotations(getattr(module, name))
        if re.search(r"\bAny\b", note) and not where.rpartition(".")[2].startswith("_")
    ]
    # One exception class serves both facades, and one of them must await: `billing.look_up` has the exact types.
    assert vague == ["OutcomeUnknown.look_up(return)"]


def test_what_the_benchmarks_and_examples_import_from_the_package_exists() -> None:
    missing = []
    for path in sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "examples").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "payex_billing":
                module = importlib.import_module(node.module or "")
                missing += [f"{path.name}: {name.name}" for name in node.names if not _has(module, name.name)]
    assert missing == []


def _has(module: ModuleType, name: str) -> bool:
    return hasattr(module, name) or importlib.util.find_spec(f"{module.__name__}.{name}") is not None
