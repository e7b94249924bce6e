"""Writes the odd tables into `files/`: `python -m tests.tables.make`. What is expected of each is in `verdicts.toml`.

Needs the development requirements: the workbooks and the typed files are written by the libraries that people use.
"""

from __future__ import annotations

import gzip
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
HEAD = "customer_no,product_code,unit_price,text"
SEMI = HEAD.replace(",", ";")


def rows(*lines: str, head: str = HEAD, end: str = "\n") -> str:
    return end.join([head, *lines]) + end


TEXT: dict[str, str | bytes] = {
    # numbers
    "semicolon-point-three.csv": rows("1;P;1.000;x", "2;P;499.00;x", head=SEMI),
    "semicolon-comma-three.csv": rows("1;P;1,000;x", "2;P;499,00;x", head=SEMI),
    "semicolon-both-signs.csv": rows("1;P;499,00;x", "2;P;1.5;x", "3;P;1,5;x", head=SEMI),
    "semicolon-points.csv": rows("1;P;499.00;x", "2;P;1.5;x", head=SEMI),
    "semicolon-thousands.csv": rows("1;P;1.000,50;x", "2;P;1 000,50;x", "3;P;1\u00a0000,50;x", "4;P;1\u2009000;x", head=SEMI),
    "semicolon-option-comma.csv": rows("1;P;1,000;x", "2;P;1.000;x", "3;P;1.5;x", head=SEMI),
    "semicolon-option-point.csv": rows("1;P;1.000;x", "2;P;1,000;x", "3;P;1,5;x", head=SEMI),
    "tab-three.csv": rows("1\tP\t1.000\tx", "2\tP\t1,000\tx", "3\tP\t1,5\tx", head=HEAD.replace(",", "\t")),
    "pipe-three.csv": rows("1|P|1.000|x", "2|P|1,000|x", "3|P|1,5|x", head=HEAD.replace(",", "|")),
    "comma-three.csv": rows('1,P,"1,000",x', "2,P,1.000,x", '3,P,"1,5",x', '4,P,"1,000.50",x'),
    "comma-option-comma.csv": rows('1,P,"1,000",x', "2,P,1.000,x", '3,P,"1,5",x'),
    "signs.csv": rows("1,P,-5,x", "2,P,+5,x", "3,P,5-,x", "4,P,(5),x", "5,P,\u22125,x", "6,P,--5,x"),
    "scientific.csv": rows("1,P,1e3,x", "2,P,1E-3,x", "3,P,1.5e+02,x"),
    "not-numbers.csv": rows("1,P,NaN,x", "2,P,inf,x", "3,P,0x10,x", "4,P,1_000,x", "5,P,499 kr,x", "6,P,1'000,x", "7,P,.5,x", "8,P,5.,x"),
    "other-digits.csv": rows("1,P,\u0661,x", "2,P,\uff15,x", "3,P,5,x"),
    "long-decimals.csv": rows("1,P,0.000001,x", "2,P,0.0000001,x", "3,P,9999999.999999,x", "4,P,10000000,x", "5,P,1.50000000,x"),
    "percent.csv": "customer_no;product_code;vat_rate\n1;P;25 %\n2;P;25%\n3;P;6,5\u00a0%\n4;P;%\n5;P;101 %\n",
    "quantities.csv": "customer_no,product_code,quantity\n1,P,2\n2,P,2.0\n3,P,0\n4,P,-1\n5,P,1 000\n6,P,100000\n7,P,007\n",
    "dates.csv": "customer_no,product_code,end_date\n1,P,2026-02-28\n2,P,2026-02-29\n3,P,28.02.2026\n4,P,20260228\n5,P,46081\n6,P,2026-02-28 00:00:00\n7,P,2026-2-8\n",
    "spreadsheet-errors-as-text.csv": rows("1,P,#N/A,x", "2,P,#REF!,x", "3,P,1,x"),
    # encodings
    "utf-8-one-bad-byte.csv": rows("1,P,1,Fibér").encode() + b"2,P,1,Fib\xe9r\n3,P,1,x\n",
    "utf-8-bad-byte-in-customer.csv": rows("1,P,1,Fibér").encode() + b"2\xff,P,1,x\n3,P,1,x\n",
    "utf-8-mark.csv": "\ufeff" + rows("1,P,1,Fibér"),
    "utf-8-two-marks.csv": "\ufeff\ufeff" + rows("1,P,1,Fibér"),
    "utf-8-mark-and-bad-byte.csv": b"\xef\xbb\xbf" + rows("1,P,1,x").encode() + b"2,P,1,\xe5\n",
    "cp1252.csv": rows("1,P,1,Årsavgift", "2,P,1,5 €").encode("cp1252"),
    "cp1252-undefined-byte.csv": rows("1,P,1,Årsavgift").encode("cp1252") + b"2,P,1,\x81\n3,P,1,x\n",
    "cp1252-with-utf-8-line.csv": rows("1,P,1,Fibér", "2,P,1,Fibér").encode("cp1252") + "3,P,1,Fibér\n4,P,1,x\n".encode(),
    "utf-8-with-cp1252-line.csv": rows("1,P,1,Fibér", "2,P,1,Fibér").encode() + "3,P,1,Fibér\n4,P,1,x\n".encode("cp1252"),
    "utf-16-le-mark.csv": b"\xff\xfe" + rows("1,P,1,Fibér").encode("utf-16-le"),
    "utf-16-be-mark.csv": b"\xfe\xff" + rows("1,P,1,Fibér").encode("utf-16-be"),
    "utf-16-le.csv": rows("1,P,1,Fibér").encode("utf-16-le"),
    "utf-16-be.csv": rows("1,P,1,Fibér").encode("utf-16-be"),
    "utf-16-cut.csv": rows("1,P,1,x").encode("utf-16")[:-1] + b"",
    "utf-32.csv": rows("1,P,1,Fibér").encode("utf-32"),
    "latin-1-named.csv": rows("1,P,1,Fibér").encode("latin-1"),
    "mark-beats-the-option.csv": "\ufeff" + rows("1,P,1,Fibér"),
    "replacement-character.csv": rows("1,P,1,Fib\ufffdr", "2,P,1,x"),
    # characters
    "nul.csv": rows("1,P,1,a\0b", "2\0,P,1,x", "3,P,1\0,x", "4,P,1,x"),
    "control.csv": rows("1,P,1,a\x07b", "2,P,1,a\tb", "3,P,1,a\x1b[31mb", "4,P,1,a\x85b"),
    "zero-width.csv": rows("1,P\u200b,1,x", "2\u200b,P,1,x", "3,P,1\u2060,x", "4,P,1,a\u00adb", "\ufeff5,P,1,x", "6,P,1,x"),
    "bidi.csv": rows("1,P,1,a\u202eb", "2,P,1,a\u2066b\u2069", "3,P,1,\u05d0\u05d1"),
    "line-separators.csv": rows("1,P,1,a\u2028b", "2,P,1,a\u2029b", "3,P,1,x"),
    "outer-spaces.csv": rows(" 1 ,P,1,x", "2,\u00a0P\u00a0,1,x", "3,P, 1\u202f,\u3000x\u2003", "4,P,1,a b"),
    "only-spaces.csv": rows(" ,P,1,x", "2,P, , ", " , , , "),
    "inner-spaces.csv": "customer_no,subscription_no,product_code\n1,46 70,P\n1,46\u00a070,P\n1,47,P\u20091\n1\u00a02,48,P\n",
    "odd-quotes.csv": rows('1, "P",1,x', '2,P,1,5" kabel', '3,P,1,"5" kabel"', '4,P,1,"5"" kabel"'),
    "composed.csv": rows("e\u0301,P,1,x", "1,P,1,e\u0301"),
    # lines
    "blank-lines.csv": "\n\n" + rows("", "1,P,1,x", "", "2,P,x,x", "", ""),
    "empty-rows.csv": rows("1,P,1,x", ",,,", "2,P,x,x", ",,,"),
    "quoted-breaks.csv": rows('1,P,1,"a\nb"', '2,P,1,"a\r\nb"', "3,P,1,x"),
    "quoted-breaks-ignored.csv": "note,customer_no,product_code\n\"a\n\nb\",1,P\nx,2,P000001\n\"c\nd\",3,P\n",
    "lone-cr.csv": rows("1,P,1,x", "2,P,x,x", "", "3,P,1,x", end="\r"),
    "crlf.csv": rows("1,P,1,x", "2,P,x,x", end="\r\n"),
    "mixed-ends.csv": HEAD + "\r\n1,P,1,x\n2,P,x,x\r3,P,1,x",
    "no-end.csv": rows("1,P,1,x")[:-1],
    "ragged.csv": rows("1,P,1,x", "2,P,1", "3,P,1,x,y", "4", "5,P,1,x"),
    "unclosed-quote.csv": rows("1,P,1,x", '2,P,1,"x', "3,P,1,x", "4,P,1,x"),
    "unclosed-quote-then-quote.csv": rows("1,P,1,x", '2,P,1,"x', "3,P,1,x", '4,P,1,"y"', "5,P,1,x"),
    "huge-cell.csv": rows("1,P,1," + "x" * 101_000, "2,P,1,x"),
    "wide-row.csv": rows("1,P,1,x" + "," * 101_000, "2,P,1,x"),
    "same-row-twice.csv": rows("1,P,1,x", "1,P,1.0,x", "1,P,1,y"),
    # headers
    "empty.csv": b"",
    "only-blank-lines.csv": "\n\n \n",
    "header-only.csv": HEAD,
    "header-empty-cell.csv": "customer_no,,product_code\n1,,P\n",
    "header-trailing-comma.csv": "customer_no,product_code,\n1,P,\n",
    "header-twice-after-trimming.csv": "customer_no, customer_no ,product_code\n1,2,P\n",
    "header-same-column.csv": "customer_no,customerNo,product_code\n1,2,P\n",
    "header-no-break-space.csv": "\u00a0customer_no\u00a0,product_code \n1,P\n",
    "header-zero-width.csv": "customer\u200b_no,product_code\n1,P\n",
    "header-quoted.csv": '"customer_no","product_code"\n"1","P"\n',
    "header-missing.csv": "1,P,1,x\n2,P,1,x\n",
    "header-misspelled.csv": "customer_no,product_code,unitprise\n1,P,5\n",
    "separator-line.csv": "sep=;\n" + rows("1;P;1,5;x", head=SEMI),
    # JSON Lines
    "array.jsonl": '[{"customerNo": "1", "productCode": "P"}]\n',
    "array.json": '[\n {"customerNo": "1", "productCode": "P"}\n]\n',
    "indented.json": '{\n "customerNo": "1",\n "productCode": "P"\n}\n',
    "empty.jsonl": b"",
    "csv-inside.jsonl": rows("1,P,1,x"),
    "types.jsonl": '{"customerNo": 1, "productCode": "P", "unitPrice": 499.50, "quantity": 2}\n'
    '{"customerNo": 77777.0, "productCode": "P"}\n{"customerNo": 1.5, "productCode": "P"}\n'
    '{"customerNo": true, "productCode": "P"}\n{"customerNo": 5, "productCode": ["P"]}\n'
    '{"customerNo": 6, "productCode": "P", "text": {"a": 1}}\n{"customerNo": 7, "productCode": "P", "text": null}\n',
    "numbers.jsonl": '{"customerNo": "1", "productCode": "P", "unitPrice": 1e3}\n'
    '{"customerNo": "2", "productCode": "P", "unitPrice": NaN}\n'
    '{"customerNo": "3", "productCode": "P", "unitPrice": "1,5"}\n'
    '{"customerNo": "4", "productCode": "P", "unitPrice": 0.30000000000000004}\n'
    '{"customerNo": "5", "productCode": "P", "unitPrice": 1e999999999}\n'
    '{"customerNo": "6", "productCode": "P", "unitPrice": "1.000"}\n',
    "lines.jsonl": '\n{"customerNo": "1", "productCode": "P"}\n\n \n{"customerNo": "2", "productCode": "P000001"}\n'
    'nonsense\n{"customerNo": "3", "customerNo": "4", "productCode": "P"}\n"text"\n{}\n{"customerNo": "5", "productCode": "P"}',
    "surrogate.jsonl": '{"customerNo": "1", "productCode": "P", "text": "\\ud800"}\n{"customerNo": "2", "productCode": "P"}\n',
    "late-key.jsonl": '{"customerNo": "1", "productCode": "P"}\n{"customerNo": "2", "productCode": "P", "unitprise": 1}\n',
    "cp1252.jsonl": '{"customerNo": "1", "productCode": "P", "text": "Fibér"}\n'.encode("cp1252"),
    # names that do not say what is inside
    "packed.csv.gz": gzip.compress(rows("1,P,1,Fibér").encode(), mtime=0),
    "packed-cp1252.csv.gz": gzip.compress(rows("1,P,1,Fibér").encode("cp1252"), mtime=0),
    "packed.jsonl.gz": gzip.compress(b'{"customerNo": "1", "productCode": "P"}\n', mtime=0),
    "packed-without-saying.csv": gzip.compress(rows("1,P,1,x").encode(), mtime=0),
    "packed-cut.csv.gz": gzip.compress(rows(*(f"{each},P,1,x" for each in range(1000))).encode(), mtime=0)[:-30],
    "page.xls": "<html><table><tr><td>customer_no</td></tr></table></html>",
    "text.xlsx": rows("1,P,1,x"),
    "text.parquet": rows("1,P,1,x"),
}  # fmt: skip


def zstd() -> Mapping[str, bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd as library
    else:
        from backports import zstd as library
    return {
        "packed.csv.zst": library.compress(rows("1,P,1,Fibér").encode()),
        "packed.jsonl.zst": library.compress(b'{"customerNo": "1", "productCode": "P"}\n'),
    }


# workbooks

Cells = Sequence[Sequence[Any]]
COLUMNS = ["customer_no", "product_code", "unit_price", "vat_rate", "text", "end_date"]


def openpyxl_book(
    cells: Cells, formats: Mapping[str, str] | None = None, change: Callable[[Any, Any], object] | None = None
) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for row in cells:
        sheet.append(row)
    for cell, code in (formats or {}).items():
        sheet[cell].number_format = code
    if change is not None:
        change(book, sheet)
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def xlsxwriter_book(cells: Cells, results: Mapping[tuple[int, int], Any] | None = None) -> bytes:
    import xlsxwriter

    file = BytesIO()
    book = xlsxwriter.Workbook(file)
    sheet = book.add_worksheet()
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            if (row, column) in (results or {}):
                sheet.write_formula(row, column, value, None, results[row, column])
            else:
                sheet.write(row, column, value)
    book.close()
    return file.getvalue()


def calculated(book: bytes) -> bytes:
    """The workbook as Excel saves it after it has calculated: not to be calculated, and an empty text says that it is one."""
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(book)) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            content = source.read(name).replace(b' fullCalcOnLoad="1"', b"")
            target.writestr(name, content.replace(b'"><f>""</f>', b'" t="str"><f>""</f>'))
    return file.getvalue()


def hide(book: Any, sheet: Any) -> None:
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["C"].hidden = True
    book.create_sheet("Old").sheet_state = "hidden"
    second = book.create_sheet("Second")
    second.append(COLUMNS[:2])
    second.append(["9", "P"])


def hide_the_first(book: Any, sheet: Any) -> None:
    sheet.sheet_state = "hidden"
    second = book.create_sheet("Second")
    second.append(COLUMNS[:2])
    second.append(["9", "P"])


def merge(book: Any, sheet: Any) -> None:
    for cells in ("C2:C3", "F2:F4", "A5:A6"):
        sheet.merge_cells(cells)


def workbooks() -> Mapping[str, bytes]:
    formula = [COLUMNS, ["1", "P", "=100*5", 25, "x", None], ["2", "P", 5, 25, "x", None]]
    return {
        "plain.xlsx": openpyxl_book([COLUMNS, ["1", "P", 499.5, 25, "x", date(2026, 1, 31)], [2, 101, 499, 6.5, "x", datetime(2026, 1, 31)]]),
        "errors.xlsx": openpyxl_book([COLUMNS, ["1", "P", "#REF!", 25, "x", None], ["2", "P", 5, 25, "x", "#N/A"], ["#DIV/0!", "P", 5], ["4", "P", 5]]),
        "formula-never-calculated.xlsx": openpyxl_book(formula),
        "formula-zero-in-place-of-a-result.xlsx": xlsxwriter_book(formula),
        "formula-calculated.xlsx": calculated(xlsxwriter_book(formula, {(1, 2): 500})),
        "formula-error.xlsx": calculated(xlsxwriter_book(formula, {(1, 2): "#REF!"})),
        "formula-empty-text.xlsx": calculated(xlsxwriter_book([COLUMNS, ["1", "P", 5, 25, '=""', None]], {(1, 4): ""})),
        "hidden.xlsx": openpyxl_book([COLUMNS[:3], ["1", "P", 5], ["2", "P", 5]], change=hide),
        "second-sheet.xlsx": openpyxl_book([COLUMNS[:3], ["1", "P", 5]], change=hide),
        "no-such-sheet.xlsx": openpyxl_book([COLUMNS[:3], ["1", "P", 5]], change=hide),
        "first-sheet-hidden.xlsx": openpyxl_book([COLUMNS[:2], ["1", "P"]], change=hide_the_first),
        "leading-zeros.xlsx": openpyxl_book([COLUMNS[:2], [123, 7], [123456789, 7]], {"A2": "00000000", "A3": "00000000", "B2": "00", "B3": "000"}),
        "id-formats.xlsx": openpyxl_book([COLUMNS[:2], [123, "P"], [123, "P"], [1234, "P"], [123, "P"], [0.25, "P"]], {"A2": "000-000", "A3": '"K"000', "A4": "#,##0", "A5": "0.00", "A6": "0%"}),
        "percent.xlsx": openpyxl_book([COLUMNS[:4], ["1", "P", 5, 0.25], ["2", "P", 5, 0.065], ["3", "P", 5, 25], ["4", "P", 0.25, 25], ["5", "P", 5, 0.25]], {"D2": "0%", "D3": "0.0%", "C5": "0%"}),
        "money-formats.xlsx": openpyxl_book([COLUMNS[:3], ["1", "P", 1234.5], ["2", "P", 499000], ["3", "P", 5], ["4", "P", 1.125]], {"C2": '#,##0.00 "kr"', "C3": "#,##0,", "C4": ";;;", "C5": "0.000"}),
        "noise.xlsx": openpyxl_book([COLUMNS[:3], ["1", "P", 0.1 + 0.2], ["2", "P", 1.0000001], ["3", "P", 499.00000000000006]]),
        "serial-dates.xlsx": openpyxl_book([COLUMNS, ["1", "P", 5, 25, "x", 46053], ["2", "P", 5, 25, "x", 46053], ["3", "P", 5, 25, "x", 46053.5]], {"F3": "yyyy-mm-dd", "F4": "yyyy-mm-dd"}),
        "dates-in-ids.xlsx": openpyxl_book([COLUMNS[:3], ["1", date(2026, 4, 3), 5], [date(2026, 4, 3), "P", 5], ["3", "P", date(2026, 4, 3)], ["4", "P", time(12, 30)]]),
        "booleans.xlsx": openpyxl_book([COLUMNS, ["1", "P", True, 25, "x", None], ["2", "P", 5, 25, False, None]]),
        "text-numbers.xlsx": openpyxl_book([COLUMNS[:3], ["1", "P", "1.000"], ["2", "P", "1,000"], ["3", "P", "1,5"], ["4", "P", "1.5"], ["5", "P", "1 000"]]),
        "numbers-in-texts.xlsx": openpyxl_book([COLUMNS, ["1", "P", 5, 25, 100, None], ["2", "P", 5, 25, 12.5, None]]),
        "merged.xlsx": openpyxl_book([COLUMNS, ["1", "P", 5, 25, "x", date(2026, 1, 31)], ["2", "P", None, 25, "x", None], ["3", "P", 5, 25, "x", None], ["4", "P", 5, 25, "x", None], [None, "P", 5, 25, "x", None], ["7", "P", 5]], change=merge),
        "begins-lower.xlsx": openpyxl_book([[], [None, None, *COLUMNS[:2]], [], [None, None, "1", "P"], [None, None, "2", "P000001"]]),
        "no-name.xlsx": openpyxl_book([COLUMNS[:2], ["1", "P", "stray"]]),
        "empty.xlsx": openpyxl_book([]),
        "line-break.xlsx": openpyxl_book([[*COLUMNS[:4], "text"], ["1", "P", 5, 25, "a\nb"], ["2", "P", 5, 25, "x"]]),
        "book.csv": openpyxl_book([COLUMNS[:2], ["1", "P"]]),
        "big-ids.xlsx": openpyxl_book([["customer_no", "subscription_no", "product_code"], [1, 46701234567, "P"], [1, 12345678901234567890.0, "P"]]),
    }  # fmt: skip


# Parquet


def typed() -> Mapping[str, bytes]:
    import pandas
    import polars
    import pyarrow
    from pyarrow import parquet

    def arrow(columns: Mapping[str, Any]) -> bytes:
        file = BytesIO()
        parquet.write_table(pyarrow.table(dict(columns)), file)
        return file.getvalue()

    def by(frame: Any, method: str) -> bytes:
        file = BytesIO()
        getattr(frame, method)(file)
        return file.getvalue()

    ids: dict[str, Any] = {"customer_no": ["1", "2"], "product_code": ["P", "P"]}
    zone = pyarrow.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2, pyarrow.timestamp("us", "UTC"))
    return {
        "pandas-floats.parquet": by(pandas.DataFrame({"customer_no": [77777.0, None, 1.5], "product_code": ["P", "P", "P"]}), "to_parquet"),
        "polars-decimal.parquet": by(polars.DataFrame(ids | {"unit_price": [Decimal("499.500000"), None]}), "write_parquet"),
        "float32.parquet": arrow(ids | {"unit_price": pyarrow.array([0.1, 0.2], pyarrow.float32())}),
        "double-noise.parquet": arrow(ids | {"unit_price": [0.1 + 0.2, 0.0000001]}),
        "double-nan.parquet": arrow(ids | {"unit_price": [float("nan"), float("inf")]}),
        "dictionary.parquet": arrow(ids | {"text": pyarrow.array(["a", "b"]).dictionary_encode()}),
        "large-string.parquet": arrow(ids | {"text": pyarrow.array(["a", None], pyarrow.large_string())}),
        "time-zone.parquet": arrow(ids | {"start_date": zone}),
        "timestamp.parquet": arrow(ids | {"start_date": [datetime(2026, 1, 1), datetime(2026, 1, 1, 12)]}),
        "nested.parquet": arrow(ids | {"text": [["a"], ["b"]]}),
        "boolean.parquet": arrow(ids | {"text": [True, False]}),
        "dates-in-ids.parquet": arrow({"customer_no": [date(2026, 1, 1)], "product_code": ["P"]}),
        "big-floats.parquet": arrow({"customer_no": [1e15, 5.0], "product_code": ["P", "P"]}),
        "odd-texts.parquet": arrow(ids | {"text": [" a ", "a\u200bb"]}),
        "table.csv": arrow(ids),
    }  # fmt: skip


def main() -> None:
    FILES.mkdir(exist_ok=True)
    for file in FILES.iterdir():
        file.unlink()
    for name, content in {**TEXT, **zstd(), **workbooks(), **typed()}.items():
        (FILES / name).write_bytes(content.encode() if isinstance(content, str) else content)


if __name__ == "__main__":
    main()
