"""`make bench`: measure, print, and write docs/benchmarks.md. Seconds differ by machine; the ratios are what counts."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
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
    tables,
    throughput,
)
from benchmarks.measure import Row

DOCS = Path(__file__).parent.parent / "docs"
PACKAGES = (
    "payex-billing", "httpx2", "httpx", "pyreqwest", "msgspec", "attrs", "stripe", "openapi-python-client", "granian",
    "duckdb", "click",
)  # fmt: skip


def main() -> int:
    """Run all; returns 1 when a goal is missed."""
    fast = throughput.measure()
    sections = [
        ("Memory, connections, construction", clients.TEXT, clients.measure()),
        ("Import", imports.TEXT, imports.measure()),
        ("Sequential GET", calls.TEXT, calls.measure()),
        ("Instructions", instructions.TEXT, instructions.measure()),
        ("Safety checks", checks.TEXT, checks.measure()),
        ("Throughput", f"{throughput.TEXT}\n\n![Calls a second by concurrency](benchmarks.svg)", fast),
        ("A server of 20 ms", throughput.SLOW_TEXT, throughput.measure_slow_server()),
        ("The slowest calls", throughput.LATE_TEXT, throughput.measure_late()),
        ("The mock", servers.TEXT, servers.measure()),
        ("Commands", commands.TEXT, commands.measure()),
        ("Tables", tables.TEXT, tables.measure()),
        ("Apply", applying.TEXT, applying.measure()),
        ("Nights", nights.TEXT, nights.measure()),
        ("History", histories.TEXT, histories.measure()),
        ("Generation", generation.TEXT, generation.measure()),
    ]
    page = "\n".join(_page(sections))
    (DOCS / "benchmarks.md").write_text(page, encoding="utf-8")
    (DOCS / "benchmarks.svg").write_text(_plot(fast), encoding="utf-8")
    print(page)
    missed = [f"{row.name} (to {row.base})" for _, _, rows in sections for row in rows if row.missed]
    if missed:
        print(f"Goals missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def _plot(rows: list[Row]) -> str:
    measured = {row.name: row.median for row in rows if not row.base}
    at = ("16", "64", "256")
    names = (calls.BARE, calls.FAST, calls.SLOW, calls.STOCK)
    series = {name: [measured[f"GET at {workers}, {name}"] for workers in at] for name in names}
    return plot.lines("Calls a second, by workers at once", at, series)


def _page(sections: list[tuple[str, str, list[Row]]]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Made by `make bench`; do not edit. Medians of interleaved runs on one machine; the ratios are what counts."
    yield ""
    yield f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}; " + ", ".join(
        f"{name} {version(name)}" for name in PACKAGES
    )
    for title, text, rows in sections:
        yield ""
        yield f"## {title}"
        yield ""
        yield text
        yield ""
        if not rows:
            yield "Not measured: the tool for it was not installed."
            continue
        yield "| what | median |"
        yield "| --- | --- |"
        for row in rows:
            if not row.base or ("limit" in row.base and row.unit != "thousand"):
                yield f"| {row.name} | {row.median:,.1f} {row.unit} |"
        yield ""
        yield "| ratio | of | is | goal |"
        yield "| --- | --- | --- | --- |"
        for row in rows:
            if row.base:
                yield f"| {row.name} | {row.base} | {row.ratio:.2f} | {row.aim}{' (missed)' if row.missed else ''} |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
