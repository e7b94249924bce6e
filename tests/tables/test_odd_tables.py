"""Each file of `files/` is read as `verdicts.toml` says, and a rejected row stays rejected until somebody corrects it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from payex_billing import reconcile

FILES = Path(__file__).parent / "files"
VERDICTS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("verdicts.toml").read_text(encoding="utf-8")
)
VALUES = {
    "quantity": "quantity", "unit_price": "price", "vat_rate": "vat", "text": "text", "start_date": "start", "end_date": "end",
}  # fmt: skip
READABLE = [name for name, verdict in VERDICTS.items() if "error" not in verdict]


def rows(table: reconcile.Table) -> list[str]:
    found = []
    for row in sorted((row for _, rows in table.rows() for row in rows), key=lambda row: row.line):
        place = row.customer_no if row.subscription_no is None else f"{row.customer_no}/{row.subscription_no}"
        given = [
            f"{word}={getattr(row.charge, name)}"
            for name, word in VALUES.items()
            if getattr(row.charge, name) is not None
        ]
        found.append(" ".join([f"{row.line}: {place} {row.charge.product_code}", *given]))
    return found


def test_every_file_has_a_verdict() -> None:
    assert sorted(VERDICTS) == sorted(file.name for file in FILES.iterdir())
    assert len(VERDICTS) >= 100


@pytest.mark.parametrize("name", [name for name in VERDICTS if name not in READABLE])
def test_a_file_that_cannot_be_read_is_an_error(name: str) -> None:
    verdict = VERDICTS[name]
    with pytest.raises(reconcile.TableError) as raised:
        reconcile.read(FILES / name, **verdict.get("options", {}))
    assert str(raised.value).startswith(f"{FILES / name}: ")
    assert verdict["error"] in str(raised.value)


@pytest.mark.parametrize("name", READABLE)
def test_a_file_is_read_as_its_verdict_says(name: str) -> None:
    verdict = VERDICTS[name]
    with reconcile.read(FILES / name, **verdict.get("options", {})) as table:
        assert rows(table) == verdict.get("rows", [])
        expected = [each.partition(": ") for each in verdict.get("rejected", [])]
        assert [f"{each.line} {each.column or '-'}" for each in table.rejections] == [place for place, _, _ in expected]
        for rejection, (_, _, words) in zip(table.rejections, expected, strict=True):
            assert words in rejection.rule
        assert len(table.notes) == len(verdict.get("notes", [])), table.notes
        for note, words in zip(table.notes, verdict.get("notes", []), strict=True):
            assert words in note
        assert table.rejected_without_customer is verdict.get("nobody", False)
        assert table.total == len(verdict.get("rows", [])) + len({place.split()[0] for place, _, _ in expected})


# The number of rows of a rejects file that are accepted although nobody corrected them. There are two reasons: the point or
# comma can only be a decimal sign, and only another cell or an option that is not given again made it suspicious; or the
# other one of two equal rows is not in the rejects file.
ACCEPTED_LATER = {
    ("semicolon-both-signs.csv", False): 1,
    ("same-row-twice.csv", False): 1,
    ("semicolon-option-comma.csv", False): 1,
    ("semicolon-option-point.csv", False): 1,
}
REJECTED = [name for name in READABLE if "rejected" in VERDICTS[name]]


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, VERDICTS[name].get("options", {})) for name in REJECTED]
    + [(name, {}) for name in REJECTED if "options" in VERDICTS[name] and "ignore" not in VERDICTS[name]["options"]],
)
def test_rejected_rows_are_rejected_again_until_somebody_corrects_them(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    with reconcile.read(FILES / name, **VERDICTS[name].get("options", {})) as table:
        reasons = table.reasons()
        table.write_rejects(tmp_path / "rejects.csv", reasons)
    accepted = ACCEPTED_LATER.get((name, bool(options)), 0)
    for _turn in range(2):
        with reconcile.read(tmp_path / "rejects.csv", **options) as table:
            assert table.is_rejects_file
            assert table.total == len(reasons)
            assert table.count() == accepted
            assert table.with_rejected_rows() >= {number for number, _ in table.rows()}
            reasons = table.reasons()
            assert table.total == accepted + len(reasons)
            table.write_rejects(tmp_path / "rejects.csv", reasons)
        accepted = 0
