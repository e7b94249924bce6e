"""Find out what an API does where the contract only infers it, and show the correction of the contract.

In a checkout, this is `python -m contract_tests.learn`. In the wheel, it is `payex-billing contract learn`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from ..description import FILE, IS_INSTALLED, Contract, ContractError, load
from . import evidence, text
from .claims import contradictions
from .edits import correct
from .learning import bases_of, learn
from .network import Network
from .questions import questions
from .text_edits import diff

COMMAND = "payex-billing contract learn" if IS_INSTALLED else "python -m contract_tests.learn"
CODES = (
    "Exit codes: 0 the contract agrees, 1 it contradicts an answer or no connection, 64 wrong usage, 130 interrupted."
)
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{COMMAND}: {message}", file=sys.stderr)
        raise SystemExit(64)


def _parser() -> _Parser:
    parser = _Parser(prog=COMMAND, description=(__doc__ or "").partition("\n")[0], epilog=CODES)
    parser.add_argument("--target", required=True, help="origin, or base URL, of the API")
    parser.add_argument("--ledger", default="", help="the ledger; PAYEX_OWNER_NO if not given")
    parser.add_argument("--product", default="P01", help="code of a product of the ledger (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=5.0, help="requests per second (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="show the questions and their cost, and stop")
    writes = parser.add_argument_group("writing to the API")
    writes.add_argument(
        "--allow-writes", action="store_true", help="needed, because the questions create and change charges"
    )
    writes.add_argument(
        "--prefix", default="", help="the start of the number of each customer that it creates, such as CT-"
    )
    writes.add_argument("--production", action="store_true", help="write even to the production host")
    results = parser.add_argument_group("results")
    results.add_argument(
        "--contract",
        type=Path,
        default=FILE,
        metavar="FILE",
        help="the contract to compare with (default: openapi.yaml)",
    )
    results.add_argument("--write", action="store_true", help="correct the contract; without it, only show the diff")
    results.add_argument("--evidence", type=Path, metavar="FILE", help="append samples without values to this file")
    results.add_argument(
        "--questions", type=Path, metavar="FILE", help="write the questions that only PayEx can answer"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    from ..target import Target, WrongSetup  # noqa: PLC0415 - it reads the contract of the suite when it is imported

    try:
        contract = load(options.contract)
    except ContractError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 1
    bases = bases_of(contract, urlsplit(options.target).path.rstrip("/"))
    if options.dry_run:
        print(text.plan(questions(bases), options.prefix or "the --prefix"))
        return 0
    if not (options.allow_writes and options.prefix and options.ledger):
        parser.error("it creates customers: --allow-writes, --prefix and --ledger are needed; --dry-run shows the plan")
    target = Target(options.target, options.ledger, options.prefix, options.rate, options.production)
    try:
        target.check(os.environ)
        parts = urlsplit(options.target)
        network = Network(
            f"{parts.scheme}://{parts.netloc}",
            target.context(os.environ) if parts.scheme == "https" else None,
            options.rate,
        )
    except WrongSetup as error:
        parser.error(str(error))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(options, contract, bases, network)
    except KeyboardInterrupt as stop:
        print("Interrupted.", *(f"Still there: {each}" for each in stop.args), sep="\n", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
        network.close()


def _run(options: argparse.Namespace, contract: Contract, bases: dict[str, str], network: Network) -> int:
    findings = learn(
        contract, network, options.ledger, os.environ["PAYEX_TOKEN"], options.prefix,
        bases=bases, product=options.product, sleep=time.sleep,
    )  # fmt: skip
    print(text.answers(findings))
    if options.evidence is not None:
        evidence.append(options.evidence, findings, urlsplit(options.target).hostname or "", contract)
    if options.questions is not None:
        options.questions.write_text(evidence.open_questions(findings.answers), encoding="utf-8")
    if not findings.answers["subdomain"].is_decided:
        return 1
    found = contradictions(contract, findings.answers)
    print()
    print(text.contradictions(found))
    before = options.contract.read_text(encoding="utf-8")
    after = correct(before, found, findings.answers)
    if after != before:
        print()
        print(diff(before, after, options.contract.name))
        if options.write:
            options.contract.write_text(after, encoding="utf-8")
            print(f"wrote {options.contract}. Next: make generate, make contract, make demo")
        else:
            print("Nothing was written. To correct the contract, add --write.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
