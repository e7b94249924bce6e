"""`make bench`: measure, print, and write docs/benchmarks.md. Seconds differ by machine; the ratios are what counts."""

from __future__ import annotations

import argparse
import platform
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    applying,
    calls,
    checks,
    clients,
    commands,
    generation,
    histories,
    imports,
    instructions,
    nights,
    plot,
    servers,
    shared,
    sizes,
    tables,
    throughput,
)
from benchmarks.measure import Row

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PACKAGES = (
    "payex-billing", "httpx2", "httpx", "pyreqwest", "msgspec", "attrs", "stripe", "openapi-python-client", "granian",
    "duckdb", "click",
)  # fmt: skip


def _sections() -> dict[str, tuple[str, Callable[[], list[Row]]]]:
    """The title of each section, its text, and what measures it."""
    return {
        "Memory, connections, construction": (clients.TEXT, clients.measure),
        "Install size": (sizes.TEXT, sizes.measure),
        "Import": (imports.TEXT, imports.measure),
        "Sequential GET": (calls.TEXT, calls.measure),
        "Instructions": (instructions.TEXT, instructions.measure),
        "Safety checks": (checks.TEXT, checks.measure),
        "Throughput": (f"{throughput.TEXT}\n\n![Calls a second by concurrency](benchmarks.svg)", _throughput),
        "A server of 20 ms": (throughput.SLOW_TEXT, throughput.measure_slow_server),
        "The slowest calls": (throughput.LATE_TEXT, throughput.measure_late),
        "The mock": (servers.TEXT, servers.measure),
        "Commands": (commands.TEXT, commands.measure),
        "Tables": (tables.TEXT, tables.measure),
        "Apply": (applying.TEXT, applying.measure),
        "Nights": (nights.TEXT, nights.measure),
        "History": (histories.TEXT, histories.measure),
        "Shared journal": (shared.TEXT, shared.measure),
        "Generation": (generation.TEXT, generation.measure),
    }


def main() -> int:
    """Measure, and write each section when it is measured; returns 1 when a goal is missed."""
    sections = _sections()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(sections), action="append", help="measure only this section")
    chosen: list[str] = parser.parse_args().only or list(sections)
    written = _written()
    missed = []
    for title in chosen:
        text, measure = sections[title]
        rows = measure()
        written[title] = "\n".join(_section(title, text, rows))
        print(written[title], flush=True)
        page = [_head(), *(written[name] for name in sections if name in written)]
        PAGE.write_text("\n\n".join(page) + "\n", encoding="utf-8")
        missed += [f"{row.name} (to {row.base})" for row in rows if row.missed]
    if missed:
        print(f"Goals missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def _written() -> dict[str, str]:
    """The sections of the page as it is, by title."""
    parts = re.split(r"^(?=## )", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].removeprefix("## "): part.strip() for part in parts}


def _throughput() -> list[Row]:
    rows = throughput.measure()
    PAGE.with_suffix(".svg").write_text(_plot(rows), encoding="utf-8")
    return rows


def _plot(rows: list[Row]) -> str:
    measured = {row.name: row.median for row in rows if not row.base}
    at = ("16", "64", "256")
    names = (calls.BARE, calls.FAST, calls.SLOW, calls.STOCK)
    series = {name: [measured[f"GET at {workers}, {name}"] for workers in at] for name in names}
    return plot.lines("Calls a second, by workers at once", at, series)


def _head() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        "# Benchmarks\n\n"
        "`make bench` makes this page. Medians of interleaved runs on one machine; the ratios are what counts. "
        '`make bench ARGS="--only Apply"` measures one section again.\n\n'
        f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}; {packages}"
    )


def _section(title: str, text: str, rows: list[Row]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield text
    yield ""
    if not rows:
        yield "Not measured: the tool for it was not installed."
        return
    yield "| what | median |"
    yield "| --- | ---: |"
    for row in rows:
        if not row.base or ("limit" in row.base and row.unit != "thousand"):
            yield f"| {row.name} | {row.median:,.1f} {row.unit} |"
    yield ""
    yield "| ratio | of | is | goal |"
    yield "| --- | --- | ---: | --- |"
    for row in rows:
        if row.base:
            yield f"| {row.name} | {row.base} | {row.ratio:.2f} | {row.aim}{' (missed)' if row.missed else ''} |"


if __name__ == "__main__":
    sys.exit(main())
