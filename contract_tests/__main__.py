"""Hold the mock, or with a target a real endpoint, against the contract, by a fixed seed.

In a checkout, this is `make contract`. In the wheel, it is `payex-billing contract test`, and needs a target.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import httpx2

from .description import IS_INSTALLED, ContractError, load

if TYPE_CHECKING:  # the import reads the contract, and the contract may be broken
    from .target import Target

SEED = 20_260_101
HERE = Path(__file__).parent
COMMAND = "payex-billing contract test" if IS_INSTALLED else "make contract"
CODES = "Exit codes: 0 the contract holds, 1 a promise is broken or no connection, 64 wrong usage, 130 interrupted."
INTERRUPTED = 130
# What a run on a real endpoint must not take from the environment of another test suite.
OF_OTHER_SUITES = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER")
# The plugins of pytest that the suite needs. Others that are installed, such as pytest-randomly, would change the run.
PLUGINS = ("_hypothesis_pytestplugin", "schemathesis.pytest.plugin")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{COMMAND}: {message}", file=sys.stderr)
        raise SystemExit(64)


def _parser() -> _Parser:
    program = COMMAND if IS_INSTALLED else "python -m contract_tests"
    description = (__doc__ or "").partition("\n")[0]
    parser = _Parser(prog=program, description=description, epilog=CODES)
    without = "" if IS_INSTALLED else "; the mock if not given"
    parser.add_argument("--target", help=f"origin, or base URL, of a real endpoint{without}")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the generated data (default: %(default)s)")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write junit.xml, exchanges.har and report.html there"
    )
    parser.add_argument(
        "--rate", type=float, default=10.0, help="requests per second to a target (default: %(default)s)"
    )
    parser.add_argument("--ledger", default="", help="the ledger; PAYEX_OWNER_NO if not given")
    writes = parser.add_argument_group("writing to a real endpoint")
    writes.add_argument(
        "--allow-writes", action="store_true", help="create, change and remove; needs --prefix and --ledger"
    )
    writes.add_argument(
        "--prefix", default="", help="what the numbers of all customers made there begin with, such as CT-"
    )
    writes.add_argument("--production", action="store_true", help="write even to the production host")
    writes.add_argument(
        "--leave-data", action="store_true", help="run also if the ledger does not remove what the run makes"
    )
    writes.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        load()
    except ContractError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 1
    from .target import Target, Unusable, WrongSetup  # noqa: PLC0415 - these read the contract when they are imported

    if options.target is None:
        if any([options.allow_writes, options.prefix, options.ledger, options.dry_run, options.production]):
            parser.error("--allow-writes, --prefix, --ledger, --production and --dry-run are for a --target")
        if IS_INSTALLED:
            parser.error("--target is missing; the mock is tested in a checkout, by make contract")
        print(f"Testing the mock: in process, over a socket, over TLS. Seed {options.seed}.", flush=True)
        mock = ["--numprocesses", "2", "--dist", "worksteal", f"--ignore={HERE / 'test_faults.py'}"]
        return _run([str(HERE), *mock], os.environ, options)
    if options.allow_writes and not (options.prefix and options.ledger):
        parser.error("--allow-writes needs --prefix and --ledger on the command line")
    if (options.prefix or options.leave_data) and not options.allow_writes:
        parser.error("--prefix and --leave-data are for --allow-writes")
    ledger = options.ledger or os.environ.get("PAYEX_OWNER_NO", "")
    target = Target(options.target, ledger, options.prefix, options.rate, options.production)
    try:
        target.check(os.environ)
        print(_announcement(target, options.seed), flush=True)
        if options.dry_run:
            return 0
        _reach(target)
        if options.allow_writes and not options.leave_data:
            _try_removal(target)
    except Unusable as error:
        print(f"{COMMAND}: {target.url} cannot be used: {error}", file=sys.stderr)
        return 1
    except WrongSetup as error:
        parser.error(str(error))
    environment = {name: value for name, value in os.environ.items() if name not in OF_OTHER_SUITES}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **target.to_environment()}
    settings = [f"--config-file={HERE / 'endpoint.ini'}", f"--rootdir={HERE}", f"--confcutdir={HERE}"]
    plugins = [argument for plugin in PLUGINS for argument in ("-p", plugin)]
    tests = str(HERE / "test_endpoint.py")
    return _run([tests, "--target", target.base_url, *settings, *plugins], environment, options)


def _run(arguments: list[str], environment: Mapping[str, str], options: argparse.Namespace) -> int:
    """Run pytest in its own process, because pytest must be the first to import the modules of its plugins."""
    arguments += [f"--hypothesis-seed={options.seed}", "--quiet", "-rfEs", "-p", "no:cacheprovider"]
    with tempfile.TemporaryDirectory() as parts:
        environment = {**environment, "CONTRACT_PARTS": parts, "HYPOTHESIS_STORAGE_DIRECTORY": parts}
        if options.report is not None:
            options.report.mkdir(parents=True, exist_ok=True)
            arguments += [f"--junitxml={options.report.absolute() / 'junit.xml'}"]
        started = time.monotonic()
        # The user's folder stays the current one, because the environment may name certificates in it. -P keeps modules
        # in the folder from being imported.
        command, folder = ([], HERE.parent) if options.target is None else (["-P"], None)
        status = _wait([sys.executable, *command, "-m", "pytest", *arguments], environment, folder)
        from . import report  # noqa: PLC0415 - it reads the contract when it is imported

        run = report.collect(Path(parts), time.monotonic() - started)
        print(report.summary(run))
        if options.report is not None:
            report.write(run, options.report, environment)
            print(f"wrote junit.xml, exchanges.har and report.html to {options.report}")
    if status == 2:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    if status != 0:
        print(f"Again: {_again(options)}", file=sys.stderr)
    return min(status, 1)


def _wait(command: list[str], environment: Mapping[str, str], folder: Path | None) -> int:
    """Run a command to its end, and return its exit code.

    Ctrl-C also reaches the child process, which then removes what it created. This process waits for the child.
    SIGTERM reaches this process only, which interrupts the child in the same way.
    """
    child: subprocess.Popen[bytes] | None = None

    def interrupt(number: int, _: FrameType | None) -> None:
        if number == signal.SIGTERM and child is not None:
            child.send_signal(signal.SIGINT)

    # A child process does not inherit these handlers, as it would inherit SIG_IGN.
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        child = subprocess.Popen(command, env=environment, cwd=folder)
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _again(options: argparse.Namespace) -> str:
    """Return the command that repeats this run."""
    parts = ["--seed", str(options.seed)]
    if options.target:
        parts += ["--ledger", options.ledger or os.environ.get("PAYEX_OWNER_NO", "")]
        parts += ["--rate", f"{options.rate:g}"]
    if options.allow_writes:
        parts += ["--allow-writes", "--prefix", options.prefix, *(["--production"] if options.production else [])]
        parts += ["--leave-data"] if options.leave_data else []
    if options.report is not None:
        parts += ["--report", str(options.report)]
    if IS_INSTALLED:
        return f"{COMMAND} {shlex.join(['--target', options.target, *parts])}"
    target = f" TARGET={shlex.quote(options.target)}" if options.target else ""
    return f'make contract{target} ARGS="{shlex.join(parts)}"'


def _announcement(target: Target, seed: int) -> str:
    """Return the line that describes the run before it starts."""
    lines = [
        f"Testing {target.base_url}, ledger {target.ledger}, at most {target.rate:g} requests per second. Seed {seed}."
    ]
    if target.prefix:
        lines += [
            f"It creates, changes and removes under customers that begin with {target.prefix}, and nothing else.",
            "It removes what it made, also after a failure or Ctrl-C. Customers stay: the API cannot remove them.",
        ]
    else:
        lines += ["Safe methods only: nothing but GET is sent."]
    seconds = target.expected / target.rate
    needed = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(2, seconds):.0f} seconds"
    lines += [
        f"It sends about {target.expected:,} requests: {needed} at {target.rate:g} per second, longer if the endpoint",
        f"responds slowly. It stops after {target.limit:,}{', and then cleans up' if target.prefix else ''}.",
    ]
    return "\n".join(lines)


def _any_customer(ledger: str) -> str:
    """Return the path of a customer below the base path of the API."""
    return "/".join(("", ledger, *load().place("customer").segments("0")))


def _reach(target: Target) -> None:
    """Check that the target responds and accepts the token.

    Raises:
        Unusable: the target does not respond, or refuses the token.
    """
    from .target import Unusable  # noqa: PLC0415

    origin = target.base_url
    context = target.context(os.environ) if origin.startswith("https") else False
    try:
        answer = httpx2.get(
            origin + _any_customer(target.ledger),
            headers={"Authorization": f"Bearer {os.environ['PAYEX_TOKEN']}", "Accept": "application/json"},
            timeout=10,
            verify=context,
            trust_env=False,
        )
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        if "SSL" in reason or "TLS" in reason or "certificate" in reason.lower():
            raise Unusable(
                f"TLS failed, check PAYEX_CLIENT_CERT, PAYEX_CLIENT_KEY and PAYEX_CA_FILE ({reason})"
            ) from None
        raise Unusable(f"no connection ({reason})") from None
    if answer.status_code in {401, 403}:
        raise Unusable(
            f"it answers {answer.status_code}. Check PAYEX_TOKEN, and that it is the token of ledger {target.ledger}."
        )


def _try_removal(target: Target) -> None:
    """Check that the ledger removes what a run makes.

    Raises:
        Unusable: it does not.
    """
    from .clean_up import still_there, try_removal  # noqa: PLC0415
    from .target import Unusable  # noqa: PLC0415

    api = target.open(os.environ)
    try:
        result = try_removal(api)
    finally:
        api.transport.close()
    if result.left:
        raise Unusable(
            "the ledger does not remove what a run makes, and a run makes more than a thousand resources. "
            "To test all the same, and leave them there: --leave-data. To send only GET: leave out --allow-writes.\n"
            + still_there(api, result.left)
        )
    print(
        f"The ledger removes what a run makes. Created to find out, and stays: {' '.join(result.customers)}", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
