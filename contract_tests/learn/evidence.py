"""The evidence of a run: one redacted sample for each answer, and the questions that asking cannot decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..description import Contract
from .engine import DOES_NOT_APPLY, Answer
from .learning import Findings
from .line import Reply
from .shapes import body_shape, path_shape

# What nobody can find out by asking an API.
FOR_PAYEX = (
    "When does a change take effect against a bill run that has started, and can a charge be changed while one runs?",
    "Does the nightly customer file, a full snapshot per customer, remove charges that were made through this API?",
    "Which rate limits hold, per ledger, token or certificate, and how does a response announce them?",
    "How long does a token live, and how is it renewed without a pause?",
    "How is a refused, expired or wrong client certificate answered: during the handshake, or by a status?",
    "Does the sandbox behave like production, and which version is it?",
    "For how long is an Idempotency-Key remembered, if the API takes one?",
    "How long may a request take effect after its connection was lost? `learn` waits 15 seconds.",
    "Can a customer be removed or made inactive, and what happens to its charges?",
    "Which changes of the API are announced, where, and how long before?",
)


def append(file: Path, findings: Findings, host: str, contract: Contract) -> None:
    """Add the answers to the evidence file. An answer that the file has already is counted, not repeated."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    today = datetime.now(UTC).date().isoformat()
    for key, answer in findings.answers.items():
        if not answer.is_decided or answer.value == DOES_NOT_APPLY:
            continue
        known = next(
            (each for each in entries if (each["key"], each["answer"], each["host"]) == (key, answer.value, host)), None
        )
        if known is None:
            known = {"key": key, "answer": answer.value, "host": host, "first": today, "times": 0}
            entries.append(known)
        known |= {"last": today, "times": known["times"] + 1, "sample": _sample(answer.seen, contract)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in entries), encoding="utf-8")


def _sample(seen: tuple[Reply, ...], contract: Contract) -> list[dict[str, Any]]:
    """Return the exchanges that show an answer: names, kinds and statuses, no values."""
    shown = []
    for reply in seen[-3:]:
        each: dict[str, Any] = {
            "request": f"{reply.method} {path_shape(reply.target, contract)}",
            "status": reply.status,
            "headers": sorted(reply.headers),
        }
        if reply.sent:
            each["sent"] = body_shape(reply.sent)
        if reply.body:
            each["received"] = body_shape(reply.body)
        if reply.code:
            each["problem"] = reply.code
        shown.append(each)
    return shown


def open_questions(answers: Mapping[str, Answer]) -> str:
    """Return the page with the questions for PayEx."""
    lines = [
        "# Questions for PayEx",
        "",
        "`payex-billing contract learn` asks an API what it does. Only PayEx can answer these questions:",
        "",
        *(f"{number}. {question}" for number, question in enumerate(FOR_PAYEX, 1)),
    ]
    undecided = {key: answer.note for key, answer in answers.items() if not answer.is_decided}
    if undecided:
        lines += ["", "The responses of the last run did not decide these:", ""]
        lines += [f"- `{key}`: {note or 'the responses do not tell'}" for key, note in undecided.items()]
    return "\n".join(lines) + "\n"
