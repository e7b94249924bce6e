"""Make many valid values for a schema: texts, numbers, dates and identifiers that servers are known to change.

`schemas.py` makes values near the limits of a schema. This module adds values inside the limits. The tables below have
one entry for each behaviour of software that changes a value: normalisation, escaping, rounding, conversion of types.
The schema decides which values of a table are sent, so the tables contain no limit of the contract.
"""

from __future__ import annotations

import calendar
import random
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st

from .bodies import BODIES
from .schemas import JUDGE, accepted, exact, resolve

T = TypeVar("T")
LONGEST = 80  # characters of a text whose schema has no maximum
SEED = 20_260_101  # random values are the same in each run, so that a report can be repeated

# Texts that mean something to some software. Each is short, because the longest product code has few characters.
TEXTS: Mapping[str, Sequence[str]] = {
    "normalisation": (
        "\u00e9", "e\u0301", "\u212b", "\u00c5", "A\u030a", "\ufb01", "\u2126", "\u1e9b\u0323", "\u0958", "\uac00",
        "\u1100\u1161", "a\u0328\u0301", "a\u0301\u0328", "\u00bd", "\u00b2", "\u2460", "\uff21", "\ufdfa", "\u0344",
    ),
    "spaces": ("\u00a0", "\u202f", "\u2009", "\u3000", "\u2003", "\u1680", "\u2028", "\u2029", "\u0085"),
    "invisible": ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u180e", "\u034f", "\ufe0f", "\u3164"),
    "typography": (
        *"\u2019\u2018\u201c\u201d\u201e\u00ab\u00bb\u2013\u2014\u2026\u2010\u2011\u2212\u2032\u2122\u00a9\u20ac",
        "--", "...", "(c)", "1/2", "->",
    ),
    "markup": (
        "<b>", "</a>", "<p>x", "&amp;", "&lt;", "&#38;", "&eth", "&", "<", ">", "<!--", "]]>", "{{1}}", "${1}", "#{1}",
        "%s", "%d", "{0}", "{}", "<%=", "?>", "*a*", "_a_", "~", "`a`", "[a]", "# a", "|", ":-)",
    ),
    "escapes": (
        "\\n", "\\", "\\\\", "\\x41", "\\u41", "\\/", "\\\"", "\"", "\"a\"", "'", "'a'", "''", "\\'", "`", "%20", "%2F",
        "%41", "%00", "%25", "%", "+", "a+b", "=41", "=?", "\\0", "\\N", "^A",
    ),
    "letters": (
        *"\u00df\u1e9e\u0130\u0131iI\u03c2\u03c3\u03a3\u01c6\u01c5\u01c4\u0149\ufb03\uab70\u13a0\u017f\u212a\u00ff",
        "SS", "ss", "\u03a3\u03a3", "aB", "Ab", "AB", "ab", "\u00e5\u00e4\u00f6", "\u00c5\u00c4\u00d6", "\u00e6\u00d8",
    ),
    "beyond 16 bits": (
        "\U0001f600", "\U0001d7d8", "\U00010437", "\U00020bb7", "\U0010fffd", "\U0001f1f8\U0001f1ea",
        "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001f468\u200d\U0001f469", "\U000e0041",
    ),
    "right to left": (
        "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d", "\u202e", "\u202d", "\u200f", "\u200e", "\u2066", "\u2069",
        "\u0661\u0662\u0663", "a\u05e9b",
    ),
    "spacing": (
        "", " ", "  ", " a", "a ", " a ", "  a", "a  ", "a b", "a  b", "\t", "\n", "\r", "\r\n", "a\nb", "a\r\nb",
        "\na", "a\n", "a\tb", "\ta", "a\t", "\x0b", "\x0c", "\x1f", "\x7f", "\x00", "a\x00", "\x01", "\x1b",
    ),
    "numbers": (
        "0", "00", "007", "1", "01", "1.0", "1.", ".5", "1e3", "1E3", "-1", "-0", "+1", "0x1F", "1,5", "1_0", "1 0",
        "NaN", "nan", "inf", "-inf", "\uff11", "\u0968", "1L", "1d", "0b1", "0o7", "\u00b9", "12345", "99999", "10000",
    ),
    "words": (
        "null", "NULL", "Null", "None", "nil", "NIL", "undef", "true", "false", "True", "FALSE", "yes", "no", "on",
        "off", "Y", "N", "[]", "[1]", "\"\"", "''", "{a}", "N/A", "#N/A", "-", "?", "a,b", "a;b", ",", ";", "CON",
    ),
    "dates": ("2026", "1/2", "1-2", "MAR1", "SEP1", "12:30", "2026-01-01", "01/02/2026", "2026-01-01T00:00:00Z"),
    "formulas": ("=1+1", "=A1", "@A1", "-1+1", "+1+1", "=", "@", "'=1", "\t=1", "$1", "1%", "\u00a31", "1kr"),
    "queries": ("'--", "';", "'OR'1", "--a", "/*a*/", "a%", "a_", "_", "%%", "*", "a*", "?", "[a-z]", "^a$", "("),
    "paths": ("../", "..", ".", "...", "a.", ".a", "/", "//", "a/b", "/a", "a/", "C:\\", "a:b", "a?b", "a#b", "a@b"),
}  # fmt: skip

# Texts that some software converts to another type, or trims.
WHOLE = (
    "1",
    "01",
    "007",
    "1.0",
    "1e3",
    " a",
    "a ",
    "null",
    "true",
    "=1+1",
    "a\nb",
    "2026-01-01",
    "a\t",
    "-1",
    "+1",
    "A",
    "a",
)

ROUNDED = ("0.1", "0.7", "1.005", "2.675", "1.115", "0.285", "19.99", "4.35", "1.15", "33.333333", "66.666667", "0.3")
BINARY = (7, 8, 10, 12, 15, 16, 20, 23, 24, 31, 32, 53, 63)  # exponents at which binary numbers end or lose digits
YEARS = (
    1, 2, 99, 999, 1000, 1582, 1600, 1700, 1752, 1800, 1899, 1900, 1901, 1904, 1949, 1950, 1968, 1969, 1970, 1971, 1980,
    1999, 2000, 2001, 2004, 2020, 2021, 2024, 2025, 2026, 2027, 2028, 2029, 2030, 2036, 2037, 2038, 2039, 2049, 2050,
    2068, 2069, 2070, 2079, 2099, 2100, 2101, 2106, 2107, 2200, 2262, 2400, 2999, 3000, 9998, 9999,
)  # fmt: skip


def values_of(schema: Mapping[str, Any]) -> list[Any]:
    """Return the values that a schema allows, from all tables, without null and without duplicates."""
    found: list[Any] = []
    for branch in map(resolve, resolve(schema).get("anyOf", [schema])):
        found += [value for value in accepted(branch) if value is not None]
        found += _valid(branch, _more(branch))
    unique = {(type(value).__name__, str(value)): value for value in found}
    return list(unique.values()) or [BODIES.sample(schema)]


def _more(schema: Mapping[str, Any]) -> Iterable[Any]:
    match schema.get("type"):
        case "string" if schema.get("format") == "date":
            return dates()
        case "string" if "format" not in schema:
            return texts(schema)
        case "integer":
            return whole_numbers(schema)
        case "number":
            return decimals(schema)
        case "boolean":
            return (True, False)
    return ()


def _valid(schema: Mapping[str, Any], values: Iterable[Any]) -> list[Any]:
    allows = _judge_of(schema)
    return [value for value in values if allows(value)]


def _judge_of(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Return the function that says whether a schema allows a value.

    `$` in a pattern of JSON Schema is the end of the text (ECMA-262). In Python, `$` also matches before a line break
    at the end, so such a text is left out here.
    """
    validator, has_pattern = JUDGE.validator(schema), "pattern" in resolve(schema)
    return lambda value: not (has_pattern and str(value).endswith("\n")) and bool(validator.is_valid(value))


def spread(values: Sequence[T], at_most: int) -> Sequence[T]:
    """Return at most `at_most` values: the first, the last, and values at equal distances between them."""
    if len(values) <= at_most:
        return values
    return [values[index * (len(values) - 1) // max(1, at_most - 1)] for index in range(at_most)]


# texts


def texts(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield each text of the table alone, then at the start, in the middle and at the end of a text; all lengths."""
    longest = schema.get("maxLength", LONGEST)
    entries = [text for group in TEXTS.values() for text in group]
    yield from entries
    shift = len(entries) // 3
    for index, start in enumerate(entries):
        middle, end = entries[index - shift], entries[index - 2 * shift]
        whole = f"{start}x{middle}y{end}"
        yield whole if len(whole) <= longest else f"{start}x" if index % 2 else f"x{start}"
    line = "".join(chr(33 + index * 7 % 90) for index in range(longest))  # no two neighbours are equal
    for length in range(longest + 1):
        yield line[:length]
    characters = [*map(chr, range(0x20, 0x250)), *_one_of_each_block(), *_one_of_each_category()]
    if longest >= 20:  # a shorter text would need too many requests
        characters += _common_scripts()
    yield from _packed(characters, longest)
    yield from _packed("".join(f"{character}{character}" for character in string.punctuation + " åß中"), longest)


def few_texts(schema: Mapping[str, Any]) -> list[str]:
    """Return the entries of the table, joined into few texts, and the texts of `WHOLE`.

    A real endpoint gets few requests. A joined text still shows that a server changes one character, such as `&`.
    """
    longest = schema.get("maxLength", LONGEST)
    allows = _judge_of(schema)
    inside = [text for group in TEXTS.values() for text in group if allows(f"x{text}x"[:longest])]
    characters = [chr(code) for code in range(0x20, 0x250) if allows(f"x{chr(code)}x"[:longest])]
    found = [*WHOLE, *_packed((f"{text}x" for text in inside), longest), *_packed(characters, longest)]
    return [text for text in found if allows(text)]


def _packed(characters: Iterable[str], longest: int) -> Iterator[str]:
    """Join characters into as few texts as possible."""
    joined = "".join(characters)
    for start in range(0, len(joined), max(1, longest)):
        yield joined[start : start + longest]


@cache
def _common_scripts() -> Sequence[str]:
    """Return all characters of the scripts and symbols below U+3100, and the compatibility characters above U+F900."""
    codes = [*range(0x250, 0x3100), *range(0xF900, 0x10000)]
    return [each for each in map(chr, codes) if unicodedata.category(each) not in {"Cn", "Cs"}]


@cache
def _one_of_each_block() -> Sequence[str]:
    """Return one letter, digit or symbol of each 256 characters of Unicode that have one."""
    found = []
    for start in range(0x200, 0x30000, 0x100):
        block = (chr(code) for code in range(start, start + 0x100))
        found += [next((each for each in block if unicodedata.category(each)[0] in "LNS"), "")]
    return list(filter(None, found))


@cache
def _one_of_each_category() -> Sequence[str]:
    """Return the first character of each general category, without surrogates: a text in UTF-8 cannot have these."""
    found: dict[str, str] = {}
    for character in map(chr, [*range(0x3100), *range(0xE000, 0x10500)]):
        found.setdefault(unicodedata.category(character), character)
    return list(found.values())


# numbers


def whole_numbers(schema: Mapping[str, Any]) -> Iterator[int]:
    """Yield small numbers, powers of ten and two and the numbers beside them, and random numbers."""
    low, high = int(schema.get("minimum", -(10**9))), int(schema.get("maximum", 10**9))
    found = [*range(-12, 130), 365, 366, 1234, 12345, *(int(digit * 5) for digit in "123456789")]
    for border in [*(10**power for power in range(10)), *(2**power for power in BINARY)]:
        found += [sign * (border + beside) for sign in (1, -1) for beside in (-1, 0, 1)]
    found += [int(digit) * 10**power for digit in "23456789" for power in range(1, 9)]
    chance = random.Random(SEED)
    return iter([each for each in found if low <= each <= high] + [chance.randint(low, high) for _ in range(200)])


def decimals(schema: Mapping[str, Any]) -> Iterator[Decimal]:
    """Yield numbers of each size with each number of decimals, in several notations, and both signs of each."""
    schema = exact(dict(schema))
    low, high = Decimal(schema.get("minimum", -(10**9))), Decimal(schema.get("maximum", 10**9))
    step = Decimal(schema.get("multipleOf", Decimal("0.000001")))
    places = max(0, -int(step.normalize().as_tuple().exponent))
    powers = [Decimal(10) ** power for power in range(-places, len(str(int(high))))]
    found = [power * digit for power in powers for digit in (1, 2, 3, 5, 7, 9)] + [power + step for power in powers]
    found += [10 * power - step for power in powers]
    for place in range(places + 1):
        unit = Decimal(10) ** -place
        found += [Decimal(whole) + part * unit for whole in (0, 1, 12, 9999) for part in (1, 5, 9)]
        found += [Decimal(digit * 7) * unit for digit in "1234569"] + [round(high / 3, place), round(high / 7, place)]
    found += map(Decimal, ROUNDED)
    for unit in {Decimal(1), Decimal("0.01"), step}:  # a server may hold a number as a count of hundredths or of steps
        found += [Decimal(2) ** power * unit + beside * unit for power in BINARY for beside in (-1, 0, 1)]
    found += [Decimal(2) ** power + beside for power in BINARY for beside in (step, -step)]
    found += [low, high, low + step, high - step, step, Decimal(0), high - 1, Decimal(int(high)), Decimal(100)]
    chance = random.Random(SEED)
    steps = int(low / step), int(high / step)
    found += [chance.randint(*steps) * step for _ in range(200)]
    for value in found:
        yield from (value, -value)
    zeros = step / 10  # JSON allows more zeros than the step has decimals: 1.5 and 1.5000000 are one number
    yield from (Decimal("-0.0"), Decimal("1E+1"), Decimal("1E+2"), Decimal("15E-1"))
    yield from (Decimal(text).quantize(zeros) for text in ("1", "1.5", "10", "100", "0", "0.5"))


# dates


@cache
def dates() -> Sequence[str]:
    """Return borders of years and months, days that look like another day, and days on which clocks change."""
    leap_year = [date(2028, 1, 1) + timedelta(days=day) for day in range(366)]
    # The 12th can be a month, the 13th cannot. After the 28th, months differ.
    found = {day for day in leap_year if day.day <= 13 or day.day >= 28}
    for year in YEARS:
        found |= {date(year, 1, 1), date(year, 3, 1), date(year, 12, 31)}
        found |= {date(year, 2, calendar.monthrange(year, 2)[1])}
    found |= {date(1969, 12, 30), date(1970, 1, 2), date(2038, 1, 18), date(2038, 1, 19), date(2038, 1, 20)}
    found |= {date(1582, 10, 4), date(1582, 10, 10), date(1582, 10, 15), date(1752, 9, 2), date(1752, 9, 14)}
    for year in (2025, 2026, 2027):
        for month in (3, 10, 11):
            sundays = [week[6] for week in calendar.monthcalendar(year, month) if week[6]]
            days = [sundays[0], sundays[1], sundays[-1], sundays[-1] - 1]
            found |= {date(year, month, day) for day in days}
    for year in (2020, 2021, 2024, 2026, 2027):  # days that belong to a week of the other year
        found |= {date(year, 12, day) for day in (28, 29, 30, 31)} | {date(year, 1, day) for day in (1, 2, 3, 4)}
    return [day.isoformat() for day in sorted(found)]


# identifiers


def similar_numbers(number: str, schemas: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the texts that some software takes for the same as `number`, as far as all schemas allow them.

    The number itself is the first. Each text is another identifier, because an identifier is a text: the contract has
    no rule by which two different texts are equal.
    """
    head, tail = number[:-1], number[-1]
    # A real endpoint gets only the first of these numbers, so the common faults of servers come first.
    found = [number, number.replace("å", "Å"), number.replace("å", "ä"), number.swapcase(), f"0{number}", f"{number}0"]
    found += [number.replace("å", "a"), f"{number}+", f" {number}", f"{number} ", number.replace("0", " ")]
    found += [
        number.replace("0", "+"),
        number.replace("0", "%"),
        number.replace("0", "_"),
        unicodedata.normalize("NFD", number),
    ]
    found += [head, number + tail, f"{number}.", number.replace("0", "O"), number.upper(), number.lower(), f"{number}&"]
    found += [
        number.replace("0", "%20"),
        number.replace("0", "/"),
        f"{number}#",
        f"{number}?",
        number[::-1],
        number[1:],
    ]
    found += [
        number + each
        for each in (".0", "1", "/", "-", "_", "%", "*", "å", "\u0301", "\u200b", "\x00", "\t", "\u00a0", "e0")
    ]
    found += [number + each for each in ("=", "'", '"', ";", "%20", "/.", "\u00e5")]
    found += [each + number for each in (".", "00", "-", "+", "_", "/", "%", "*", "\ufeff", "å", "&", "'", "#")]
    for index in range(len(number)):
        found += [number[:index] + each + number[index + 1 :] for each in ("_", ".", "%", "*", "?", "-", " ")]
        found += [number[:index] + each + number[index:] for each in (" ", "/", "-", ".", "\u00ad", "\u200d", "\\")]
        encoded = "".join(f"%{byte:02X}" for byte in number[index].encode())
        found += [number[:index] + encoded + number[index + 1 :]]
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        found.append(unicodedata.normalize(form, number))
    for old, new in (
        ("å", "a"),
        ("å", "a\u030a"),
        ("å", "Å"),
        ("å", "ä"),
        ("å", "Ã¥"),
        ("å", "?"),
        ("0", "O"),
        ("1", "l"),
    ):
        found.append(number.replace(old, new))
    found.append(number.translate({ord(digit): ord("\uff10") + int(digit) for digit in string.digits}))
    found.append(number.translate({ord(digit): ord("\u0660") + int(digit) for digit in string.digits}))
    return _allowed_by_all(found, schemas)


def special_numbers(schemas: Sequence[Mapping[str, Any]], *, few: bool = False) -> list[str]:
    """Return the texts of the table that all schemas allow as a number; with `few`, joined into few numbers."""
    if few:
        return _allowed_by_all(
            few_texts(min(map(resolve, schemas), key=lambda each: each.get("maxLength", LONGEST))), schemas
        )
    return _allowed_by_all([text for group in TEXTS.values() for text in group], schemas)


def _allowed_by_all(values: Iterable[str], schemas: Iterable[Mapping[str, Any]]) -> list[str]:
    judges = [_judge_of(schema) for schema in schemas]
    return [each for each in dict.fromkeys(values) if all(allows(each) for allows in judges)]


# random values


def any_value(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy of values that a schema allows: from the tables, or random."""
    values = [*values_of(schema), *([None] if JUDGE.takes(schema, None) else [])]
    # `sampled_from` and `__getitem__` would show all values in each report of Hypothesis.
    known: st.SearchStrategy[Any] = st.integers(0, len(values) - 1).map(lambda index: values[index])
    found = [known]
    for branch in map(resolve, resolve(schema).get("anyOf", [schema])):
        strategy = _random_value(exact(dict(branch)))
        if strategy is not None:
            found.append(strategy.filter(_judge_of(branch)))
    return st.one_of(found)


def _random_value(schema: Mapping[str, Any]) -> st.SearchStrategy[Any] | None:
    match schema.get("type"):
        case "string" if schema.get("format") == "date":
            return st.dates().map(date.isoformat)
        case "string" if not {"format", "pattern", "enum"} & set(schema):
            characters = st.characters(exclude_categories=["Cs"])
            return st.text(characters, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", LONGEST))
        case "integer" if "minimum" in schema and "maximum" in schema:
            return st.integers(int(schema["minimum"]), int(schema["maximum"]))
        case "number" if {"minimum", "maximum", "multipleOf"} <= set(schema):
            step = Decimal(schema["multipleOf"])
            steps = st.integers(int(Decimal(schema["minimum"]) / step), int(Decimal(schema["maximum"]) / step))
            return steps.map(lambda count: count * step)
    return None
