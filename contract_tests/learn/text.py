"""What `learn` prints: the plan before a run, and the answers after it."""

from __future__ import annotations

from collections.abc import Sequence

from .claims import Contradiction
from .engine import Question
from .fence import MOST_CUSTOMERS, MOST_REQUESTS
from .learning import Findings


def plan(questions: Sequence[Question], prefix: str) -> str:
    """Return the questions with their costs, and what the run leaves in the ledger."""
    width = max(len(", ".join(each.decides[:2])) for each in questions)
    lines = []
    for each in questions:
        names = ", ".join(each.decides[:2]) + (" …" if len(each.decides) > 2 else "")
        cost = f"≤ {each.cost:2} request{'s' if each.cost != 1 else ' '}" if each.cost else "no request   "
        creates = f"  [creates {each.leaves}]" if each.leaves else ""
        lines.append(f"{names:{width + 2}}  {cost}  {each.asks}{creates}")
    return "\n".join(
        [
            *lines,
            "",
            f"The run sends at most {MOST_REQUESTS} requests, and stops when it has asked everything. It creates at",
            f"most {MOST_CUSTOMERS} customers, whose numbers begin with {prefix}, and sends no request about others.",
            "The customers stay. The run removes its subscriptions and charges, if the API has a DELETE for them.",
            "If a gateway loses a request, the run repeats the request up to twice, within the same limit.",
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
    """Return the answers that the contract contradicts."""
    if not found:
        return "The contract agrees with every answer."
    lines = ["The contract contradicts these answers:"]
    for each in found:
        by_hand = "" if each.is_patched else f"  (by hand: {each.reason})"
        lines.append(f"  {each.key}: the API has {each.answer}, the contract has {each.claim}{by_hand}")
    return "\n".join(lines)
