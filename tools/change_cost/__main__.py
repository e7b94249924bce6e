"""`make change-cost`: apply each correction of openapi.yaml to a copy, count what fails, write docs/change-cost.md.

Exit codes: 0 every correction fits openapi.yaml, costs no more files than wanted and is never silently wrong, and all
parts pass without a correction; 1 otherwise; 64 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .copies import PARTS, Outcome, Types, apply, stop_parts, stopped
from .correction import Correction
from .corrections import CORRECTIONS
from .others import OTHERS
from .page import failures, render

ROOT = Path(__file__).parent.parent.parent
BASELINE = Correction("0", "no correction", lambda _: None)


def main() -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.change_cost", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="KEYS", help="such as 3,11,a; 0 is no correction; no page is written"
    )
    parser.add_argument("--skip", default="", metavar="PARTS", help="such as types,probes; no page is written")
    parser.add_argument("--jobs", type=int, default=2, help="corrections at a time (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the copies there")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "change-cost.md", help=argparse.SUPPRESS)
    options = parser.parse_args()
    skip, only = _words(options.skip), _words(options.only)
    known = {correction.key for correction in (BASELINE, *CORRECTIONS, *OTHERS)}
    if skip - set(PARTS) or only - known:
        parser.print_usage(sys.stderr)
        print(f"unknown: {', '.join(sorted((skip - set(PARTS)) | (only - known)))}", file=sys.stderr)
        return 64
    chosen = [each for each in (*CORRECTIONS, *OTHERS) if not only or each.key in only]
    started = time.monotonic()
    with _folder(options.keep) as folder:
        checker = Types()
        outcomes = []
        if not only or "0" in only:
            # The baseline runs first and alone: the later copies start from its mypy cache.
            outcomes.append(_run(BASELINE, folder, skip, checker, keep=True))
            cache = folder / BASELINE.key / ".mypy_cache"
            checker.cache = cache if cache.is_dir() else None
        with ThreadPoolExecutor(options.jobs) as pool:
            try:
                outcomes += pool.map(lambda each: _run(each, folder, skip, checker, keep=bool(options.keep)), chosen)
            except BaseException:
                # The terminal does not send Ctrl-C to the parts, because each part has its own process group.
                pool.shutdown(wait=False, cancel_futures=True)
                stop_parts()
                raise
    print(f"{time.monotonic() - started:.0f} s")
    if not only and not skip:
        baseline, named, others = outcomes[0], outcomes[1 : len(CORRECTIONS) + 1], outcomes[len(CORRECTIONS) + 1 :]
        text = render(baseline, named, others, _version())
        options.page.write_text(text.replace(f"{ROOT}/", ""), encoding="utf-8")  # the output of tools has whole paths
        print(f"wrote {options.page}")
    broken = any(not outcome.passes for outcome in outcomes if outcome.correction is BASELINE)
    missed = [outcome.correction.key for outcome in outcomes if outcome.missed]
    if missed:
        print(f"Not as wanted: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed or broken else 0


def _run(correction: Correction, folder: Path, skip: set[str], checker: Types, *, keep: bool) -> Outcome:
    """Apply one correction, run the parts, and print one line with the result."""
    place = folder / correction.key
    started = time.monotonic()
    outcome = apply(correction, ROOT, place, skip, checker)
    if not keep:
        shutil.rmtree(place, ignore_errors=True)
    if stopped():
        return outcome
    result = f"fails in {failures(outcome)}" if not outcome.passes else "passes"
    silent = f"; silently wrong: {', '.join(outcome.silent)}" if outcome.silent else ""
    wanted = f", wanted {correction.wanted}" if correction.wanted is not None else ""
    mark = f"{'MISSED' if outcome.missed else 'ok':6} {correction.key:>2}"
    seconds = f"{time.monotonic() - started:.0f} s"
    print(f"{mark} {correction.title}: {outcome.files} files{wanted}; {result}{silent} ({seconds})", flush=True)
    return outcome


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="change-cost-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


def _version() -> str:
    """Return the commit that was measured, and whether the working tree has uncommitted changes."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", ".", ":!docs/change-cost.md")
    return f"commit {git('rev-parse', '--short', 'HEAD')}" + (" with uncommitted changes" if changed else "")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
