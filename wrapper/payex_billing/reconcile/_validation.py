"""The rules of the contract as SQL: which rows of a table are right, and what is wrong with the others.

Everything runs inside DuckDB, so that a million rows take seconds. The rules are those of `_checks`; a test holds the
two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .. import _checks
from ._sources import quoted

if TYPE_CHECKING:
    import duckdb

COLUMNS = {
    "customer_no": "customerNo",
    "subscription_no": "subscriptionNo",
    "product_code": "productCode",
    "quantity": "quantity",
    "unit_price": "unitPrice",
    "vat_rate": "vatRate",
    "text": "text",
    "start_date": "startDate",
    "end_date": "endDate",
}
REQUIRED = ("customer_no", "product_code")
VALUES = tuple(COLUMNS)


def validate(
    database: duckdb.DuckDBPyConnection, names: Mapping[str, str], *, comma: bool, allow_duplicates: bool
) -> None:
    """Sort the rows of `raw` into the table `good`, typed and with a digest, and the table `bad`, cell by cell."""

    def cell(name: str) -> str:
        text = f"nullif({quoted(names[name])}, '')" if name in names else "NULL::VARCHAR"
        return f"replace({text}, ',', '.')" if comma and name in {"unit_price", "vat_rate"} else text

    rules = {name: _rule(name) for name in names}
    database.execute(
        f"CREATE TEMP VIEW cells AS SELECT row, {', '.join(f'{cell(name)} AS {name}' for name in VALUES)} FROM raw"
    )
    verdicts = ", ".join(f"{rule} AS {name}_rule" for name, rule in rules.items())
    # Most rows are right: what is wrong is written out only of those that are not.
    wrong = " OR ".join(f"({rule}) IS NOT NULL" for rule in rules.values())
    database.execute(f"CREATE TABLE wrong AS SELECT *, {verdicts} FROM cells WHERE {wrong}")
    database.execute("CREATE TABLE bad (row BIGINT, name VARCHAR, value VARCHAR, rule VARCHAR)")
    for name, column in names.items():
        database.execute(
            f"INSERT INTO bad SELECT wrong.row, '{name}', raw.{quoted(column)}, {name}_rule "
            f"FROM wrong JOIN raw USING (row) WHERE {name}_rule IS NOT NULL"
        )
    typed = {
        "quantity": "quantity::INTEGER",
        "unit_price": "unit_price::DECIMAL(13, 6)",
        "vat_rate": "vat_rate::DECIMAL(5, 2)",
        "start_date": "start_date::DATE",
        "end_date": "end_date::DATE",
        "subscription_no": "coalesce(subscription_no, '')",
    }
    values = ", ".join(f"{typed.get(name, name)} AS {name}" for name in VALUES)
    without = "WHERE row NOT IN (SELECT row FROM wrong)" if one(database, "SELECT count(*) FROM wrong") else ""
    database.execute(
        f"CREATE TABLE good AS SELECT *, hash({', '.join(VALUES)}) AS digest "
        f"FROM (SELECT row, {values} FROM cells {without})"
    )
    if not allow_duplicates:
        _reject_duplicates(database)
    _note_lines(database, names)


def _reject_duplicates(database: duckdb.DuckDBPyConnection) -> None:
    """Reject a row that is there already, value for value; the first of them stays."""
    values = ", ".join(VALUES)
    database.execute(
        "CREATE TEMP TABLE twice AS SELECT * FROM (SELECT row, "
        f"first_value(row) OVER (PARTITION BY {values} ORDER BY row) AS first "
        "FROM good SEMI JOIN (SELECT digest FROM good GROUP BY digest HAVING count(*) > 1) USING (digest)) "
        "WHERE row > first"
    )
    database.execute("INSERT INTO bad SELECT row, '', first, 'is the same row as line' FROM twice")
    database.execute("DELETE FROM good WHERE row IN (SELECT row FROM twice)")


def _note_lines(database: duckdb.DuckDBPyConnection, names: Mapping[str, str]) -> None:
    """Where cells hold line breaks, a row is not a line."""
    if not _has_breaks(database, names.values()):
        return
    breaks = " + ".join(
        f"coalesce(length({quoted(name)}) - length(replace({quoted(name)}, chr(10), '')), 0)" for name in names.values()
    )
    database.execute(
        "CREATE TABLE lines AS SELECT row, coalesce(sum(n) OVER (ORDER BY row ROWS BETWEEN UNBOUNDED PRECEDING "
        f"AND 1 PRECEDING), 0)::BIGINT AS breaks FROM (SELECT row, {breaks} AS n FROM raw)"
    )


def _has_breaks(database: duckdb.DuckDBPyConnection, columns: Iterable[str]) -> bool:
    condition = " OR ".join(f"contains({quoted(column)}, chr(10))" for column in columns)
    return bool(one(database, f"SELECT count(*) FROM raw WHERE {condition}"))


def _rule(name: str) -> str:
    """An expression that is the rule a cell breaks, or NULL."""
    checks: list[tuple[str, str]] = []
    optional = name not in REQUIRED
    match name:
        case "customer_no":
            checks = [
                (f"{name} IS NULL", "is missing"),
                (
                    f"length({name}) > {_checks.CUSTOMER_NO_LENGTH}",
                    f"has more than {_checks.CUSTOMER_NO_LENGTH} characters",
                ),
                (_dots(name), "means another place in a URL"),
                (
                    f"NOT regexp_full_match({name}, '{_checks.CUSTOMER_NO.pattern}')",
                    "cannot be a customer number: only letters, digits, äåöÄÅÖ, &, /, _, space, . and - may be in one",
                ),
            ]
        case "subscription_no":
            longest = _checks.SUBSCRIPTION_NO_LENGTH
            checks = [
                (f"length({name}) > {longest}", f"has more than {longest} characters"),
                (_dots(name), "means another place in a URL"),
            ]
        case "product_code":
            longest = _checks.PRODUCT_CODE_LENGTH
            checks = [
                (f"{name} IS NULL", "is missing"),
                (f"length({name}) > {longest}", f"has more than {longest} characters"),
            ]
        case "text":
            checks = [(f"length({name}) > {_checks.TEXT_LENGTH}", f"has more than {_checks.TEXT_LENGTH} characters")]
        case "quantity":
            low, high = _checks.QUANTITY_MINIMUM, _checks.QUANTITY_MAXIMUM
            checks = [
                (f"NOT regexp_full_match({name}, '[0-9]+')", "is not a whole number"),
                (
                    f"coalesce(try_cast({name} AS HUGEINT), {high + 1}) NOT BETWEEN {low} AND {high}",
                    f"is not between {low} and {high}",
                ),
            ]
        case "unit_price":
            checks = _number(name, 7, _checks.UNIT_PRICE_DECIMALS, sign="-?")
        case "vat_rate":
            checks = _number(name, 3, _checks.VAT_RATE_DECIMALS, sign="")
            most = _checks.VAT_RATE_MAXIMUM
            checks.append((f"try_cast({name} AS DOUBLE) > {most}", f"is more than {most} percent"))
        case _:
            checks = [
                (f"NOT regexp_full_match({name}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')", "is not a date as yyyy-MM-dd"),
                (f"try_cast({name} AS DATE) IS NULL OR {name} < '0001'", "is not a day of the calendar"),
            ]
            if name == "end_date":
                checks.append(("try_cast(end_date AS DATE) < try_cast(start_date AS DATE)", "is before the start"))
    whens = " ".join(f"WHEN {condition} THEN '{rule}'" for condition, rule in checks)
    return f"CASE {f'WHEN {name} IS NULL THEN NULL ' if optional else ''}{whens} END"


def _number(name: str, digits: int, decimals: int, *, sign: str) -> list[tuple[str, str]]:
    return [
        (
            f"NOT regexp_full_match({name}, '{sign}[0-9]+(\\.[0-9]+)?')",
            "is not a number" + ("" if sign else ", or below 0"),
        ),
        (
            f"NOT regexp_full_match({name}, '{sign}0*[0-9]{{1,{digits}}}(\\..*)?')",
            f"has more than {digits} digits before the point",
        ),
        (f"NOT regexp_full_match({name}, '[^.]*(\\.[0-9]{{1,{decimals}}}0*)?')", f"has more than {decimals} decimals"),
    ]


def one(database: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The one value that a query gives."""
    found = database.execute(query).fetchone()
    return found[0] if found else 0


def _dots(name: str) -> str:
    """The condition that a number holds a dot segment, also between slashes."""
    return rf"regexp_matches({name}, '(^|[/\\])\.{{1,2}}([/\\]|$)')"
