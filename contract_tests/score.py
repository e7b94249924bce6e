"""`make contract-score`: measure what the suite notices, and write docs/contract-score.md.

The parts: `clean` runs the suite on the two servers without faults; `variants` runs it on servers that the contract
allows; `faults` plants each fault; `mutants` changes each place of each response; `stock` runs stock Schemathesis on a
sample of the faults; `times` runs `make contract`; `categories` writes which fault categories of WebFuzzing Commons are
covered.

Exit codes: 0 written, 1 a server without faults was found at fault, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

import yaml
from payex_billing_mock import MockServer

from . import score_page, suite
from .api import NotTried
from .exchange import CONTRACT
from .faults import FAULTS, plant
from .honest import blamed, blamed_peer
from .mutation.mutants import Mutant
from .mutation.recording import record
from .mutation.trial import Outcome, Trial
from .probes import PROBES
from .score_page import Verdict
from .suite import Finding
from .support import CHECKS, ROOT, document_of
from .transports import InProcess
from .variants import VARIANTS

SEED = 20_260_101
SEEDS = 20
SAMPLE = 40  # faults for stock Schemathesis
MUTANTS = 3_000
STOCK_LIMIT = 600.0
PAGE = ROOT / "docs" / "contract-score.md"
FUZZ = ("test_in_process.py", "test_stateful.py::test_chains_keep_the_contract_in_process")
PARTS = ("clean", "variants", "faults", "mutants", "stock", "times", "categories")


def ours(name: str | None, seed: int, first: Sequence[str] = ()) -> Verdict:
    """Run our suite: probes, the model, then fuzzing. Stop at the first failure.

    Args:
        first: the probes to run first, in this order. Those of the fault's family run before these, to save time.
    """
    started = time.perf_counter()
    family = {each.name: each.family for each in PROBES} if name else {}
    order = sorted(first, key=lambda each: family[each] != FAULTS[name].family) if name else first
    found = suite.first_failure(plant(name, suite.LEDGERS), seed=seed, first=order)
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


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m contract_tests.score", description=__doc__)
    parser.add_argument("faults", nargs="*", help="names of faults: try only these, and do not write the page")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to run (default: all)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each server without faults")
    parser.add_argument("--mutants", type=int, default=MUTANTS, help="how many mutants, at random; 0 for all")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of what is random (default: %(default)s)")
    options = parser.parse_args()
    unknown = sorted(set(options.faults) - set(FAULTS))
    if unknown:
        print(f"contract-score: there is no fault {', '.join(unknown)}", file=sys.stderr)
        return 64
    with ProcessPoolExecutor(options.workers) as pool:
        if options.faults:
            _told(options.faults, pool.map(ours, options.faults, [options.seed] * len(options.faults)))
            return 0
        for part in options.only:
            try:
                score_page.write(PAGE, _sections(part, options, pool))
            except WrongMock as error:
                print(f"contract-score: a server without faults was found at fault by {error}", file=sys.stderr)
                return 1
            print(f"{part}: wrote {PAGE.relative_to(ROOT)}", flush=True)
    return 0


class WrongMock(Exception):
    """A server without faults was found at fault. The message says by whom."""


def _sections(part: str, options: argparse.Namespace, pool: ProcessPoolExecutor) -> dict[str, Sequence[str]]:
    """Run one part, and return its sections of the page."""
    seed: int = options.seed
    match part:
        case "clean":
            clean = list(pool.map(ours, [None] * options.seeds, range(options.seeds)))
            for verdict in clean:
                _passed("our suite", verdict)
            for seed, finding in enumerate(pool.map(blamed_peer, range(options.seeds))):
                if finding is not None:
                    raise WrongMock(f"the second server, seed {seed}: {finding}")
            return {"summary": score_page.summary([each.seconds for each in clean])}
        case "variants":
            blames = dict(zip(VARIANTS, _shown(VARIANTS, pool.map(blamed, VARIANTS)), strict=True))
            return {"variants": score_page.variants(blames)}
        case "faults":
            names, count = list(FAULTS), len(FAULTS)
            found = pool.map(ours, names, [seed] * count, [_quick_first()] * count)
            mine = dict(zip(names, _told(names, found), strict=True))
            return {
                "faults": score_page.faults(mine),
                "attack": score_page.attack(mine),
                "each fault": score_page.each_fault(mine),
            }
        case "mutants":
            trial = _trial()
            every = trial.mutants(seed)
            chosen = random.Random(seed).sample(every, min(options.mutants or len(every), len(every)))
            outcomes = list(pool.map(_outcome, chosen, chunksize=25))
            for outcome in outcomes:
                if not outcome.allowed and not outcome.by:
                    print(f"MISSED {outcome.mutant}", flush=True)
            counts = len(every), len(trial.by_kind), len(trial.recording.seen)
            return {"mutants": score_page.mutants(outcomes, *counts, seed)}
        case "stock":
            base = stock(None, seed)
            _passed("stock Schemathesis", base)
            sample = sample_of(list(FAULTS), SAMPLE, seed)
            theirs = dict(zip(sample, _told(sample, pool.map(stock, sample, [seed] * len(sample))), strict=True))
            return {"stock": score_page.stock(theirs, base.seconds, seed)}
        case "times":
            return {"times": score_page.times(*_times(seed))}
    return {"categories": score_page.categories()}


def sample_of(names: Sequence[str], count: int, seed: int) -> list[str]:
    """Return a random sample of names. A new name changes the sample by one at most."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())[:count]


def _quick_first() -> list[str]:
    """Return the names of the probes, the quickest on the mock first, so that most faults are caught in little time."""
    api, seconds = suite.open_api(InProcess(plant(None, suite.LEDGERS))), {}
    for probe in PROBES:
        started = time.process_time()
        with suppress(NotTried):
            probe(api)
        seconds[probe.name] = time.process_time() - started
    return sorted(seconds, key=lambda name: seconds[name])


@cache
def _trial() -> Trial:
    """Record the mock, once in each process."""
    return Trial(record())


def _outcome(mutant: Mutant) -> Outcome:
    return _trial().outcome(mutant)


def _times(seed: int) -> tuple[dict[str, float], float, float]:
    """Run `make contract`. Return the seconds of each module of tests and of the whole, and the seconds of the CPU."""
    seconds: dict[str, float] = {}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "contract_tests", "--seed", str(seed), "--report", folder]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode:
            raise WrongMock(f"make contract: {result.stdout[-500:]}")
        for case in ET.parse(Path(folder) / "junit.xml").iter("testcase"):
            module = case.attrib["classname"].rpartition(".")[2]
            seconds[f"`{module}.py`"] = seconds.get(f"`{module}.py`", 0.0) + float(case.attrib["time"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, time.perf_counter() - started, used


def _shown(names: Iterable[str], findings: Iterable[Finding | None]) -> Iterator[Finding | None]:
    """Print each variant of the mock as soon as it was tried."""
    for name, finding in zip(names, findings, strict=True):
        print(f"{'BLAMED' if finding else 'passed'}  {name}  {finding or ''}", flush=True)
        yield finding


def _passed(name: str, verdict: Verdict) -> None:
    if verdict.caught:
        raise WrongMock(f"{name}: {verdict.by}")


def _told(names: Sequence[str], verdicts: Iterable[Verdict]) -> list[Verdict]:
    found = []
    for name, verdict in zip(names, verdicts, strict=True):
        print(
            f"{'caught' if verdict.caught else 'MISSED':7} {verdict.seconds:6.1f} s  {name}  {verdict.by}", flush=True
        )
        found.append(verdict)
    return found


if __name__ == "__main__":
    sys.exit(main())
