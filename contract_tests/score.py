"""`make contract-score`: plant each fault in the mock, and see who catches it: our suite, and stock Schemathesis.

Writes docs/contract-score.md. Exit codes: 0 written, 1 the mock as it is was found at fault, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml
from payex_billing_mock import MockServer

from . import suite
from .exchange import CONTRACT
from .faults import FAULTS, plant
from .support import CHECKS, ROOT, document_of

SEED = 20_260_101
SEEDS = 20
STOCK_LIMIT = 600.0
PAGE = ROOT / "docs" / "contract-score.md"
FUZZ = ("test_in_process.py", "test_stateful.py::test_chains_keep_the_contract_in_process")


@dataclass(frozen=True)
class Verdict:
    """The result for one fault: whether it was caught, which check caught it, and the time."""

    caught: bool
    by: str
    seconds: float


def ours(name: str | None, seed: int) -> Verdict:
    """Run our suite: probes, the model, then fuzzing. Stop at the first failure."""
    started = time.perf_counter()
    found = suite.first_failure(plant(name, suite.LEDGERS), seed=seed)
    if found is not None:
        by = f"{found.where}: {found.promise}" if found.promise != found.where else found.where
        return Verdict(True, by, found.seconds)
    here = Path(__file__).parent
    planted = ["--planted", name] if name else []
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        f"--hypothesis-seed={seed}",
    ]
    result = subprocess.run(
        [*command, *planted, *(str(here / each) for each in FUZZ)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    by = ""
    if result.returncode:
        failed = re.search(r"^FAILED \S+::(\w+)", result.stdout, re.MULTILINE)
        said = " ".join(re.findall(r"^E +(.+)$", result.stdout, re.MULTILINE)[:4])[:300]
        by = f"fuzzing: {failed[1]}: {said}" if failed else f"fuzzing stopped: {result.stdout[-200:]}"
    return Verdict(result.returncode != 0, by, time.perf_counter() - started)


def stock(name: str | None, seed: int) -> Verdict:
    """Run stock `schemathesis run` with every phase and check against the same mock on a socket."""
    ledger, token = next(iter(suite.LEDGERS.items()))
    with tempfile.TemporaryDirectory() as folder:
        contract, config = Path(folder) / "openapi.yaml", Path(folder) / "schemathesis.toml"
        contract.write_text(yaml.safe_dump(document_of(ledger)), encoding="utf-8")
        # As in our suite, 422 is expected: a schema cannot forbid an end date before the start date, but the API does.
        statuses = ", ".join(f'"{each}"' for each in CHECKS["positive_data_acceptance"]["expected-statuses"])
        config.write_text(f"[checks.positive_data_acceptance]\nexpected-statuses = [{statuses}]\n", encoding="utf-8")
        server = MockServer(suite.LEDGERS)
        server.app = plant(name, suite.LEDGERS)
        with server:
            started = time.perf_counter()
            command = [
                str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run", str(contract),
                "--url", server.url + CONTRACT.base_path, "--header", f"Authorization: Bearer {token}",
                "--seed", str(seed), "--max-failures", "1", "--no-color", "--no-shrink",
            ]  # fmt: skip
            hooks = {"SCHEMATHESIS_HOOKS": "contract_tests.stock_hooks", "PYTHONPATH": str(ROOT)}
            environment = os.environ | hooks
            try:
                result = subprocess.run(
                    command,
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=STOCK_LIMIT,
                )
            except subprocess.TimeoutExpired:
                return Verdict(False, f"nothing in {STOCK_LIMIT:.0f} s", STOCK_LIMIT)
    checks = re.findall(r"^- (.+)$", result.stdout, re.MULTILINE)
    if result.returncode not in {0, 1}:
        raise RuntimeError(f"schemathesis ended with {result.returncode}: {result.stdout[-500:]}{result.stderr[-500:]}")
    return Verdict(result.returncode == 1, (checks or [""])[0], time.perf_counter() - started)


def _wrong(name: str, verdict: Verdict) -> str:
    return f"the mock as it is was found at fault by {name}: {verdict.by}"


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m contract_tests.score", description=__doc__)
    parser.add_argument("faults", nargs="*", help="names of faults; all if none are given")
    parser.add_argument(
        "--ours-only", action="store_true", help="leave stock Schemathesis out; the page is not written"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of the mock as it is, each with its own seed")
    options = parser.parse_args()
    unknown = sorted(set(options.faults) - set(FAULTS))
    if unknown:
        print(f"contract-score: there is no fault {', '.join(unknown)}", file=sys.stderr)
        return 64
    names = options.faults or list(FAULTS)
    with ProcessPoolExecutor(options.workers) as pool:
        clean = list(pool.map(ours, [None] * options.seeds, range(options.seeds)))
        for verdict in clean:
            if verdict.caught:
                print(_wrong("our suite", verdict), file=sys.stderr)
                return 1
        print(f"The mock as it is passed {options.seeds} times, each with a seed of its own.", flush=True)
        mine = dict(zip(names, _told(names, pool.map(ours, names, [SEED] * len(names))), strict=True))
        if options.ours_only:
            return 0
        base = stock(None, SEED)
        if base.caught:
            print(_wrong("stock Schemathesis", base), file=sys.stderr)
            return 1
        theirs = dict(zip(names, _told(names, pool.map(stock, names, [SEED] * len(names))), strict=True))
    if not options.faults:
        PAGE.write_text(page(mine, theirs, [each.seconds for each in clean], base.seconds), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


def _told(names: list[str], verdicts: Iterable[Verdict]) -> list[Verdict]:
    found = []
    for name, verdict in zip(names, verdicts, strict=True):
        print(
            f"{'caught' if verdict.caught else 'MISSED':7} {verdict.seconds:6.1f} s  {name}  {verdict.by}", flush=True
        )
        found.append(verdict)
    return found


def page(mine: dict[str, Verdict], theirs: dict[str, Verdict], clean: list[float], clean_stock: float) -> str:
    """Return the page as Markdown."""
    families = list(dict.fromkeys(FAULTS[name].family for name in mine))
    lines = [
        "# Contract score",
        "",
        "What the contract suite catches of faults planted in the mock (`contract_tests/faults/`), and what stock",
        "`schemathesis run` catches of the same, with all its phases and checks. Written by `make contract-score`;",
        f"Schemathesis {version('schemathesis')}, Hypothesis {version('hypothesis')}, "
        f"CPython {platform.python_version()}, {os.cpu_count()} cores, one process per fault on each.",
        "",
        f"The mock without a fault passed our suite {len(clean)} times, each with a seed of its own "
        f"(median {sorted(clean)[len(clean) // 2]:.0f} s), and stock Schemathesis once ({clean_stock:.0f} s).",
        "",
        "| family | faults | ours | stock |",
        "| --- | ---: | ---: | ---: |",
    ]
    for family in [*families, "all"]:
        names = [name for name in mine if family in {"all", FAULTS[name].family}]
        counts = [sum(verdicts[name].caught for name in names) for verdicts in (mine, theirs)]
        lines.append(
            f"| {family} | {len(names)} | " + " | ".join(f"{each} ({each / len(names):.0%})" for each in counts) + " |"
        )
    for family in families:
        lines += [
            "",
            f"## {family}",
            "",
            "| fault | ours, by | s | stock, by | s |",
            "| --- | --- | ---: | --- | ---: |",
        ]
        for name, own in mine.items():
            if FAULTS[name].family == family:
                cells = [f"`{name}`: {FAULTS[name].description}"]
                for verdict in (own, theirs[name]):
                    cells += [verdict.by if verdict.caught else "**missed**", f"{verdict.seconds:.1f}"]
                lines.append("| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
