"""One variant: ask it, judge the answers, correct the contract on a copy of the project, and run its parts there."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contract_tests.description import FILE, Contract, load
from contract_tests.learn.claims import Contradiction, claims, contradictions
from contract_tests.learn.edits import correct
from contract_tests.learn.engine import Answer
from contract_tests.learn.learning import Findings, learn
from contract_tests.learn.text_edits import parse
from contract_tests.learn.variant.choices import draw
from contract_tests.learn.variant.gateway import Variant
from contract_tests.learn.variant.truth import outside, truths
from tools.change_cost.copies import RUNNERS, Copy, Outcome, Part
from tools.change_cost.correction import CHARGE_ATTRIBUTES, Correction, Expectations

LEDGER, TOKEN, PREFIX = "1234", "variant-token", "CT-"
PARTS = ("generate", "smoke", "demo", "probes", "check")
# Left out are the tests of the suite's own code: they correct today's contract themselves.
SUITE = ("test_probes", "test_in_process", "test_stateful", "test_examples_and_models", "test_consumer")
CONTRACT = load()


@dataclass
class Trial:
    """What came of one variant.

    Attributes:
        wrong, missed: keys of questions that are answered wrong, or decidable and not decided.
        open: keys that asking cannot decide for this variant, and that are not decided.
        parts: whether each part of the project passes with the corrected contract.
    """

    seed: int
    choices: dict[str, str]
    findings: Findings
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    right: int = 0
    open: int = 0
    outside: int = 0
    customers: int = 0
    found: Sequence[Contradiction] = ()
    parts: dict[str, bool] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def by_hand(self) -> list[str]:
        """The contradictions that code cannot correct."""
        return [each.key for each in self.found if not each.is_patched]


def ask(seed: int) -> Trial:
    """Ask a variant, and judge the answers."""
    choices = draw(seed)
    variant = Variant(choices, LEDGER, TOKEN)
    findings = learn(CONTRACT, variant, LEDGER, TOKEN, PREFIX, sleep=variant.clock.sleep)
    trial = Trial(seed, choices, findings)
    for key, truth in truths(choices).items():
        answer = findings.answers[key]
        if answer.value in truth.values:
            trial.right += 1
        elif answer.is_decided:
            trial.wrong.append(f"{key}: {answer.value}")
        elif truth.decidable:
            trial.missed.append(f"{key}: {answer.note}")
        else:
            trial.open += 1
    trial.outside = len(outside(variant.log, LEDGER, PREFIX))
    trial.customers = len(variant.server.customers)
    trial.found = contradictions(CONTRACT, findings.answers)
    return trial


def try_out(trial: Trial, root: Path, parts: Sequence[str] = PARTS) -> None:
    """Correct the contract on a copy of the project, and run its parts there."""
    folder = Path(tempfile.mkdtemp(prefix="learn-"))
    try:
        copy = Copy(root, folder)
        text = correct(FILE.read_text(encoding="utf-8"), trial.found, trial.findings.answers)
        (folder / "openapi.yaml").write_text(text, encoding="utf-8")
        expect = expectations(Contract(parse(text)), trial.findings.answers)
        outcome = Outcome(Correction(str(trial.seed), "", lambda _: None, expect=expect))
        for name in parts:
            part = _suite(copy) if name == "probes" else RUNNERS[name](copy, outcome)
            trial.parts[name] = bool(part.ok) and not (name == "smoke" and outcome.silent)
            if not trial.parts[name]:
                trial.lines += [f"{name}: {line}" for line in part.lines]
            if name == "generate" and not part.ok:
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _suite(copy: Copy) -> Part:
    """Run what `make contract` holds against the contract, in process: the mock and the client of the copy."""
    options = ("-q", "-p", "no:cacheprovider", "--tb=no", "-rfE", "--hypothesis-seed=20260101")
    chosen = [f"contract_tests/{name}.py" for name in SUITE]
    ok, output = copy.run(1_800, sys.executable, "-m", "pytest", *chosen, "-k", "not TLS and not socket", *options)
    lines = output.splitlines()
    return Part(ok, [] if ok else [line for line in lines if line.startswith(("FAILED", "ERROR"))][:8] or lines[-3:])


def expectations(contract: Contract, answers: Mapping[str, Answer]) -> Expectations:
    """Return what the smoke test must expect of the corrected contract."""
    quantity = claims(contract)["kind-quantity"].text
    return Expectations(
        wire={name: (contract.wire(name),) for name in CHARGE_ATTRIBUTES},
        samples={"quantity": "2.125"} if quantity == "decimal" else {},
        may_delete_charges=contract.operation("delete", "charge") is not None,
        may_delete_subscriptions=contract.operation("delete", "subscription") is not None,
        # A PUT clears what it leaves out.
        may_clear=claims(contract)["null"].text == "clears" or contract.update_method == "PUT",
        duplicate=("AlreadyExists", "ValidationFailed", "Unprocessable"),
        not_found=("NotFound", "RequestRefused"),
        idempotency=claims(contract)["idempotency-key"].text == "honoured",
        replaces=contract.update_method == "PUT",
    )
