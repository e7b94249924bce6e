"""The backfill, in process."""

from __future__ import annotations

from pathlib import Path

import pytest
from backfill import main
from payex_billing import Charge
from payex_billing.testing import PayexMock


@pytest.fixture
def numbers(payex_mock: PayexMock, tmp_path: Path) -> Path:
    for number in range(40):
        payex_mock.add(str(number), None, Charge(product_code="P01"), Charge(product_code="X", text="mine"))
    file = tmp_path / "numbers"
    file.write_text("\n".join([*map(str, range(40)), "nobody", ""]), encoding="utf-8")
    return file


def run(numbers: Path) -> int:
    return main([str(numbers), "100000"])


def test_texts_are_added_where_there_are_none(
    payex_mock: PayexMock, numbers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(numbers) == 0
    for number in payex_mock.customers():
        assert [each.text for each in payex_mock.charges(number)] == ["Mobile, unlimited", "mine"]
    said = capsys.readouterr()
    assert said.out == "40 changed, 0 customers failed\n"
    assert said.err == "nobody: not a customer\n"


def test_a_second_run_changes_nothing(payex_mock: PayexMock, numbers: Path) -> None:
    run(numbers)
    with payex_mock.no_writes():
        assert run(numbers) == 0


def test_a_lost_answer_does_no_harm(payex_mock: PayexMock, numbers: Path) -> None:
    payex_mock.next(*["lose-answer:PATCH"] * 3)
    assert run(numbers) == 0


def test_who_failed_is_told(payex_mock: PayexMock, numbers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with payex_mock.fault("403-problem:PATCH"):
        assert run(numbers) == 1
    assert "0 changed, 40 customers failed" in capsys.readouterr().out
