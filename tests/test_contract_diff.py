"""`make contract-diff`: how it reads a file, and what it tells. The verdicts are in test_contract_diff_pairs.py."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.contract_diff.spellings import OURS
from tests.support import ROOT
from tools.contract_diff.differ import compare
from tools.contract_diff.reading import line_of, read

CUSTOMER = "/{ownerNo}/customers/{customerNo}"
CHARGES = f"{CUSTOMER}/recurring-products"


def changed(change: Callable[[Any], Any]) -> Any:
    document = copy.deepcopy(OURS)
    change(document)
    return document


def shorter_code(document: Any) -> None:
    document["components"]["schemas"]["ProductCode"]["maxLength"] = 3


def looser_code(document: Any) -> None:
    document["components"]["schemas"]["ProductCode"]["maxLength"] = 9


def no_post(document: Any) -> None:
    del document["paths"][CHARGES]["post"]


def diff(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.contract_diff", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def other(tmp_path: Path) -> Callable[[Callable[[Any], Any]], str]:
    def write(change: Callable[[Any], Any]) -> str:
        file = tmp_path / "swagger.json"
        file.write_text(json.dumps(changed(change), indent=2), encoding="utf-8")
        return str(file)

    return write


@pytest.mark.parametrize(
    ("change", "level"),
    [
        (no_post, "documented"),
        (lambda each: each["paths"][CUSTOMER]["get"]["responses"].pop("501"), "sibling"),
        (lambda each: each["components"]["schemas"]["Customer"]["properties"].pop("subscriptions"), "documented"),
        (lambda each: each["components"]["schemas"]["NewRecurringProduct"]["properties"].pop("text"), "inferred"),
        (lambda each: each["paths"][CUSTOMER].update(delete={"responses": {}}), "-"),
    ],
)
def test_a_difference_says_how_well_our_side_is_known(change: Callable[[Any], Any], level: str) -> None:
    assert {each.provenance for each in compare(OURS, changed(change))} == {level}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-06", Decimal("0.000001")),
        ("0.10", Decimal("0.10")),
        ("-5", -5),
        ("on", "on"),
        ("2026-01-01", "2026-01-01"),
        ("12:30", "12:30"),
        ("true", True),
        ("~", None),
        ("'1'", "1"),
    ],
)
def test_a_value_of_yaml_is_read_as_yaml_1_2_says(text: str, value: object, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(f"a:\n  value: {text}\n", encoding="utf-8")
    document = read(file)
    assert (document["a"]["value"], type(document["a"]["value"])) == (value, type(value))
    assert line_of(document["a"], "value") == 2


def test_a_difference_names_the_line_in_both_files(other: Callable[[Any], str]) -> None:
    file = other(shorter_code)
    told = json.loads(diff(file, "--json").stdout)["differences"][0]
    ours = (ROOT / "openapi.yaml").read_text(encoding="utf-8").splitlines()
    theirs = Path(file).read_text(encoding="utf-8").splitlines()
    assert ours[told["ours_line"] - 1].strip() == "maxLength: 5"
    assert theirs[told["theirs_line"] - 1].strip() == '"maxLength": 3,'


def test_the_text_says_what_breaks_and_where_and_how_well_it_is_known(other: Callable[[Any], str]) -> None:
    text = diff(other(shorter_code)).stdout
    assert "BREAKS  request productCode: maxLength 5 → 3" in text
    assert "The server rejects values that our client may send." in text
    assert ", inferred" in text
    assert f"POST {CHARGES}" in text
    assert "of which 1 breaks callers." in text


def test_the_text_has_80_columns(other: Callable[[Any], str]) -> None:
    for change in (shorter_code, no_post, lambda each: each.update(servers=[{"url": "https://example.com/v2"}])):
        assert max(map(len, diff(other(change)).stdout.splitlines())) <= 80


def test_one_cause_in_many_operations_is_told_once(other: Callable[[Any], str]) -> None:
    text = diff(other(lambda each: each["components"]["schemas"]["Problem"]["required"].remove("title"))).stdout
    assert text.count("BREAKS") == 1
    assert "more; --json lists all" in text


@pytest.mark.parametrize(
    ("change", "code"), [(lambda each: None, 0), (looser_code, 2), (no_post, 3)], ids=["same", "harmless", "breaking"]
)
def test_the_exit_code_says_whether_callers_break(
    change: Callable[[Any], Any], code: int, other: Callable[[Any], str]
) -> None:
    assert diff(other(change)).returncode == code


@pytest.mark.parametrize("arguments", [(), ("nowhere.yaml",), ("openapi.yaml", "--no-such-option"), (".",)])
def test_a_wrong_argument_ends_with_1_and_a_sentence(arguments: tuple[str, ...]) -> None:
    result = diff(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert "Error: " in result.stderr


def test_what_the_other_file_cannot_say_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "swagger.json"
    file.write_text('{"swagger": "2.0", "paths": {}}', encoding="utf-8")
    told = json.loads(diff(str(file), "--json").stdout)["not_compared"]
    assert [sentence.partition(":")[0] for sentence in told] == [
        "whether a value may be null",
        "client certificates",
        "hosts and base path",
    ]
