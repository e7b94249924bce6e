"""Tables of desired charges: every format, every way of writing, and every bad cell by its line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payex_billing import Charge, InvalidArgument, reconcile
from payex_billing._values import checks as rules
from payex_billing.reconcile import Row, TableError

HEADER = "customer_no,subscription_no,product_code,quantity,unit_price,vat_rate,text,start_date,end_date"
LINE = "15615616,46701234567,P01,2,499.00,25,Fiber,2026-01-01,"
CHARGE = Charge(
    product_code="P01", quantity=2, unit_price=Decimal(499), vat_rate=Decimal(25), text="Fiber", start_date=date(2026, 1, 1)
)  # fmt: skip
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "charges.csv") -> Path:
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def rows(path: Path, **options: Any) -> list[Row]:
    with reconcile.read(path, **options) as table:
        assert [str(each) for each in table.rejections] == []
        return [row for _, found in table.rows() for row in found]


def rejections(path: Path, **options: Any) -> list[str]:
    with reconcile.read(path, **options) as table:
        return [str(each) for each in table.rejections]


ROW = Row(line=2, customer_no="15615616", subscription_no="46701234567", charge=CHARGE)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (f"{HEADER}\n{LINE}\n", {}),
        (f"\ufeff{HEADER}\r\n{LINE}\r\n", {}),
        (f"{HEADER}\n{LINE}".replace(",", ";"), {}),
        (f"{HEADER}\n{LINE}".replace(",", "\t"), {}),
        (f"{HEADER}\n{LINE}".replace(",", ";").replace("499.00", "499,00"), {}),
        (f'{HEADER}\n{LINE}'.replace("499.00", '"499,00"'), {"decimal_comma": True}),
        (f"{HEADER}\n{LINE}".encode("utf-16"), {}),
        (f"{HEADER}\n{LINE}".replace("customer_no", "customerNo").replace("unit_price", "unitPrice"), {}),
        (f"{HEADER}\n{LINE}".replace("customer_no", "kund"), {"columns": {"kund": "customer_no"}}),
        (f"{HEADER}\n{LINE}".replace("customer_no", "kund"), {"columns": {"kund": "customerNo"}}),
        (f"{HEADER},mine\n{LINE},x", {"ignore": ["mine"]}),
    ],
    ids=["plain", "BOM and CRLF", "semicolons", "tabs", "decimal comma", "quoted decimal comma", "UTF-16", "contract names", "mapped", "mapped to the contract", "ignored"],
)  # fmt: skip
def test_a_csv_file_is_read_however_it_is_written(write: Write, content: str | bytes, options: dict[str, Any]) -> None:
    assert rows(write(content), **options) == [ROW]


def test_cp1252_is_recognised(write: Write) -> None:
    file = write(f"{HEADER}\n{LINE}".replace("Fiber", "Fibér åäö €").encode("cp1252"))
    assert rows(file)[0].charge.text == "Fibér åäö €"


def test_an_encoding_may_be_named(write: Write) -> None:
    file = write(f"{HEADER}\n{LINE}".replace("Fiber", "€").encode("cp1252"))
    assert rows(file, encoding="cp1252")[0].charge.text == "€"


def test_parquet_keeps_its_types_and_digits(tmp_path: Path) -> None:
    file = tmp_path / "charges.parquet"
    duckdb.sql(
        "SELECT '15615616' AS customer_no, '46701234567' AS subscription_no, 'P01' AS product_code, 2 AS quantity, "
        "499.0::DOUBLE AS unit_price, 25::DECIMAL(5,2) AS vat_rate, 'Fiber' AS text, TIMESTAMP '2026-01-01' AS start_date"
    ).write_parquet(str(file))
    assert [row.charge for row in rows(file)] == [CHARGE]


def test_json_lines_keep_their_digits(write: Write) -> None:
    plain = {
        "customerNo": "15615616",
        "subscriptionNo": "46701234567",
        "productCode": "P01",
        "quantity": 2,
        "vatRate": 25,
    }
    text = json.dumps(plain | {"text": "Fiber", "startDate": "2026-01-01"})[:-1] + ', "unitPrice": 499.000001}\n'
    assert [row.charge.unit_price for row in rows(write(text, "charges.jsonl"))] == [Decimal("499.000001")]


def test_excel_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEADER.split(","))
    book.active.append(["15615616", 46701234567, "P01", 2, 499.0, 25, "Fiber", date(2026, 1, 1), None])
    book.save(tmp_path / "charges.xlsx")
    assert rows(tmp_path / "charges.xlsx") == [ROW]


CELLS = [
    ("customer_no", "", "is missing"),
    ("customer_no", "1234567890123456", "has more than 15 characters"),
    ("customer_no", "1:2", "cannot be a customer number"),
    ("customer_no", "..", "means another place"),
    ("subscription_no", "1" * 35, "has more than 34 characters"),
    ("product_code", "", "is missing"),
    ("product_code", "P00001", "has more than 5 characters"),
    ("quantity", "0", "is not between 1 and 99999"),
    ("quantity", "100000", "is not between 1 and 99999"),
    ("quantity", "9" * 50, "is not between 1 and 99999"),
    ("quantity", "1.0", "is not a whole number"),
    ("unit_price", "1.1234567", "has more than 6 decimals"),
    ("unit_price", "12345678", "has more than 7 digits"),
    ("unit_price", "1e3", "is not a number"),
    ("unit_price", "1 000", "is not a number"),
    ("vat_rate", "100.01", "is more than 100 percent"),
    ("vat_rate", "25.125", "has more than 2 decimals"),
    ("vat_rate", "-1", "is not a number, or below 0"),
    ("text", "x" * 74, "has more than 73 characters"),
    ("start_date", "2026-02-30", "is not a day of the calendar"),
    ("start_date", "1/2/2026", "is not a date as yyyy-MM-dd"),
    ("end_date", "2025-12-31", "is before the start"),
]


@pytest.mark.parametrize(("column", "value", "rule"), CELLS, ids=lambda each: str(each)[:20])
def test_a_bad_cell_is_told_with_line_column_value_and_rule(write: Write, column: str, value: str, rule: str) -> None:
    cells = dict(zip(HEADER.split(","), LINE.split(","), strict=True)) | {column: value}
    (told,) = rejections(write(f"{HEADER}\n{LINE}\n{','.join(cells.values())}\n"))
    assert told.startswith(f"line 3, column {column}: {value!r} ")
    assert rule in told


def test_all_bad_cells_are_told_not_only_the_first(write: Write) -> None:
    told = rejections(write("customer_no,product_code,quantity,start_date\n,P000001,0,x\n1,P01,1,\n,P01,y,\n"))
    assert [each.partition(":")[0] for each in told] == [
        "line 2, column customer_no", "line 2, column product_code", "line 2, column quantity", "line 2, column start_date",
        "line 4, column customer_no", "line 4, column quantity",
    ]  # fmt: skip


def test_good_rows_are_there_beside_bad_ones(write: Write) -> None:
    with reconcile.read(write("customer_no,product_code\n1,P01\n,P01\n2,P01\n")) as table:
        assert [number for number, _ in table.rows()] == ["1", "2"]
        assert (table.total, table.count(), table.rejected_lines) == (3, 2, {3})


def test_lines_are_those_of_the_file_past_line_breaks_and_broken_lines(write: Write) -> None:
    file = write('note,customer_no,product_code\n"two\nlines",1,P01\n2,P01\nx,3,P000001\n,4,P01\n')
    assert [each.partition(":")[0] for each in rejections(file, ignore=["note"])] == [
        "line 4", "line 5, column product_code",
    ]  # fmt: skip
    with reconcile.read(file, ignore=["note"]) as table:
        assert [(row.line, row.customer_no) for _, found in table.rows() for row in found] == [(2, "1"), (6, "4")]


def test_the_same_row_twice_is_a_mistake_unless_it_is_meant(write: Write) -> None:
    file = write(f"{HEADER}\n{LINE}\n{LINE}\n{LINE.replace('499.00', '499.0')}\n")
    assert rejections(file) == ["line 3: is the same row as line 2", "line 4: is the same row as line 2"]
    assert len(rows(file, allow_duplicates=True)) == 3


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("", {}, "is empty"),
        ("\n", {}, "is empty"),
        ("a,b\n1,2\n", {}, "the column 'a' is not known"),
        ("customerno,product_code\n", {}, "Did you mean 'customer_no'"),
        ("customer_no\n1\n", {}, "it has no column product_code"),
        ("product_code,quantity\nP,1\n", {}, "it has no column customer_no"),
        ("customer_no,customerNo,product_code\n1,1,P\n", {}, "are the same column"),
        ("customer_no,customer_no\n", {}, "is there twice"),
        ("customer_no,product_code\n", {"columns": {"x": "text"}}, "it has no column 'x'"),
        ("customer_no,product_code\n", {"columns": {"customer_no": "x"}}, "there is no column 'x' to map to"),
        ("customer_no,product_code\n", {"encoding": "klingon"}, "there is no encoding"),
        ("customer_no,product_code\n", {"encoding": "hex"}, "there is no encoding"),
        ("customer_no,product_code\n", {"delimiter": ";;"}, "a delimiter is one character"),
    ],
)
def test_what_cannot_be_read_at_all_is_a_sentence(
    write: Write, content: str | bytes, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TableError, match=r"charges\.csv: .*") as raised:
        reconcile.read(write(content), **options)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere.csv", "x.parquet", "x.xlsx", "x.jsonl"])
def test_a_missing_or_broken_file_is_a_sentence(tmp_path: Path, name: str) -> None:
    if name.startswith("x"):
        (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(TableError, match=name):
        reconcile.read(tmp_path / name)


def test_a_header_alone_is_an_empty_table(write: Write) -> None:
    assert rows(write("customer_no,product_code\n")) == []


def test_rejects_are_the_rows_as_they_stood_with_the_reason(write: Write, tmp_path: Path) -> None:
    file = write("customerNo;productCode;text;mine\n1;P01;a;x\n2;P000001;å;y\n3;P01\n")
    with reconcile.read(file, ignore=["mine"]) as table:
        table.write_rejects(tmp_path / "rejects.csv", table.reasons())
    with (tmp_path / "rejects.csv").open(encoding="utf-8-sig", newline="") as written:
        found = list(csv.reader(written, delimiter=";"))
    assert found == [
        ["customerNo", "productCode", "text", "mine", "payex_reason"],
        ["2", "P000001", "å", "y", "productCode: has more than 5 characters"],
        ["3", "P01", "has 2 cells, and the header has 4"],
    ]


def test_a_shard_is_stable_and_the_shards_together_are_the_whole(write: Write) -> None:
    lines = [f"{number},P01" for number in range(1000)] + [",P01", "1,P000001", "1"]
    file = write("customer_no,product_code\n" + "\n".join(lines))
    with reconcile.read(file) as table:
        shards = [reconcile.Shard(index, 8) for index in range(1, 9)]
        parts = [{number for number, _ in table.rows(shard.condition())} for shard in shards]
        assert sum(map(len, parts)) == 1000
        assert set.union(*parts) == {str(number) for number in range(1000)}
        assert all(50 < len(part) < 250 for part in parts)
        rejected = [set(table.reasons(shard.condition)) for shard in shards]
        assert sorted(line for part in rejected for line in part) == sorted(table.rejected_lines)
        # The parts are the same tomorrow and on another machine: customers 0 to 19 are in these.
        assert [next(index for index, part in enumerate(parts) if str(number) in part) for number in range(5)] == [
            _little_endian_md5(str(number)) % 8 for number in range(5)
        ]


def _little_endian_md5(text: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.md5(text.encode()).digest(), "little")


@pytest.mark.parametrize("text", ["0/8", "9/8", "1", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="shard"):
        reconcile.Shard.parse(text)


WORDS = st.text("abzAZ059åäöÄÅÖ&/_ .-!#$'\"()*+,:;<=>?@[]^{|}~éß€中😀", max_size=18)
NUMBERS = st.from_regex(r"-?[0-9]{0,9}(\.[0-9]{0,8})?", fullmatch=True)


def content(name: str, value: object) -> None:
    Charge(**{"product_code": "P", name: value})


CHECKS: dict[str, tuple[Callable[[str], object], st.SearchStrategy[str]]] = {
    "customer_no": (rules.customer_no, WORDS),
    "product_code": (lambda value: content("product_code", value), WORDS),
    "quantity": (lambda value: content("quantity", int(value)), st.from_regex(r"[0-9]{1,7}", fullmatch=True)),
    "unit_price": (
        lambda value: content("unit_price", Decimal(value)),
        NUMBERS.filter(lambda each: each[-1:].isdigit()),
    ),
    "vat_rate": (
        lambda value: content("vat_rate", Decimal(value)),
        NUMBERS.filter(lambda each: each[-1:].isdigit()),
    ),
}


@pytest.mark.parametrize("column", CHECKS)
def test_the_rules_of_a_table_are_those_of_the_client(column: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    check, values = CHECKS[column]
    file = tmp_path_factory.mktemp("rules") / "charges.csv"

    @settings(max_examples=10, deadline=None)
    @given(st.lists(values, min_size=20, max_size=60))
    def same(cells: list[str]) -> None:
        base = {"customer_no": "1", "product_code": "P01"}
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
            writer.writerow({**base, column: ""})
            writer.writerows({**base, column: cell}.values() for cell in cells)
        with reconcile.read(file, allow_duplicates=True, delimiter=",") as table:
            rejected = {each.line for each in table.rejections}
        for line, cell in enumerate(cells, start=2):
            try:
                if cell.strip(" ") or column in base:
                    check(cell.strip(" "))  # spaces around a cell are removed
                right = True
            except InvalidArgument:
                right = False
            if column in {"unit_price", "vat_rate"} and cell.startswith((".", "-.")):
                right = False  # a table writes the nought before the point
            if column == "vat_rate" and cell.startswith("-"):
                right = False  # nor does it say that nothing is less than nothing
            if re.match(' +"', cell):
                right = False  # in a CSV file it may be a quoted cell after a space
            assert (line not in rejected) is right, cell

    same()


# the reader reads only the named file, with all its columns


@pytest.mark.parametrize("name", ["c[12].csv", "c*.csv", "c?.csv", "[c]1.csv", "a[b/c1.csv", "*/c1.csv"])
def test_only_the_named_file_is_read(write: Write, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for sibling in ("c1.csv", "c2.csv"):
        write(f"customer_no,product_code\n{sibling[1]},WRONG\n", sibling)
    write("customer_no,product_code\n7,P\n", name)
    assert [(row.customer_no, row.charge.product_code) for row in rows(tmp_path / name)] == [("7", "P")]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_the_name_of_a_folder_says_nothing_of_the_rows(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "quantity=7" / "text=x"
    folder.mkdir(parents=True)
    duckdb.sql("SELECT '1' AS customer_no, 'P' AS product_code").to_csv(str(tmp_path / "plain.csv"))
    kinds = {".parquet": "(FORMAT parquet)", ".jsonl": "(FORMAT json)", ".csv": "(FORMAT csv)"}
    duckdb.sql(f"COPY (FROM '{tmp_path}/plain.csv') TO '{folder}/c{suffix}' {kinds[suffix]}")
    (row,) = rows(folder / f"c{suffix}")
    assert row.charge == Charge(product_code="P")


def test_a_key_that_first_appears_late_is_read(write: Write) -> None:
    lines = [json.dumps({"customerNo": str(number), "productCode": "P"}) for number in range(1, 25_001)]
    lines.append(json.dumps({"customerNo": "9" * 8, "productCode": "P", "unitPrice": 5, "endDate": "2030-01-31"}))
    last = rows(write("\n".join(lines), "charges.jsonl"))[-1]
    assert last.charge == Charge(product_code="P", unit_price=Decimal(5), end_date=date(2030, 1, 31))


def test_an_unknown_key_that_first_appears_late_is_refused(write: Write) -> None:
    lines = [json.dumps({"customerNo": str(number), "productCode": "P"}) for number in range(1, 25_001)]
    lines.append(json.dumps({"customerNo": "9" * 8, "productCode": "P", "unitprise": 5}))
    with pytest.raises(TableError, match="unitprise"):
        rows(write("\n".join(lines), "charges.jsonl"))


def test_what_a_table_manages_are_its_columns(write: Write) -> None:
    (row,) = rows(write("kund,productCode,end_date\n1,P,\n"), columns={"kund": "customer_no"})
    assert row.managed == {"customer_no", "product_code", "end_date"}
