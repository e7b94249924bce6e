"""The command `learn`: its plan, its guard, and what it writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from contract_tests.description import FILE
from contract_tests.learn.__main__ import main
from contract_tests.learn.variant.choices import as_documented
from contract_tests.learn.variant.gateway import Variant, served

WRITES = ["--ledger", "1234", "--prefix", "CT-", "--allow-writes", "--rate", "1000"]


@pytest.fixture
def variant(monkeypatch: pytest.MonkeyPatch) -> Variant:
    monkeypatch.setenv("PAYEX_TOKEN", "variant-token")
    return Variant({**as_documented(), "name_unit_price": "price", "update": "PUT"})


@pytest.fixture
def origin(variant: Variant) -> Iterator[str]:
    with served(variant) as url:
        yield url


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    return Path(shutil.copy(FILE, tmp_path / "openapi.yaml"))


def test_a_dry_run_shows_the_cost_and_sends_nothing(
    variant: Variant, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--target", origin, "--dry-run"]) == 0
    assert variant.log == []
    assert "at most 150 requests" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["--ledger", "--prefix", "--allow-writes"])
def test_nothing_is_sent_without_the_words_that_allow_writes(variant: Variant, origin: str, missing: str) -> None:
    start = WRITES.index(missing)
    rest = WRITES[:start] + WRITES[start + (1 if missing == "--allow-writes" else 2) :]
    with pytest.raises(SystemExit, match="64"):
        main(["--target", origin, *rest])
    assert variant.log == []


def test_production_needs_its_own_word(variant: Variant) -> None:
    with pytest.raises(SystemExit, match="64"):
        main(["--target", "https://lf-api.payex.com", *WRITES])
    assert variant.log == []


def test_without_write_the_contract_stays_as_it_is(
    origin: str, contract: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--target", origin, "--contract", str(contract), *WRITES]) == 1
    assert contract.read_bytes() == FILE.read_bytes()
    assert "+        price:" in capsys.readouterr().out


def test_write_corrects_the_contract_so_that_the_next_run_agrees(variant: Variant, origin: str, contract: Path) -> None:
    arguments = ["--target", origin, "--contract", str(contract), *WRITES]
    assert main([*arguments, "--write"]) == 1
    corrected = yaml.safe_load(contract.read_text(encoding="utf-8"))
    assert "price" in corrected["components"]["schemas"]["RecurringProduct"]["properties"]
    assert main(arguments) == 0


def test_evidence_and_questions_are_written_on_request_only(origin: str, contract: Path, tmp_path: Path) -> None:
    files = [tmp_path / "evidence.jsonl", tmp_path / "questions.md"]
    main(["--target", origin, "--contract", str(contract), *WRITES])
    assert not [file for file in files if file.exists()]
    main(
        [
            "--target",
            origin,
            "--contract",
            str(contract),
            *WRITES,
            "--evidence",
            str(files[0]),
            "--questions",
            str(files[1]),
        ]
    )
    assert [file for file in files if file.exists()] == files
