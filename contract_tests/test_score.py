"""The page of the score: its sections stay when another is written, and its table names what exists."""

from __future__ import annotations

from pathlib import Path

from contract_tests import rules, score_page
from contract_tests.categories import CATEGORIES
from contract_tests.faults import FAULTS
from contract_tests.probes import PROBES
from contract_tests.score import sample_of


def test_a_section_that_is_written_again_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    score_page.write(page, {"times": ["## Times", "", "1 s"], "summary": ["5 runs"]})
    score_page.write(page, {"summary": ["6 runs"]})
    text = page.read_text(encoding="utf-8")
    assert text.startswith(score_page.HEAD)
    assert "5 runs" not in text
    assert text.index("6 runs") < text.index("## Times")


def test_each_category_names_probes_rules_and_faults_that_exist() -> None:
    known = {probe.name for probe in PROBES} | {rule.__name__ for rule in (*rules.RULES, rules.documented)}
    for category in CATEGORIES:
        assert set(category.covered_by.split()) <= known
        assert set(category.faults.split()) <= set(FAULTS)


def test_a_category_that_nothing_covers_has_a_reason() -> None:
    assert all(category.why for category in CATEGORIES if not category.covered_by)
    assert len({category.code for category in CATEGORIES}) == len(CATEGORIES)


def test_a_new_fault_changes_the_sample_by_one_at_most() -> None:
    names = [f"fault {number}" for number in range(300)]
    before = set(sample_of(names, 40, 1))
    assert len(before - set(sample_of([*names, "a new fault"], 40, 1))) <= 1
    assert before != set(sample_of(names, 40, 2))


def test_every_fault_says_in_which_file_it_is_written() -> None:
    folder = Path(rules.__file__).parent / "faults"
    assert all((folder / fault.file).is_file() for fault in FAULTS.values())
