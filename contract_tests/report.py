"""What a run leaves: a summary, a HAR file of its exchanges, and one readable page. Secrets are masked in all of it."""

from __future__ import annotations

import html
import json
import os
import re
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .coverage import COVERAGE, KINDS, Coverage, Observation
from .curl import token_pattern
from .exchange import OPERATIONS, Exchange
from .learned import Learner

MASK = "***"
BODY = 2_000  # characters of a body that the HAR file keeps
ENTRIES = 3_000  # exchanges that a process keeps of a run on the mock, the last ones
CAUSES = 8  # first lines of failures that the summary shows
LONG = 8  # characters; a shorter secret is masked only where a token may stand
SECRETS = ("PAYEX_TOKEN", "PAYEX_OTHER_TOKEN", "PAYEX_CLIENT_KEY_PASSWORD")


@dataclass
class Run:
    """What the processes of a run have seen together."""

    seconds: float
    coverage: Coverage = field(default_factory=Coverage)
    entries: list[dict[str, Any]] = field(default_factory=list)
    tests: list[dict[str, str]] = field(default_factory=list)
    checks: Counter[str] = field(default_factory=Counter)
    observations: dict[str, Observation] = field(default_factory=dict)
    questions: list[dict[str, str]] = field(default_factory=list)


class Recorder:
    """Keeps what one process sees, and writes it to a file of its own at the end.

    Args:
        keeps_all: whether to keep every exchange. Otherwise the exchanges of a failed test and the last ones stay.
        learner: what learns from the exchanges, and asks.
    """

    def __init__(self, *, keeps_all: bool = False, learner: Learner | None = None) -> None:
        self._last: deque[tuple[str, Exchange]] = deque(maxlen=None if keeps_all else ENTRIES)
        self._current: deque[tuple[str, Exchange]] = deque(maxlen=ENTRIES)
        self._failed: list[tuple[str, Exchange]] = []
        self.tests: list[dict[str, str]] = []
        self._learner = learner

    def saw(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        if self._learner is not None:
            self._learner.saw(exchange)
        entry = (datetime.now(UTC).isoformat(), exchange)
        self._last.append(entry)
        self._current.append(entry)

    def ended(self, name: str, outcome: str, text: str) -> None:
        """Keep the result of a test."""
        self.tests.append({"name": name, "outcome": outcome, "text": text})
        if outcome == "failed":
            self._failed += self._current
        self._current.clear()

    @property
    def exchanges(self) -> list[tuple[str, Exchange]]:
        """The exchanges in the order of their requests, each once."""
        kept = {id(exchange): (started, exchange) for started, exchange in [*self._failed, *self._last]}
        return sorted(kept.values(), key=lambda entry: entry[0])

    def write(self, folder: Path) -> None:
        """Leave the part of this process."""
        part = {
            "entries": [_entry(started, exchange) for started, exchange in self.exchanges],
            "tests": self.tests,
            "reached": {kind: dict(names) for kind, names in COVERAGE.reached.items()},
            "exchanges": COVERAGE.exchanges,
            "checks": dict(COVERAGE.checks),
            "observations": [asdict(each) for each in COVERAGE.observations.values()],
            "questions": [
                {"text": str(each), "curl": each.exchange.curl}
                for each in (self._learner.questions if self._learner is not None else ())
            ],
        }
        (folder / f"{os.getpid()}.json").write_text(json.dumps(part), encoding="utf-8")


def collect(folder: Path, seconds: float) -> Run:
    """Put the parts of all processes together."""
    run = Run(seconds)
    for file in sorted(folder.glob("*.json")):
        part = json.loads(file.read_text(encoding="utf-8"))
        run.coverage.add(part["reached"])
        run.coverage.exchanges += part["exchanges"]
        run.entries += part["entries"]
        run.tests += part["tests"]
        run.checks.update(part["checks"])
        for each in map(_observation, part["observations"]):
            seen = run.observations.setdefault(each.what, each)
            seen.count += 0 if seen is each else each.count
        run.questions += part["questions"]
    return run


def _observation(values: Any) -> Observation:
    return Observation(**values)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def summary(run: Run) -> str:
    """Return the lines for the terminal."""
    shares = ", ".join(f"{reached}/{whole} {kind}" for kind in KINDS for reached, whole in [run.coverage.share(kind)])
    rate = run.coverage.exchanges / run.seconds if run.seconds else 0
    requests = f"{run.coverage.exchanges:,} requests in {run.seconds:.0f} s ({rate:,.0f} per second)."
    lines = [*_causes(run.tests), requests, f"Reached of the contract: {shares}."]
    if run.observations:
        lines.append("Observed, where the contract is silent:")
    for each in run.observations.values():
        lines += [f"  {each.what} ({_times(each.count)})", f"    {each.request}"]
    if run.questions:
        count = "1 question" if len(run.questions) == 1 else f"{len(run.questions)} questions"
        lines += [f"{count} for the provider of the endpoint, not counted as failures:"]
        lines += [f"  {each['text'][:300]}" for each in run.questions[:5]]
        lines += ["  … All of them are in the report (--report)."] if len(run.questions) > 5 else []
    return "\n".join(lines)


def _causes(tests: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the first lines of the failures, the most frequent first: one cause fails many tests."""
    failed = [test for test in tests if test["outcome"] == "failed" and test["text"]]
    if len(failed) < 2:
        return []
    by_line: dict[str, list[str]] = {}
    for test in failed:
        first = test["text"].partition("\n")[0].removeprefix("Failed: ")
        # The numbers and ids of a run differ from test to test.
        by_line.setdefault(re.sub(r"[\w-]*\d[\w-]{7,}", "…", first), []).append(test["name"])
    found = sorted(by_line.items(), key=lambda item: -len(item[1]))
    lines = [f"{len(failed)} tests failed. What they say, the most frequent first:"]
    for line, names in found[:CAUSES]:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        lines += [f"  {len(names)} × {line[:200]}", f"    {shown}"]
    return [*lines, f"  … and {len(found) - CAUSES} more."] if len(found) > CAUSES else lines


def write(run: Run, folder: Path, environment: Mapping[str, str]) -> None:
    """Write exchanges.har and report.html, and mask the secrets in junit.xml."""
    secrets = {environment.get(name, "") for name in SECRETS}
    har = {
        "log": {
            "version": "1.2",
            "creator": {"name": "payex-billing contract tests", "version": "1"},
            "entries": run.entries,
        }
    }
    texts = {"exchanges.har": json.dumps(har, ensure_ascii=False), "report.html": page(run)}
    junit = folder / "junit.xml"
    if junit.is_file():
        texts["junit.xml"] = junit.read_text(encoding="utf-8")
    for name, text in texts.items():
        (folder / name).write_text(masked(text, secrets), encoding="utf-8")


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the secrets. A short secret may be part of any word, so only whole words are masked.

    A long secret is masked also without its first or last character, and with upper and lower case swapped, because the
    probes send such tokens.
    """
    known = [each for each in secrets if each]
    for secret in sorted((each for each in known if len(each) >= LONG), key=len, reverse=True):
        for part in (secret, secret.swapcase(), secret[1:], secret[:-1]):
            text = text.replace(part, MASK)
    pattern = token_pattern(dict.fromkeys((each for each in known if len(each) < LONG), MASK))
    return re.sub(rf"((?:Bearer |[Tt]oken[ =])){pattern.pattern}", rf"\1{MASK}", text) if pattern else text


def _entry(started: str, exchange: Exchange) -> dict[str, Any]:
    sent = {
        name: MASK if name.lower() in {"authorization", "cookie"} else value
        for name, value in exchange.sent_headers.items()
    }
    query = f"?{exchange.query}" if exchange.query else ""
    return {
        "startedDateTime": started,
        "time": round(exchange.seconds * 1000, 3),
        "request": {
            "method": exchange.method,
            "url": f"{exchange.url}{exchange.path}{query}",
            "httpVersion": "HTTP/1.1",
            "headers": _pairs(sent),
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": len(exchange.sent),
            **({"postData": {"mimeType": "application/json", "text": _text(exchange.sent)}} if exchange.sent else {}),
        },
        "response": {
            "status": exchange.status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "headers": _pairs(exchange.headers),
            "cookies": [],
            "content": {"size": len(exchange.body), "mimeType": exchange.media_type, "text": _text(exchange.body)},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": len(exchange.body),
        },
        "cache": {},
        "timings": {"send": 0, "wait": round(exchange.seconds * 1000, 3), "receive": 0},
    }


def _pairs(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def _text(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")[:BODY]


# the page

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --bad: #c62828; --good: #2e7d32; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); } .good { color: var(--good); }
pre { overflow-x: auto; border: 1px solid var(--line); padding: .7rem; } .wide { overflow-x: auto; }
"""


def page(run: Run) -> str:
    """One page: failures first, each with its curl, then checks per operation, then what was reached."""
    failed = [each for each in run.tests if each["outcome"] == "failed"]
    counts = Counter(each["outcome"] for each in run.tests)
    rate = run.coverage.exchanges / run.seconds if run.seconds else 0
    verdict = (
        f'<p class="bad">{len(failed)} {"promise is" if len(failed) == 1 else "promises are"} broken.</p>'
        if failed
        else '<p class="good">Every promise holds.</p>'
    )
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Contract report</title><style>{_STYLE}</style><h1>Contract report</h1>{verdict}",
        f"<p>{time.strftime('%Y-%m-%d %H:%M')} · "
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} not tried · "
        f"{run.coverage.exchanges:,} requests in {run.seconds:.0f} s, {rate:,.0f} per second</p>",
    ]
    if failed:
        parts.append("<h2>Broken</h2>")
        parts += [f"<h3>{_e(each['name'])}</h3><pre>{_e(each['text'])}</pre>" for each in failed]
    if run.observations:
        parts.append("<h2>Observed</h2><p>The contract is silent about these, so they are no failures.</p>")
    for each in run.observations.values():
        parts.append(f"<h3>{_e(each.what)}</h3><p>{_times(each.count)}, first:</p>")
        parts.append(f"<pre>{_e(each.request)}\n\n{_e(each.response)}</pre>")
    if run.questions:
        parts.append("<h2>Questions</h2><p>These facts held in every response, until one. The contract allows it.</p>")
        parts += [f"<p>{_e(each['text'])}</p><pre>{_e(each['curl'])}</pre>" for each in run.questions]
    parts.append(_checks_table(run.checks))
    parts.append("<h2>Reached of the contract</h2><table><tr><th>what<th>reached<th>missing</tr>")
    for kind in KINDS:
        reached, whole = run.coverage.share(kind)
        missing = run.coverage.missing(kind)
        shown = ", ".join(missing[:40]) + (" …" if len(missing) > 40 else "")
        parts.append(f"<tr><td>{kind}<td class=n>{reached} of {whole}<td>{_e(shown)}</tr>")
    parts.append("</table>")
    skipped = [each for each in run.tests if each["outcome"] == "skipped"]
    if skipped:
        parts.append("<h2>Not tried</h2><ul>")
        parts += [f"<li>{_e(each['name'])}: {_e(each['text'])}</li>" for each in skipped]
        parts.append("</ul>")
    return "".join(parts) + "</html>\n"


def _checks_table(checks: Mapping[str, int]) -> str:
    names = sorted({key.split("|")[1] for key in checks})
    head = "".join(f"<th>{_e(name.replace('_', ' '))}" for name in names)
    rows = []
    for operation in [*OPERATIONS, "-"]:
        cells = []
        for name in names:
            passed, failed = (checks.get(f"{operation}|{name}|{verdict}", 0) for verdict in ("passed", "failed"))
            text = f"{passed:,}" + (f' <span class="bad">{failed:,} failed</span>' if failed else "")
            cells.append(f"<td class=n>{text}")
        rows.append(f"<tr><td>{_e(operation) if operation != '-' else 'no operation'}{''.join(cells)}</tr>")
    table = f"<table><tr><th>operation{head}</tr>{''.join(rows)}</table>"
    return f"<h2>Answers judged, per operation and check</h2><div class=wide>{table}</div>"


def _e(text: str) -> str:
    return html.escape(text)
