"""`python -m payex_billing_mock`: serve the mock until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import NoReturn

from .contract import ContractError, load_contract
from .faults import KINDS, STATUSES, Faults
from .server import MockServer, allow_many_connections
from .streams import Tls

EXAMPLES = """
examples:
  payex-billing mock --port 8080 --ledger 1234 --token secret --db state.db
  payex-billing mock --fault lose-answer:POST@0.1 --fault latency=0.5 --fault 429=2 --seed 1
  payex-billing mock --fault late-commit=1.5,reset:POST --fault stale-response=201@0.1 --fault drip=10:GET
"""
STOPPING = {signal.SIGINT, signal.SIGTERM}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the mock; returns the exit code: 0 stopped, 1 could not start, 64 wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    ledgers = options.ledger or ["1234"]
    tokens = options.token or [f"token-{ledger}" for ledger in ledgers]
    if len(tokens) != len(ledgers):
        parser.error("give as many --token as --ledger, in the same order")
    if len(set(ledgers)) != len(ledgers) or len(set(tokens)) != len(tokens):
        parser.error("each --ledger and each --token may be given once")
    if not 0 <= options.port <= 65_535:
        parser.error("--port must be between 0 and 65535")
    if options.fast and (options.fault or options.admin):
        parser.error("--fast serves without faults and without the console: leave out --fault and --admin, or --fast")
    if (options.tls_cert is None) != (options.tls_key is None) or (options.tls_client_ca and not options.tls_cert):
        parser.error("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    try:
        faults = Faults(*options.fault, seed=options.seed) if options.fault else None
    except ValueError as error:
        parser.error(str(error))
    # Blocked from here on, a signal waits for `sigwait` and cannot be lost while the mock starts.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    allow_many_connections()
    by_ledger = dict(zip(ledgers, tokens, strict=True))
    try:
        server = MockServer(
            by_ledger,
            host=options.host,
            port=options.port,
            db=options.db,
            contract=load_contract(options.contract),
            faults=faults,
            admin=options.admin,
            tls=Tls(options.tls_cert, options.tls_key, options.tls_client_ca) if options.tls_cert else None,
            console=not options.fast,
        )
        server.start()
    except (ContractError, OSError, ValueError) as error:
        print(f"payex-billing mock: {error}", file=sys.stderr)
        return 1
    _print_start(server, by_ledger, options.db)
    signal.sigwait(STOPPING)
    server.stop()
    print("Stopped.", flush=True)
    return 0


def _print_start(server: MockServer, by_ledger: Mapping[str, str], db: str | None) -> None:
    for ledger, token in by_ledger.items():
        print(f"PayEx Billing mock on {server.url}  ledger {ledger}  token {token}")
    if server.faults.pending():
        print(f"Faults: {', '.join(server.faults.pending())}")
    if server.console_url is not None:
        print(f"Console: {server.console_url}")
    elif server.has_console:
        print(f"Console: not at {server.host}. Use --host 127.0.0.1 or --host 0.0.0.0 to open it here.")
    print(f"State is kept {f'in {db}' if db else 'in memory'}. Ctrl-C stops the mock.", flush=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(64, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="payex-billing mock",
        description="Serve a stateful mock of the PayEx Billing Customer API.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    host = "address to bind; the console responds only to browsers on this machine (default: %(default)s)"
    add("--host", default="127.0.0.1", help=host)
    add("--port", type=int, default=8080, help="port to bind, 0 for a free one (default: %(default)s)")
    add("--ledger", action="append", metavar="NO", help="ledger number, repeatable (default: 1234)")
    add("--token", action="append", help="the ledger's token, repeatable (default: token-NO)")
    add("--db", metavar="FILE", help="keep the state in a SQLite file over restarts")
    fault = "let requests meet this fault: KIND[=VALUE][:METHODS][@CHANCE], repeatable; the kinds are listed below"
    add("--fault", action="append", help=fault)
    add("--seed", type=int, help="make the chances of faults and the endings of late-commit repeatable")
    admin = (
        "let every client that can reach the mock read and change the faults at /mock/faults: GET lists them, "
        'POST {"faults": ["lose-answer:POST"]} queues more, DELETE ends all. Each request needs the header '
        "X-Payex-Console: 1, and a POST also Content-Type: application/json"
    )
    add("--admin", action="store_true", help=admin)
    fast = "serve ten times as many requests a second, without console and faults"
    add("--fast", action="store_true", help=fast)
    add("--tls-cert", metavar="FILE", help="serve https with this certificate (PEM)")
    add("--tls-key", metavar="FILE", help="the certificate's private key (PEM)")
    authority = "demand a client certificate of this authority (PEM); a client without one gets a TLS alert"
    add("--tls-client-ca", metavar="FILE", help=authority)
    add("--contract", metavar="FILE", help="serve this contract in place of the built-in one")
    return parser


def _epilog() -> str:
    """Return the kinds of faults, and examples."""
    lines = ["kinds of faults:"]
    for kind, meaning in ({name: kind.meaning for name, kind in KINDS.items()} | STATUSES).items():
        lines += textwrap.wrap(meaning, 100, initial_indent=f"  {kind:<15} ", subsequent_indent=" " * 18)
    return "\n".join(lines) + "\n" + EXAMPLES


if __name__ == "__main__":
    sys.exit(main())
