"""`make generate` and `make check-generated`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support import ROOT

CLIENT = Path("generated_client/payex_billing_client")
PACKAGE = Path("wrapper/payex_billing")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What generation needs of the repository, to be broken at will."""
    for name in ("openapi.yaml", "generator-config.yml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / CLIENT, tmp_path / CLIENT, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "provenance.md", tmp_path / "docs")
    return tmp_path


def generate(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "generate.py"), "--root", str(root), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_generating_again_changes_nothing(checkout: Path) -> None:
    before = contents(checkout)
    assert generate(checkout).returncode == 0
    assert contents(checkout) == before


def test_the_stamp_names_contract_generator_and_formatter(checkout: Path) -> None:
    stamp = json.loads((checkout / CLIENT / "_generated.json").read_text())
    assert stamp["contract_sha256"] == sha256((checkout / "openapi.yaml").read_bytes()).hexdigest()
    assert {"openapi-python-client", "ruff"} <= stamp.keys()


def test_the_client_is_typed(checkout: Path) -> None:
    assert (checkout / CLIENT / "py.typed").is_file()


def test_the_check_passes_on_the_committed_client(checkout: Path) -> None:
    result = generate(checkout, "--check")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "change", ["contract", "client", "added file", "page", "asynchronous client", "blocking client", "added twin"]
)
def test_the_check_fails_on_drift_and_says_what_to_run(checkout: Path, change: str) -> None:
    match change:
        case "contract":
            edit(checkout / "openapi.yaml", "maxLength: 73", "maxLength: 74")
        case "client":
            edit(checkout / CLIENT / "models" / "customer.py", "customer_no", "customer_number")
        case "added file":
            (checkout / CLIENT / "by_hand.py").touch()
        case "page":
            edit(checkout / "docs" / "provenance.md", "inferred", "known")
        case "asynchronous client":
            edit(checkout / PACKAGE / "_async" / "routes.py", "settle: float = 60.0", "settle: float = 61.0")
        case "blocking client":
            edit(checkout / PACKAGE / "_sync" / "routes.py", "settle: float = 60.0", "settle: float = 61.0")
        case "added twin":
            (checkout / PACKAGE / "_sync" / "by_hand.py").touch()
    before = contents(checkout)

    result = generate(checkout, "--check")

    assert result.returncode == 1
    assert "Run `make generate`" in result.stderr
    assert contents(checkout) == before


def test_the_blocking_client_follows_the_asynchronous_one(checkout: Path) -> None:
    edit(checkout / PACKAGE / "_async" / "routes.py", "settle: float = 60.0", "settle: float = 61.0")
    (checkout / PACKAGE / "_sync" / "by_hand.py").touch()
    assert generate(checkout).returncode == 0
    derived = (checkout / PACKAGE / "_sync" / "routes.py").read_text(encoding="utf-8")
    assert "settle: float = 61.0" in derived
    assert "async" not in derived.split("\n", 1)[1]
    assert not (checkout / PACKAGE / "_sync" / "by_hand.py").exists()


def test_a_derived_file_names_its_source_first() -> None:
    for path in (ROOT / PACKAGE / "_sync").glob("*.py"):
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        assert first == f"# Made by `make generate` from {PACKAGE.as_posix()}/_async/{path.name}: edit that file."


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gathered = asyncio.gather", r"driver.py, line \d+: `asyncio` has no blocking twin"),
        ("def await_(: pass", "is not Python"),
    ],
)
def test_what_has_no_blocking_twin_is_named_and_changes_nothing(checkout: Path, line: str, said: str) -> None:
    driver = checkout / PACKAGE / "_async" / "driver.py"
    driver.write_text(f"{driver.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    before = contents(checkout)

    result = generate(checkout)

    assert result.returncode == 1
    assert re.search(said, result.stderr), result.stderr
    assert "Traceback" not in result.stderr
    assert contents(checkout) == before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("openapi: 3.1.0", "openapi: [", "cannot be read"),
        ("openapi: 3.1.0", "openapi: 3.1.0\npaths: nonsense\nx: &x", "cannot be read|not valid"),
        ("operationId: get_customer\n", "operationId: 7\n", "not valid OpenAPI"),
        ("#/components/schemas/Customer'", "#/components/schemas/Nobody'", "Nobody"),
        ("x-provenance: {level: documented, source: customer}", "x-nothing: 1", "no x-provenance"),
    ],
)
def test_a_broken_contract_is_named_and_leaves_the_client_alone(checkout: Path, old: str, new: str, said: str) -> None:
    edit(checkout / "openapi.yaml", old, new)
    before = contents(checkout)

    result = generate(checkout)

    assert result.returncode == 1
    assert any(part in result.stderr for part in said.split("|")), result.stderr
    assert "Traceback" not in result.stderr
    assert contents(checkout) == before


def test_an_empty_contract_is_named(checkout: Path) -> None:
    (checkout / "openapi.yaml").write_text("")
    result = generate(checkout)
    assert result.returncode == 1
    assert "openapi.yaml is not an OpenAPI document" in result.stderr
