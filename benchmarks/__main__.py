"""`make bench`: measure, print, and write docs/benchmarks.md. Seconds differ by machine; the ratios are what counts."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks import applying, calls, commands, imports, tables
from benchmarks.measure import Row

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PACKAGES = ("payex-billing", "httpx", "attrs", "stripe", "granian", "duckdb", "click")


def main() -> int:
    """Run all; returns 1 when a goal is missed."""
    sections = [
        ("Import", imports.TEXT, imports.measure()),
        ("Sequential GET", calls.TEXT, calls.measure()),
        ("Commands", commands.TEXT, commands.measure()),
        ("Tables", tables.TEXT, tables.measure()),
        ("Apply", applying.TEXT, applying.measure()),
    ]
    page = "\n".join(_page(sections))
    PAGE.write_text(page, encoding="utf-8")
    print(page)
    missed = [row.name for _, _, rows in sections for row in rows if row.missed]
    if missed:
        print(f"Goals missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


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
        yield "| what | median | ratio | goal |"
        yield "| --- | --- | --- | --- |"
        for row in rows:
            goal = f"at most {row.goal:g}" if row.goal is not None else ""
            yield f"| {row.name} | {row.median:.1f} {row.unit} | {row.ratio:.2f} | {goal} |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
