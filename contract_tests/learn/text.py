"""What `learn` prints: the plan before a run, and the answers after it."""

from __future__ import annotations

from collections.abc import Sequence

from .claims import Contradiction
from .engine import Question
from .fence import MOST_CUSTOMERS, MOST_REQUESTS
from .learning import Findings


def plan(questions: Sequence[Question], prefix: str) -> str:
    """Return the questions with their costs, and what stays."""
    width = max(len(", ".join(each.decides[:2])) for each in questions)
    lines = []
    for each in questions:
        names = ", ".join(each.decides[:2]) + (" …" if len(each.decides) > 2 else "")
        lines.append(
            f"{names:{width + 2}}  ≤ {each.cost:2} requests  {each.asks}"
            + (f"  [{each.leaves}]" if each.leaves else "")
        )
    return "\n".join(
        [
            *lines,
            "",
            f"The run sends at most {MOST_REQUESTS} requests, all below customers that begin with {prefix}, and stops",
            f"when all is decided. It creates at most {MOST_CUSTOMERS} customers; they stay.",
            "It removes the subscriptions and charges that it made, as far as the API allows. It repeats a request",
            "that a gateway lost up to twice, within the same limit.",
        ]
    )


def answers(findings: Findings) -> str:
    """Return each answer, or why there is none."""
    width = max(map(len, findings.answers))
    lines = []
    for key, answer in findings.answers.items():
        note = f"  ({answer.note})" if answer.note else ""
        lines.append(f"{key:{width}}  {answer.value or 'not decided'}{note}")
    count = len(findings.customers)
    lines += ["", f"{findings.requests} requests, {count} customer{'' if count == 1 else 's'}."]
    lines += [f"Still there: {each}" for each in findings.left]
    return "\n".join(lines)


def contradictions(found: Sequence[Contradiction]) -> str:
    """Return what the contract says otherwise."""
    if not found:
        return "The contract agrees with every answer."
    lines = ["The contract says otherwise:"]
    for each in found:
        by_hand = "" if each.is_patched else f"  (by hand: {each.reason})"
        lines.append(f"  {each.key}: it is {each.answer}, the contract has {each.claim}{by_hand}")
    return "\n".join(lines)
