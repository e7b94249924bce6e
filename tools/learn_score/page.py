"""docs/first-contact.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from contract_tests.learn.fence import MOST_CUSTOMERS, MOST_REQUESTS
from contract_tests.learn.rule_texts import RULES
from contract_tests.learn.variant.choices import OPTIONS

from .trial import Trial


def render(trials: Sequence[Trial]) -> str:
    """Return the page."""
    asked = [trial.findings.requests for trial in trials]
    tried = [trial for trial in trials if trial.parts]
    passed = [trial for trial in tried if all(trial.parts.values())]
    perfect = sum(not trial.wrong and not trial.missed for trial in trials)
    lines = [
        "# First contact: what `payex-billing contract learn` finds out",
        "",
        "`make learn-score` makes this page. Each variant is a server whose behaviour is drawn at random",
        f"from {len(OPTIONS)} independent choices, with a gateway in front that rewrites errors, cuts bodies, adds",
        "headers and answers 503 at times. `learn` knows nothing of the choices. Another module derives the right",
        "answers from them.",
        "",
        f"| {len(trials)} variants | |",
        "| --- | --- |",
        f"| variants with every decidable question answered right | {perfect} of {len(trials)} |",
        f"| answers that are right | {sum(trial.right for trial in trials):,} |",
        f"| wrong answers | {sum(len(trial.wrong) for trial in trials)} |",
        f"| decidable questions without an answer | {sum(len(trial.missed) for trial in trials)} |",
        f"| undecidable questions that `learn` left open | {sum(trial.open for trial in trials):,} |",
        f"| requests of a run: median, most | {sorted(asked)[len(asked) // 2]}, {max(asked)} of {MOST_REQUESTS} |",
        f"| customers of a run: most | {max(trial.customers for trial in trials)} of {MOST_CUSTOMERS} |",
        f"| requests outside the prefix | {sum(trial.outside for trial in trials)} |",
        "",
        "A question is undecidable when a gateway hides the answer, or when a property has a name that `learn` does",
        "not try.",
        "",
    ]
    if tried:
        lines += [
            "## The corrected contract",
            "",
            f"For the first {len(tried)} of these variants, `learn` corrected `openapi.yaml` on a copy of the project.",
            "Nobody edited a file there by hand. These parts then passed:",
            "",
            "| part | passed |",
            "| --- | --- |",
            *(f"| {title} | {_passed(tried, name)} |" for name, title in _PARTS.items()),
            f"| all that ran | {len(passed)} of {len(tried)} |",
            "",
            "The contract suite holds the corrected mock and client against the corrected contract, in process: every",
            "probe and the model, Schemathesis on each operation and on chains of operations, the examples of the",
            "contract, and each request and response of the client.",
            "",
            f"The answers to {_listed([*RULES, 'ends-before-start'])}",
            "change only a sentence in `x-rules`. No program reads these sentences: the mock and the suite act as",
            "before.",
            "",
            *_failures(tried),
        ]
    lines += ["## What code does not correct", "", *_by_hand(trials)]
    lines += ["", "## The choices", "", "| choice | options, with their weights |", "| --- | --- |"]
    lines += [
        f"| {name} | {', '.join(f'`{option}` {weight:g}' for option, weight in options.items())} |"
        for name, options in OPTIONS.items()
    ]
    return "\n".join(lines) + "\n"


def _listed(keys: Sequence[str]) -> str:
    return f"{', '.join(f'`{key}`' for key in keys[:-1])} and `{keys[-1]}`"


_PARTS = {
    "generate": "make generate",
    "smoke": "smoke test",
    "demo": "make demo",
    "probes": "contract suite",
    "check": "make check-generated",
}


def _passed(tried: Sequence[Trial], name: str) -> str:
    ran = [trial for trial in tried if name in trial.parts or not trial.parts.get("generate")]
    return f"{sum(trial.parts.get(name, False) for trial in ran)} of {len(ran)}"


def _failures(tried: Sequence[Trial]) -> list[str]:
    lines = []
    for trial in tried:
        failed = [name for name, ok in trial.parts.items() if not ok]
        if failed:
            lines += [f"Variant {trial.seed}, {', '.join(failed)}:", "", "```text", *trial.lines[:8], "```", ""]
    return lines


def _by_hand(trials: Sequence[Trial]) -> list[str]:
    counted = Counter((each.key, each.reason) for trial in trials for each in trial.found if not each.is_patched)
    if not counted:
        return ["Nothing."]
    lines = ["`learn` names these contradictions, and a person must decide what the contract and the client do:", ""]
    lines += ["| question | variants | why |", "| --- | --- | --- |"]
    return lines + [f"| {key} | {count} | {reason} |" for (key, reason), count in counted.most_common()]
