"""The differences as text of at most 80 columns: what differs, what breaks, how well ours is known, where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import click

from .differ import Difference, Report

WIDTH = 80
_SHOWN = 3  # places and lines of one difference


def lines_of(report: Report, ours: str, theirs: str) -> Iterator[str]:
    """The lines; what breaks comes first. `ours` and `theirs` are the names of the files."""
    groups: dict[tuple[object, ...], list[Difference]] = {}
    for difference in sorted(_at_one_place(report.differences), key=lambda difference: not difference.breaks):
        groups.setdefault(_cause(difference), []).append(difference)
    for group in groups.values():
        yield from _group(group, ours, theirs)
        yield ""
    for sentence in report.not_compared:
        yield from _wrapped("Not compared: ", sentence)
    yield from _wrapped("", _sum(list(groups.values())))


def _at_one_place(differences: Iterable[Difference]) -> Iterator[Difference]:
    """One difference for each value, with all that changed of it."""
    values: dict[tuple[object, ...], list[Difference]] = {}
    for one in differences:
        values.setdefault((one.where, one.what, one.kind, one.name, one.why, one.provenance), []).append(one)
    for group in values.values():
        yield replace(group[0], detail="; ".join(one.detail for one in group))


def _cause(difference: Difference) -> tuple[object, ...]:
    """What differences with one cause have in common: the words, and the line of our contract."""
    where = difference.where if difference.ours_line is None else ""
    return (
        difference.what,
        difference.kind,
        _last(difference),
        difference.detail,
        difference.why,
        difference.provenance,
        difference.ours_line,
        where,
    )


def _last(difference: Difference) -> str:
    """The last name of a place, such as `quantity` of `200 items[].quantity`."""
    name = difference.name.partition(" ")[2] if difference.what == "response" else difference.name
    return name.rpartition(".")[2]


def _group(group: list[Difference], ours: str, theirs: str) -> Iterator[str]:
    first = group[0]
    mark = "BREAKS" if first.breaks else "note  "
    subject = first.what if first.what == _last(first) or not _last(first) else f"{first.what} {_last(first)}"
    kind = "" if first.kind == "changed" else f" {first.kind}"
    head, *rest = _wrapped(f"{mark}  ", f"{subject}{kind}: {first.detail}")
    yield click.style(mark, fg="red", bold=True) + head[len(mark) :] if first.breaks else head
    yield from rest
    if first.why:
        yield from _wrapped("        ", first.why)
    known = "" if first.provenance == "-" else f", {first.provenance}"
    if first.ours_line:
        yield from _wrapped("        ours    ", f"{ours}:{first.ours_line}{known}")
    elif known:
        yield f"        ours    {first.provenance}"
    lines = sorted({one.theirs_line for one in group if one.theirs_line})
    if lines:
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        yield from _wrapped("        theirs  ", f"{theirs}:{', '.join(map(str, lines[:_SHOWN]))}{more}")
    if first.what != "server":
        mark = "        in      "
        places = [f"{one.where}{f' ({one.name})' if _is_deeper(one) else ''}" for one in group]
        for place in places[:_SHOWN]:
            yield from _wrapped(mark, place)
            mark = "                "
        if len(places) > _SHOWN:
            yield from _wrapped(mark, f"and {len(places) - _SHOWN} more; --json lists all")


def _is_deeper(difference: Difference) -> bool:
    return bool(difference.name) and difference.name != _last(difference)


def _sum(groups: list[list[Difference]]) -> str:
    if not groups:
        return "No difference."
    breaking = sum(group[0].breaks for group in groups)
    count = "1 difference" if len(groups) == 1 else f"{len(groups)} differences"
    breaks = "1 breaks" if breaking == 1 else f"{breaking or 'none'} break"
    return f"{count}, of which {breaks} callers."


def _wrapped(start: str, text: str) -> Iterator[str]:
    """Break after a space or a slash."""
    line = start
    for word in re.findall(r"[^ /]*[ /]?", text):
        if len(line.rstrip()) > len(start.rstrip()) and len(line) + len(word.rstrip()) > WIDTH:
            yield line.rstrip()
            line = " " * len(start)
        line += word
    yield line.rstrip()
