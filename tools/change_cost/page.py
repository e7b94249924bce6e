"""Write the text of docs/change-cost.md."""

from __future__ import annotations

from .copies import Outcome

HEAD = """\
# What a correction of the contract costs

The vendor's own description of the API is missing, and parts of `openapi.yaml` are inferred. When the vendor's file or
a first call to the sandbox shows a difference, a maintainer corrects `openapi.yaml` and runs `make generate`. This page
shows what else the maintainer must edit by hand, and whether anything is silently wrong.

`make change-cost` made this page. It applies each correction to a copy of the project and runs these parts there
without a hand edit:

- **generate**: `tools/generate.py`, and later `--check`.
- **smoke**: {steps} steps through the public API, the table sync and the command line, against the mock made from the
  corrected contract. A proxy holds each request and each response against the contract. `mock:` marks a response that
  breaks it.
- **demo**: `examples/demo.py examples/charges.csv`.
- **types**: mypy and pyright, as in `make types`.
- **probes**: the directed part of the contract suite, in process.

**files** is 0 when all parts pass, and ≥ 1 when a part fails: nobody has counted the edits. A file
`tools/change_cost/patches/NN.patch` holds the hand edits for correction NN; then its files are counted. **Silently
wrong** counts the steps of the smoke test in which a value differs, or a request breaks the contract, and nothing was
raised.

Measured: {version}. Without a correction: {baseline}.
"""
MOST_LINES = {"smoke": 12, "other": 4}
MOST_CHARACTERS = 200
COLUMNS = ("generate", "smoke", "demo", "types", "probes")


def render(baseline: Outcome, named: list[Outcome], others: list[Outcome], version: str) -> str:
    """Return the text of the page.

    Args:
        baseline: the result without a correction.
        named: the results of the corrections with a wanted cost.
        others: the results of the further corrections.
        version: the commit that was measured.
    """
    state = "all parts pass" if baseline.passes else f"fails in {failures(baseline)}"
    page = [HEAD.format(version=version, steps=baseline.steps, baseline=state)]
    good = sum(not outcome.missed for outcome in named)
    page += [f"## The wanted numbers: {good} of {len(named)} reached\n", *_table(named, wanted=True)]
    free = sum(outcome.passes and not outcome.files_by_hand for outcome in others)
    page += [f"\n## Further corrections: {free} of {len(others)} cost no file\n", *_table(others, wanted=False)]
    page += ["\n## What fails\n"]
    for outcome in [baseline, *named, *others]:
        if not outcome.passes:
            page += _details(outcome)
    return "\n".join(page).rstrip() + "\n"


def failures(outcome: Outcome) -> str:
    """Return the names of the parts that failed, separated by commas."""
    return ", ".join(name for name, part in outcome.parts.items() if part.ok is False)


def cell(outcome: Outcome, name: str) -> str:
    """Return the text of the table cell for a part."""
    part = outcome.parts.get(name)
    if part is None or part.ok is None:
        return "–"
    if name == "smoke" and not part.ok and outcome.steps > 1:
        return f"{outcome.failed_steps} of {outcome.steps} fail"
    if name == "generate" and outcome.parts.get("check", part).ok is False:
        return "fails"
    return "ok" if part.ok else "fails"


def _table(outcomes: list[Outcome], *, wanted: bool) -> list[str]:
    names = ["", "correction", *(["wanted"] if wanted else []), "files", *COLUMNS, "silently wrong"]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for outcome in outcomes:
        most = outcome.correction.wanted
        limit = [f"≤ {most}" if most else "0"] if wanted else []
        files = f"**{outcome.files}**" if outcome.missed else outcome.files
        cells = [outcome.correction.key, outcome.correction.title, *limit, files]
        cells += [cell(outcome, name) for name in COLUMNS] + [str(len(outcome.silent))]
        lines.append("| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |")
    return lines


def _details(outcome: Outcome) -> list[str]:
    lines = [f"### {outcome.correction.key}. {outcome.correction.title}\n"]
    for name, part in outcome.parts.items():
        most = MOST_LINES["smoke" if name == "smoke" else "other"]
        if part.ok is False:
            lines += [f"{name}:\n", "```text", *(line[:MOST_CHARACTERS] for line in part.lines[:most]), "```", ""]
    return lines
