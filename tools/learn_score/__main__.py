"""`make learn-score`: ask 300 variants, try the corrected contract of some on copies, write docs/first-contact.md.

Exit codes: 0 every answer is right, 1 one is wrong or missing, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .page import render
from .trial import PARTS, ask, try_out

ROOT = Path(__file__).parent.parent.parent


def main() -> int:
    """Run the command, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.learn_score", description=__doc__)
    parser.add_argument("--variants", type=int, default=300, help="how many variants to ask (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1000, help="seed of the first variant (default: %(default)s)")
    parser.add_argument("--copies", type=int, default=20, help="on how many copies to try the correction")
    parser.add_argument("--suites", type=int, default=20, help="on how many of them to run the contract suite")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts to run there (default: %(default)s)")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "first-contact.md", help=argparse.SUPPRESS)
    parser.add_argument("--no-page", action="store_true", help="write no page")
    options = parser.parse_args()
    trials = [ask(seed) for seed in range(options.first, options.first + options.variants)]
    for trial in trials:
        for what in [*trial.wrong, *trial.missed]:
            print(f"variant {trial.seed}: {what}", flush=True)
    for number, trial in enumerate(trials[: options.copies]):
        started = time.monotonic()
        parts = options.parts.split(",")
        try_out(trial, ROOT, [part for part in parts if part != "probes" or number < options.suites])
        failed = [name for name, ok in trial.parts.items() if not ok]
        took = time.monotonic() - started
        print(
            f"variant {trial.seed}: {', '.join(failed) or 'all parts pass'} ({took:.0f} s)",
            *trial.lines,
            sep="\n  ",
            flush=True,
        )
        if not options.no_page:  # the run takes long, and may be interrupted
            options.page.write_text(render(trials), encoding="utf-8")
    if not options.no_page:
        options.page.write_text(render(trials), encoding="utf-8")
        print(f"wrote {options.page}")
    return 1 if any(trial.wrong or trial.missed or trial.outside for trial in trials) else 0


if __name__ == "__main__":
    sys.exit(main())
