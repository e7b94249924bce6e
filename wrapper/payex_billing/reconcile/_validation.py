"""The rules of the contract as SQL: which rows of a table are right, and what is wrong with the others.

Everything runs inside DuckDB, so that a million rows take seconds. The rules are those of `_checks`; a test holds the
two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from .._schema import Kind, Property
from .._values import checks as _checks
from ._cells import INVISIBLE, OTHER_SPACES, SPACES, UNREADABLE, DecimalSign, visible
from ._columns import EXACT, PROPERTIES, REQUIRED, VALUES, Header
from ._database import literal, one

if TYPE_CHECKING:
    import duckdb

_DECIMALS = tuple(name for name, known in PROPERTIES.items() if known.kind is Kind.DECIMAL)
_MOST_DIGITS = 15  # before and behind the point, where the contract has no limit
_THOUSANDS = "[-+]?[0-9]+[.,][0-9]{3}"  # one, or a thousand


def validate(database: duckdb.DuckDBPyConnection, header: Header, sign: DecimalSign, *, allow_duplicates: bool) -> None:
    """Sort the rows of `raw` into the table `good`, typed and with a digest, and the table `bad`, cell by cell.

    `bad` has the line of a row, our name of the column, or an empty one for the row as a whole, the cell and the rule.
    """
    places = header.places
    has_exact = header.exact is not None
    flags = ""
    if header.exact is not None:
        _refuse_edited(database, header, header.exact)
        flags = "".join(f", {_is_exact(name, header.exact)} AS exact_{name}" for name in places)
    cells = ", ".join(
        f"{_cell_of(name, places[name], header.exact)} AS {name}" if name in places else f"NULL::VARCHAR AS {name}"
        for name in VALUES
    )
    database.execute(f"CREATE VIEW cells AS SELECT line, {cells}{flags} FROM raw")
    if sign.decide and _has_commas(database):
        sign = attrs.evolve(sign, point=False)
    rules = {name: _rule(name, sign, is_exact=has_exact) for name in places}
    odd = f"regexp_matches(concat({', '.join(places)}), '{INVISIBLE}')"
    wrong = " OR ".join(f"({rule}) IS NOT NULL" for rule in rules.values())
    database.execute(f"CREATE TABLE suspected AS SELECT * FROM cells WHERE {odd} OR {wrong}")
    database.execute("CREATE TABLE bad (line BIGINT, place INTEGER, name VARCHAR, value VARCHAR, rule VARCHAR)")
    # Most tables have no error. DuckDB needs 17 ms to plan the queries below, also for a table of four rows.
    if one(database, "SELECT count(*) FROM suspected"):
        verdicts = {name: f"coalesce({_invisible(name, is_exact=has_exact)}, {rule})" for name, rule in rules.items()}
        _note_what_is_wrong(database, places, verdicts)
    typed = {name: _typed(name, known, sign) for name, known in PROPERTIES.items()}
    typed["subscription_no"] = "coalesce(subscription_no, '')"
    values = ", ".join(f"{typed[name]} AS {name}" for name in VALUES)
    database.execute(
        f"CREATE TABLE good AS SELECT *, hash({', '.join(VALUES)}) AS digest "
        f"FROM (SELECT line, {values} FROM cells ANTI JOIN bad USING (line))"
    )
    database.execute("INSERT INTO bad SELECT line, NULL, '', NULL, rule FROM broken")
    if not allow_duplicates:
        _reject_duplicates(database, "" if header.exact is None else f"WHERE NOT {_is_copy(header.exact)}")


def _note_what_is_wrong(
    database: duckdb.DuckDBPyConnection, places: Mapping[str, int], verdicts: Mapping[str, str]
) -> None:
    """Copy each invalid cell of the table `suspected` to the table `bad`.

    Args:
        database: the database.
        places: the column of the file for each of our names.
        verdicts: for each of our names, an SQL expression: the rule that the cell breaks, or NULL.
    """
    columns = ", ".join(f"{verdict} AS {name}_rule" for name, verdict in verdicts.items())
    database.execute(f"CREATE TABLE wrong AS SELECT line, {columns} FROM suspected")
    for name, place in places.items():
        database.execute(
            f"INSERT INTO bad SELECT line, {place}, '{name}', "
            f"CASE WHEN faults.rule IS NULL THEN c{place} ELSE ltrim(c{place}, '{UNREADABLE}') END, "
            f"coalesce(faults.rule, {name}_rule) FROM wrong JOIN raw USING (line) "
            f"LEFT JOIN (SELECT line, any_value(rule) AS rule FROM faults WHERE place = {place} GROUP BY line) faults "
            f"USING (line) WHERE {name}_rule IS NOT NULL"
        )


def trim(database: duckdb.DuckDBPyConnection, header: Header, *, is_csv: bool) -> str:
    """Remove the spaces before and after the text of cells; returns a sentence about it, or an empty one."""
    cells = [f"c{place}" for place in header.places.values()]
    joined = "concat_ws(chr(31), '', " + ", ".join(cells) + ", '')"
    # Few rows have any, and this is faster than to trim all.
    database.execute(
        f"CREATE TABLE padded AS SELECT line FROM raw WHERE regexp_matches({joined}, '\\x1f[{SPACES}]|[{SPACES}]\\x1f')"
    )
    first = one(database, "SELECT min(line) FROM padded")
    if first is None:
        return ""
    is_padded = "line IN (SELECT line FROM padded)"
    every = ", ".join(f"c{place}" for place in range(len(header.columns)))
    database.execute(f"DELETE FROM raw WHERE {is_padded} AND trim(concat({every}), '{SPACES}') = ''")
    # After a comma and a space, the csv module treats quotes as part of the value: `, "P"` becomes `"P"`, not `P`.
    for place in header.places.values() if is_csv else ():
        quoted = f"{is_padded} AND regexp_matches(c{place}, '^[{SPACES}]+\"')"
        database.execute(
            f"INSERT INTO faults SELECT line, {place}, 'has a space before its quotes' FROM raw WHERE {quoted}"
        )
        database.execute(f"UPDATE raw SET c{place} = '{UNREADABLE}' || c{place} WHERE {quoted}")
    trimmed = {cell: f"trim({cell}, '{SPACES}')" for cell in cells}
    count = " + ".join(f"coalesce({cell} <> {text}, false)::INTEGER" for cell, text in trimmed.items())
    number = one(database, f"SELECT sum({count}) FROM raw WHERE {is_padded}")
    changes = ", ".join(f"{cell} = {text}" for cell, text in trimmed.items())
    database.execute(f"UPDATE raw SET {changes} WHERE {is_padded}")
    if not number:
        return ""
    had = "1 cell had" if number == 1 else f"{number:,} cells had"
    return f"{had} spaces before or after the text, which were removed. See line {first}."


def _has_commas(database: duckdb.DuckDBPyConnection) -> bool:
    """Whether the table has a number with a comma that cannot stand for thousands."""
    conditions = (f"contains({name}, ',') AND NOT regexp_full_match({name}, '{_THOUSANDS}')" for name in _DECIMALS)
    return bool(one(database, f"SELECT count(*) FROM cells WHERE {' OR '.join(conditions)}"))


def _reject_duplicates(database: duckdb.DuckDBPyConnection, where: str) -> None:
    """Reject a row that is there already, value for value; the first of them stays. `where` selects from `raw`."""
    values = ", ".join(VALUES)
    database.execute(
        "CREATE TEMP TABLE twice AS SELECT * FROM (SELECT line, "
        f"first_value(line) OVER (PARTITION BY {values} ORDER BY line) AS first "
        "FROM good SEMI JOIN (SELECT digest FROM good GROUP BY digest HAVING count(*) > 1) USING (digest)) "
        "WHERE line > first"
    )
    if where:
        database.execute(f"DELETE FROM twice WHERE line NOT IN (SELECT line FROM raw {where})")
    database.execute("INSERT INTO bad SELECT line, NULL, '', NULL, 'is the same row as line ' || first FROM twice")
    database.execute("DELETE FROM good WHERE line IN (SELECT line FROM twice)")
    database.execute("DROP TABLE twice")


def _invisible(name: str, *, is_exact: bool) -> str:
    """An expression that is what is wrong with the characters of a cell, or NULL. An exact cell may have any."""
    character = f"regexp_extract({name}, '{INVISIBLE}')"
    return (
        f"CASE {f'WHEN exact_{name} THEN NULL ' if is_exact else ''}"
        f"WHEN NOT regexp_matches({name}, '{INVISIBLE}') OR {name} IS NULL THEN NULL "
        f"WHEN {character} = '{UNREADABLE}' THEN 'has a character that could not be read' "
        f"WHEN {character} IN (chr(10), chr(13)) THEN 'has a line break' "
        f"ELSE 'has the invisible character U+' || format('{{:04X}}', unicode({character})) END"
    )


def _rule(name: str, sign: DecimalSign, *, is_exact: bool) -> str:
    """An expression that is the rule a cell breaks, or NULL."""
    known = PROPERTIES[name]
    match known.kind:
        case Kind.WHOLE:
            checks = _whole(name, known)
        case Kind.DECIMAL:
            checks = _number(name, sign, known)
        case Kind.DATE:
            checks = _date(name)
        case _:
            checks = _text(name, known, is_exact=is_exact)
    whens = " ".join(f"WHEN {condition} THEN '{rule}'" for condition, rule in checks)
    return f"CASE {'' if name in REQUIRED else f'WHEN {name} IS NULL THEN NULL '}{whens} END"


# The checks of a cell: a condition, and the rule that the cell breaks if it is true.


def _text(name: str, known: Property, *, is_exact: bool) -> Iterator[tuple[str, str]]:
    if name in REQUIRED:
        yield f"{name} IS NULL", "is missing"
    if known.min_length > 1:
        yield f"length({name}) < {known.min_length}", f"has fewer than {known.min_length} characters"
    if known.max_length is not None:
        yield f"length({name}) > {known.max_length}", f"has more than {known.max_length} characters"
    if known.kind is Kind.ID:
        dots = rf"regexp_matches({name}, '(^|[/\\])\.{{1,2}}([/\\]|$)')"  # a dot segment, also between slashes
        yield dots, "means another place in a URL"
    if known.whole:
        yield f"NOT regexp_full_match({name}, '0|[1-9][0-9]*')", "is not a whole number"
    if known.choices:
        choices = ", ".join(map(literal, known.choices))
        yield f"{name} NOT IN ({choices})", f"is none of {', '.join(known.choices)}"
    if known.pattern is not None:
        pattern = literal(known.pattern.pattern)
        what = name.replace("_no", " number").replace("_", " ")
        rule = f"cannot be a {what}: only the characters {_checks.characters(known)} may be in one"
        yield f"NOT regexp_full_match({name}, {pattern})", rule.replace("'", "''")
    elif known.kind is Kind.ID or known.required:
        # A space of another kind looks the same, but makes a different id. Most ids are ASCII.
        condition = f"strlen({name}) > length({name}) AND regexp_matches({name}, '{OTHER_SPACES}')"
        rule = "has a space that is not the plain one, such as a no-break space"
        yield f"NOT exact_{name} AND {condition}" if is_exact else condition, rule


def _date(name: str) -> Iterator[tuple[str, str]]:
    yield f"NOT regexp_full_match({name}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')", "is not a date as yyyy-MM-dd"
    yield f"try_cast({name} AS DATE) IS NULL OR {name} < '0001'", "is not a day of the calendar"
    if name == "end_date":
        yield "try_cast(end_date AS DATE) < try_cast(start_date AS DATE)", "is before the start"


def _whole(name: str, known: Property) -> Iterator[tuple[str, str]]:
    low = int(known.minimum) if known.minimum is not None else -(10**15)
    high = int(known.maximum) if known.maximum is not None else 10**15
    minus = "-?" if low < 0 else ""
    yield f"NOT regexp_full_match({name}, '{minus}[0-9]+')", "is not a whole number"
    number = f"coalesce(try_cast({name} AS HUGEINT), {high + 1})"
    yield f"{number} NOT BETWEEN {low} AND {high}", f"is not between {low} and {high}"


def _number(name: str, sign: DecimalSign, known: Property) -> Iterator[tuple[str, str]]:
    digits, decimals = _digits(known)
    minus = "" if known.minimum is not None and known.minimum >= 0 else "-?"
    number = _number_of(name, sign)
    if not sign.is_sure:
        rule = "may be read with thousands or with decimals; say --decimal-comma or --decimal-point"
        yield f"regexp_full_match({name}, '{_THOUSANDS}')", rule
    if not sign.point:
        yield f"contains({name}, '.')", "has a point, and the decimal sign is a comma"
    if not sign.comma:
        yield f"contains({name}, ',')", "has a comma, and the decimal sign is a point"
    yield f"regexp_matches({number}, '[{SPACES}]')", "is not a number: it has a space in it"
    rule = "is not a number" + ("" if minus else ", or below 0")
    yield f"NOT regexp_full_match({number}, '{minus}[0-9]+(\\.[0-9]+)?')", rule
    rule = f"has more than {digits} digits before the point"
    yield f"NOT regexp_full_match({number}, '{minus}0*[0-9]{{1,{digits}}}(\\..*)?')", rule
    rule = f"has more than {decimals} decimals"
    yield f"NOT regexp_full_match({number}, '[^.]*(\\.[0-9]{{1,{decimals}}}0*)?')", rule
    # The contract may set a limit that the number of digits does not express.
    value = f"try_cast({number} AS DECIMAL({digits + decimals}, {decimals}))"
    most = Decimal(10) ** digits - Decimal(10) ** -decimals
    if known.maximum is not None and known.maximum < most:
        unit = " percent" if known.name == "vat_rate" else ""
        yield f"{value} > {known.maximum}", f"is more than {known.maximum}{unit}"
    if known.minimum is not None and known.minimum not in {-most, 0}:
        yield f"{value} < {known.minimum}", f"is less than {known.minimum}"


def _typed(name: str, known: Property, sign: DecimalSign) -> str:
    """Return an expression for the value of a cell that is right."""
    match known.kind:
        case Kind.WHOLE:
            return f"{name}::BIGINT"
        case Kind.DECIMAL:
            digits, decimals = _digits(known)
            return f"{_number_of(name, sign)}::DECIMAL({digits + decimals}, {decimals})"
        case Kind.DATE:
            return f"{name}::DATE"
        case Kind.BOOLEAN:
            return f"{name}::BOOLEAN"
    return name


def _digits(known: Property) -> tuple[int, int]:
    """Return how many digits a number may have before and behind the point."""
    bounds = [abs(bound) for bound in (known.minimum, known.maximum) if bound is not None]
    digits = len(str(int(max(bounds)))) if bounds else _MOST_DIGITS
    return digits, known.decimals if known.decimals is not None else _MOST_DIGITS


def _number_of(name: str, sign: DecimalSign) -> str:
    """A number with a decimal point."""
    if name == "vat_rate":  # 25 % is 25
        name = f"CASE WHEN ends_with({name}, '%') THEN rtrim({name}[:-2], '{SPACES}') ELSE {name} END"
    return f"replace({name}, ',', '.')" if sign.comma else name


# The column `payex_exact`, with which `export` keeps what a cell cannot show. It is empty, or a JSON object:
# `{"text": " Fibre"}` has the exact text of a cell, here with a space before it, and `{"copy": true}` says that the row
# is a second charge with the same values. The rules for cells that people write do not hold for such a cell. If
# somebody has edited the cell since, the row is rejected.


def _exact_json(place: int) -> str:
    """Return an SQL expression for the object in `payex_exact`; NULL if the cell is empty or is not JSON."""
    return f"try_cast(nullif(c{place}, '') AS JSON)"


def _exact_text(name: str, place: int) -> str:
    return f"json_extract_string({_exact_json(place)}, '$.{name}')"


def _is_exact(name: str, place: int) -> str:
    """Return an SQL condition: the row has an exact text for this column."""
    return f"({_exact_text(name, place)} IS NOT NULL)"


def _is_copy(place: int) -> str:
    """Return an SQL condition: the row is meant as a second charge with the same values."""
    return f"(coalesce(json_extract_string({_exact_json(place)}, '$.copy'), '') = 'true')"


def _cell_of(name: str, place: int, exact: int | None) -> str:
    """Return an SQL expression for the value of a cell: its exact text, if the row has one."""
    shown = f"nullif(c{place}, '')"
    return shown if exact is None else f"coalesce({_exact_text(name, exact)}, {shown})"


def _refuse_edited(database: duckdb.DuckDBPyConnection, header: Header, exact: int) -> None:
    """Move a row to `broken` if `payex_exact` is not a JSON object, or has other values than the cells of the row."""
    edited = [f"coalesce(json_type({_exact_json(exact)}), '') <> 'OBJECT'"]
    edited += [
        f"({_is_exact(name, exact)} AND {visible(_exact_text(name, exact))} <> coalesce(c{place}, ''))"
        for name, place in header.places.items()
    ]
    database.execute(
        f"CREATE TEMP TABLE edited AS SELECT line FROM raw WHERE c{exact} <> '' AND ({' OR '.join(edited)})"
    )
    reason = f"does not fit its column {EXACT}. If the row was edited, empty that cell"
    cells = ", ".join(f"c{place}" for place in range(len(header.columns)))
    found = f"line, to_json([{cells}])::VARCHAR, '{reason}'"
    database.execute(f"INSERT INTO broken SELECT {found} FROM raw SEMI JOIN edited USING (line)")
    database.execute("DELETE FROM raw WHERE line IN (SELECT line FROM edited)")
    database.execute("DROP TABLE edited")
