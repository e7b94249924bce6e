"""The plot of docs/benchmarks.md: calls a second by concurrency, as an SVG that needs nothing else to be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 70, 210, 40, 50
# Colour-blind readers can tell the lines apart (Okabe and Ito), by light and by dark background.
LIGHT = {"ground": "#ffffff", "ink": "#1f2328", "grid": "#d0d7de"}
LIGHT_LINES = ("#0072b2", "#c14d00", "#007d5c", "#a8517f")
DARK = {"ground": "#0d1117", "ink": "#e6edf3", "grid": "#30363d"}
DARK_LINES = ("#56b4e9", "#e69f00", "#2fc99a", "#e59ac4")


def _style(colours: Mapping[str, str], lines: Sequence[str]) -> str:
    base = f"rect{{fill:{colours['ground']}}}text{{fill:{colours['ink']}}}line{{stroke:{colours['grid']}}}"
    return base + "".join(f".l{n}{{stroke:{line}}}.d{n}{{fill:{line}}}" for n, line in enumerate(lines))


_BRIGHT, _DIM = _style(LIGHT, LIGHT_LINES), _style(DARK, DARK_LINES)
STYLE = f"<style>{_BRIGHT}@media(prefers-color-scheme:dark){{{_DIM}}}</style>"


def lines(title: str, marks: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Draw one line for each series over the same marks, from zero up."""
    top = max(value for values in series.values() for value in values) * 1.05
    step = (WIDTH - LEFT - RIGHT) / (len(marks) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return LEFT + index * step, HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" '
        f'font-size="12"><title>{escape(title)}</title>{STYLE}<rect width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for tick in range(5):
        value = top * tick / 4
        _, y = place(0, value)
        drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{round(value, -2):,.0f}</text>')
    for index, mark in enumerate(marks):
        x, _ = place(index, 0)
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{escape(mark)}</text>')
    for number, (name, values) in enumerate(series.items()):
        points = [place(index, value) for index, value in enumerate(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        drawn.append(f'<polyline points="{path}" class="l{number}" fill="none" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="d{number}"/>' for x, y in points]
        x, y = points[-1]
        drawn.append(f'<text x="{x + 10:.1f}" y="{y + 4:.1f}">{escape(name)}</text>')
    return "\n".join([*drawn, "</svg>", ""])
