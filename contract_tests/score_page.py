"""Write docs/contract-score.md: a section for each part of the score. A part that is run alone replaces its section."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from .categories import CATEGORIES
from .faults import FAULTS
from .mutation.freedoms import FREEDOMS
from .variants import VARIANTS

if TYPE_CHECKING:
    from .mutation.trial import Outcome
    from .suite import Finding

PARTS = ("summary", "variants", "mutants", "faults", "stock", "categories", "attack", "times", "each fault")
HEAD = """\
# Contract score

What the contract suite notices, and what it does not. `make contract-score` writes each section from a run;
`make contract-score ARGS="--only mutants"` writes one again.
"""

DIRECTED = "`test_probes.py`"
# The faults of faults/unseen.py that the suite missed when they were first planted, and what closed the cause.
UNSEEN = "unseen.py"
FIRST_MISSED = {
    "instance_has_the_number": "no problem repeats a number of the request, `instance` too (x-rules, problem-texts)",
    "half_the_token": "no response has half of the token",
    "not_modified": "headers of conditions that hold change nothing",
    "exponent_fails": "numbers with exponents of up to five digits are taken or refused",
    "long_list_is_slow": "the time of a list is compared with that of a list half as long",
}
# Why some mutants are missed, and what the first measurement said.
MISSED = (
    "A problem that names the parameters of another request (`problems: neighbour's`) is noticed where a probe expects "
    "names, and where it names a parameter whose value is valid. In a business refusal, and for a body that is not "
    "valid JSON, the contract does not say which names are right.",
    "",
    "The first measurement, before this score drove any change, noticed 328 of 337 (97.3 %). What closed the rest is "
    "general: the memory of a run, which compares every response with what the run has made; the title of every "
    "problem; the parameters that a problem may name; the grammar of challenges; the collection that an operation "
    "names.",
)


@dataclass(frozen=True)
class Verdict:
    """The result for one fault: whether it was caught, which check caught it, and the time."""

    caught: bool
    by: str
    seconds: float


def write(page: Path, sections: Mapping[str, Sequence[str]]) -> None:
    """Replace some sections of the page, and keep the others."""
    kept = _read(page) | {name: "\n".join(lines).strip() for name, lines in sections.items()}
    parts = [f"<!-- {name} -->\n\n{kept[name]}\n" for name in PARTS if name in kept]
    page.write_text("\n".join([HEAD, *parts]), encoding="utf-8")


def _read(page: Path) -> dict[str, str]:
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    pieces = re.split(r"^<!-- (.+) -->$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}


def summary(clean: Sequence[float]) -> list[str]:
    """Return the section about the mock without faults."""
    return [
        f"Schemathesis {version('schemathesis')}, Hypothesis {version('hypothesis')}, CPython "
        f"{platform.python_version()}, {os.cpu_count()} cores. The mock without a fault passed the whole suite "
        f"{len(clean)} times, each with a seed of its own (median {sorted(clean)[len(clean) // 2]:.0f} s). The second "
        f"server (`contract_tests/peer/`) passed the probes and the model {len(clean)} times.",
    ]


def variants(blames: Mapping[str, Finding | None]) -> list[str]:
    """Return the section about servers that the contract allows."""
    false_alarms = [name for name, finding in blames.items() if finding is not None]
    lines = [
        "## Allowed servers",
        "",
        f"The {len(blames)} variants of `contract_tests/variants/` differ from the mock in one thing each that the "
        f"contract or HTTP allows. All probes ran on each: {len(false_alarms)} false alarms.",
        "",
        "| variant | why it is allowed | blamed by |",
        "| --- | --- | --- |",
    ]
    for name, finding in blames.items():
        by = f"**{finding.where}: {finding.promise}**" if finding else "nothing"
        lines.append(f"| `{name}` | {_cell(VARIANTS[name].description)} | {_cell(by)} |")
    return lines


def mutants(outcomes: Sequence[Outcome], total: int, kinds: int, exchanges: int, seed: int) -> list[str]:
    """Return the section about the mutants of responses."""
    base = [each for each in outcomes if not each.allowed]
    noticed = [each for each in base if each.by]
    by_run = [each for each in noticed if ": " in each.by]
    by_rule = [each for each in noticed if each not in by_run]
    lines = [
        "## Mutants of responses",
        "",
        "No author thought of these. The mock's responses to the probes and the model are recorded "
        f"({exchanges:,} exchanges, {kinds} kinds: operation, status and state of the body). Then each property at "
        "each depth, each header, the status and the body of each kind is changed, one at a time: removed, null, "
        "another type, another resource's value, off by one digit, other case, cut short, empty, list items dropped, "
        "doubled or swapped. Each change is one mutant that changes every response of the kind, and one that changes a "
        "single response.",
        "",
        f"There are {total:,} mutants. Tried: {len(outcomes):,}, "
        + ("all of them." if len(outcomes) == total else f"drawn at random (seed {seed})."),
        "",
        "| mutants | number | share |",
        "| --- | ---: | ---: |",
        f"| within what the contract leaves open | {len(outcomes) - len(base):,} | |",
        f"| a fault | {len(base):,} | 100 % |",
        f"| noticed by a rule, on the response alone | {_share(by_rule, base)}",
        f"| noticed by a probe or the model | {_share(by_run, base)}",
        f"| **noticed** | {_share(noticed, base)}",
        f"| missed | {_share([each for each in base if not each.by], base)}",
    ]
    for name, part in (
        ("on every response", [each for each in base if each.mutant.always]),
        ("on a single response", [each for each in base if not each.mutant.always]),
    ):
        lines.append(f"| noticed of those {name} | {_share([each for each in part if each.by], part)}")
    counts = Counter(each.by for each in outcomes if each.allowed)
    lines += ["", "What the contract leaves open, and how many mutants stay within it:", ""]
    lines += ["| what is open | mutants |", "| --- | ---: |"]
    lines += [f"| {why} | {counts[name]:,} |" for name, (why, _) in FREEDOMS.items()]
    lines.append(f"| several of these together | {counts['several freedoms']:,} |")
    lines += ["", "Missed:", ""]
    lines += [f"- {_cell(str(each.mutant))}" for each in base if not each.by] or ["- none"]
    lines += ["", *MISSED]
    return lines


def faults(mine: Mapping[str, Verdict]) -> list[str]:
    """Return the section about planted faults: by family and by file."""
    lines = [
        "## Planted faults",
        "",
        f"The {len(mine)} faults of `contract_tests/faults/` are **ours**: the authors of the suite wrote them, and "
        "the suite was extended until it caught them. The numbers show that nothing is lost again, not how the suite "
        "does with faults that its authors have not seen.",
        "",
        "For that there are four measurements by testers from outside, whose faults are not in this "
        "repository. In the first edition they planted 134: the suite caught 72 %. Others planted 62 in a "
        "server of their own: it caught 34 (55 %). These 196 **were not run again**. In this edition a third "
        "tester wrote a server, 83 faults and 30 allowed variants: as a real endpoint is tested, the suite "
        "caught 68 of the 82 faults that can be observed there (83 %), and blamed 4 variants wrongly. Then a "
        "fourth tester wrote another server, 86 faults and 21 variants: it caught 81 (94 %), and blamed one "
        "variant, for which the contract contradicted itself. The causes are closed, and what was missed is caught. "
        "How it does with faults that nobody has shown it, only the next tester can say.",
        "",
        "| family | faults | caught |",
        "| --- | ---: | ---: |",
    ]
    lines += _counted(mine, {name: FAULTS[name].family for name in mine})
    lines += ["", "| file | faults | caught |", "| --- | ---: | ---: |"]
    lines += _counted(mine, {name: f"`{FAULTS[name].file}`" for name in mine})
    lines += ["", "Missed:", ""]
    missed = [f"- `{name}`: {FAULTS[name].description}" for name, verdict in mine.items() if not verdict.caught]
    return lines + (missed or ["- none"])


def attack(mine: Mapping[str, Verdict]) -> list[str]:
    """Return the section about the faults that were written after the suite was finished."""
    names = [name for name in mine if FAULTS[name].file == UNSEEN]
    caught = sum(mine[name].caught for name in names)
    return [
        "## Faults that the suite was not built for",
        "",
        f"The {len(names)} faults of `faults/{UNSEEN}` are ours, too, but were written when the suite was finished. "
        f"When they were first planted, it caught {len(names) - len(FIRST_MISSED)} of {len(names)}; now it catches "
        f"{caught}. The causes were closed, not the single faults:",
        "",
        *(f"- `{name}` ({FAULTS[name].description}): {how}" for name, how in FIRST_MISSED.items()),
    ]


def each_fault(mine: Mapping[str, Verdict]) -> list[str]:
    """Return the section with one line for each fault."""
    lines = ["## Each planted fault", ""]
    for family in dict.fromkeys(FAULTS[name].family for name in mine):
        lines += [f"### {family.capitalize()}", "", "| fault | caught by | s |", "| --- | --- | ---: |"]
        for name, verdict in mine.items():
            if FAULTS[name].family == family:
                by = verdict.by if verdict.caught else "**missed**"
                lines.append(f"| `{name}`: {_cell(FAULTS[name].description)} | {_cell(by)} | {verdict.seconds:.1f} |")
        lines.append("")
    return lines


def stock(theirs: Mapping[str, Verdict], clean: float, seed: int) -> list[str]:
    """Return the section about stock Schemathesis."""
    caught = sum(each.caught for each in theirs.values())
    lines = [
        "## Stock Schemathesis",
        "",
        f"`schemathesis run` with all phases and checks needs about {clean:.0f} s for the mock without faults, so it "
        f"ran on a random sample of {len(theirs)} of the {len(FAULTS)} planted faults (seed {seed}), not on all. "
        f"It caught {caught} of {len(theirs)} ({caught / len(theirs):.0%}). "
        "It reports nothing for the mock without faults.",
        "",
        "| fault of the sample | family | stock, by | s |",
        "| --- | --- | --- | ---: |",
    ]
    for name, verdict in sorted(theirs.items(), key=lambda pair: (FAULTS[pair[0]].family, pair[0])):
        by = verdict.by if verdict.caught else "**missed**"
        lines.append(f"| `{name}` | {FAULTS[name].family} | {_cell(by)} | {verdict.seconds:.1f} |")
    return lines


def categories() -> list[str]:
    """Return the section about the categories of WebFuzzing Commons."""
    bare = [each for each in CATEGORIES if not each.covered_by]
    lines = [
        "## Fault categories of WebFuzzing Commons",
        "",
        "WebFuzzing Commons defines 16 categories (below 900, at commit 6add87f), EvoMaster has 34 experimental ones "
        f"(from 900). Rules and probes of this suite cover {len(CATEGORIES) - len(bare)} of the {len(CATEGORIES)}; "
        f"nothing covers {len(bare)}, for the reason given.",
        "",
        "| category | rules and probes | planted faults | remark |",
        "| --- | --- | --- | --- |",
    ]
    for each in CATEGORIES:
        covered = _names(each.covered_by.split()) or "**nothing**"
        lines.append(f"| F{each.code} {each.name} | {covered} | {_names(each.faults.split())} | {each.why} |")
    return lines


def times(seconds: Mapping[str, float], whole: float, used: float) -> list[str]:
    """Return the section about the time of `make contract`."""
    cores, directed = os.cpu_count() or 1, seconds[DIRECTED]
    lines = [
        "## Time of `make contract`",
        "",
        f"{whole:.0f} s in all, and {used:.0f} s of CPU time: {used / cores:.0f} s on {cores} cores that do nothing "
        f"else. The directed part, the probes in {DIRECTED}, has {directed / sum(seconds.values()):.0%} of the time.",
        "",
        "| part | s of both workers | share |",
        "| --- | ---: | ---: |",
    ]
    total = sum(seconds.values())
    for name, each in sorted(seconds.items(), key=lambda pair: -pair[1]):
        lines.append(f"| {name} | {each:.0f} | {each / total:.0%} |")
    return lines


def _counted(mine: Mapping[str, Verdict], groups: Mapping[str, str]) -> Iterable[str]:
    for group in [*sorted(set(groups.values())), "all"]:
        names = [name for name in mine if group in {"all", groups[name]}]
        caught = sum(mine[name].caught for name in names)
        yield f"| {group} | {len(names)} | {caught} ({caught / len(names):.1%}) |"


def _share(part: Sequence[object], whole: Sequence[object]) -> str:
    return f"{len(part):,} | {len(part) / max(1, len(whole)):.1%} |"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
