"""The score of the guards: its companies and mistakes do not use the guards, and its verdicts are right."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from tests.guard_score import company, later, mistakes
from tests.guard_score.company import NIGHTS, Company
from tests.guard_score.ledger import Ledger, Result, write_file
from tests.guard_score.mistakes import FEW, LATER, WHOLE, Desk
from tests.guard_score.score import MISSED, STOPPED, Base, judge


def test_what_makes_nights_and_mistakes_does_not_import_the_package() -> None:
    for module in (company, mistakes, later):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not [name for name in names if "payex" in name or name == "ledger"]


def test_there_are_25_kinds_of_errors_and_all_kinds_of_nights() -> None:
    assert len(WHOLE) + len(FEW) >= 25
    assert len(LATER) >= 10
    assert {"price rise", "campaign", "churn", "growth", "VAT change", "new product", "month start"} <= set(NIGHTS)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A company of 60 customers after two nights, with its third night's file."""
    folder = tmp_path_factory.mktemp("base")
    there = Company(3, customers=60, rich=True)
    there.cache, there.columns = False, company.COLUMNS
    ledger = Ledger(prune=False, cache=False)
    files, result = [], Result()
    for kind in ("quiet", "growth", "price rise", "churn"):
        there.night(kind)
        files.append(there.file())
        write_file(folder / "charges.csv", files[-1], there.columns)
        result = ledger.run(folder / "charges.csv", there.today, first_run=len(files) == 1)
        assert result.stops == []
        if len(files) < 4:
            ledger.write(result)
    desk = Desk(files[-1], files[:-1] * 3, there, Company(4, customers=60).file(), random.Random(1))
    return Base(desk, ledger, result)


def test_what_was_written_is_held(base: Base, tmp_path: Path) -> None:
    write_file(tmp_path / "charges.csv", base.desk.earlier[-1], base.desk.company.columns)
    assert base.ledger.run(tmp_path / "charges.csv", base.desk.today).writes == {}


@pytest.mark.parametrize("kind", [*WHOLE, *FEW, *LATER])
def test_a_mistake_makes_another_file_or_says_that_there_is_no_occasion(base: Base, kind: str) -> None:
    before = [dict(row) for row in base.desk.rows]
    rows = {**WHOLE, **FEW, **LATER}[kind](base.desk)
    assert rows is None or isinstance(rows, list)
    assert base.desk.rows == before


def test_a_mistake_that_a_guard_stops_is_stopped(base: Base, tmp_path: Path) -> None:
    verdict = judge(base, WHOLE["prices in öre instead of kronor"], 1, tmp_path)
    assert verdict is not None
    assert (verdict.outcome, verdict.wrong > 50) == (STOPPED, True)
    assert "price_factor" in verdict.guards


def test_a_mistake_that_no_guard_stops_is_missed_with_the_customers_that_it_reaches(base: Base, tmp_path: Path) -> None:
    def other_texts(desk: Desk) -> list[company.Row]:
        numbers = sorted({row["customer_no"] for row in desk.rows})[:2]
        return [row | {"text": "x"} if row["customer_no"] in numbers else row for row in desk.rows]

    verdict = judge(base, other_texts, 1, tmp_path)
    assert verdict is not None
    assert (verdict.outcome, verdict.wrong) == (MISSED, 2)


def test_the_honest_file_is_no_mistake(base: Base, tmp_path: Path) -> None:
    assert judge(base, lambda desk: desk.copy(), 1, tmp_path) is None
