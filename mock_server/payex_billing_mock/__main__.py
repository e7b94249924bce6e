"""`python -m payex_billing_mock`: serve the mock until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import textwrap
from collections.abc import Sequence
from typing import NoReturn

from .contract import ContractError, load_contract
from .faults import KINDS, Faults
from .server import MockServer, allow_many_connections
from .tls import Tls


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
    try:
        faults = Faults(*options.fault, seed=options.seed) if options.fault else None
    except ValueError as error:
        parser.error(str(error))
    if options.fast and (options.fault or options.admin):
        parser.error("--fast serves without faults and without the console: leave out --fault and --admin, or --fast")
    if (options.tls_cert is None) != (options.tls_key is None) or (options.tls_client_ca and not options.tls_cert):
        parser.error("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    tls = Tls(options.tls_cert, options.tls_key, options.tls_client_ca) if options.tls_cert else None
    # Blocked from here on, a signal waits for `sigwait` below and cannot be lost while the mock starts.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
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
            tls=tls,
            console=not options.fast,
        )
        server.start()
    except (ContractError, OSError, ValueError) as error:
        print(f"payex-billing mock: {error}", file=sys.stderr)
        return 1
    for ledger, token in by_ledger.items():
        print(f"PayEx Billing mock on {server.url}  ledger {ledger}  token {token}", flush=True)
    if faults is not None:
        print(f"Faults: {', '.join(faults.pending())}", flush=True)
    if server.console_url is not None:
        print(f"Console: {server.console_url}", flush=True)
    elif not options.fast:
        print(f"Console: not at {options.host}. Use --host 127.0.0.1 or --host 0.0.0.0 to open it here.", flush=True)
    kept = f"in {options.db}" if options.db is not None else "in memory"
    print(f"State is kept {kept}. Ctrl-C stops the mock.", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    server.stop()
    print("Stopped.", flush=True)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(64)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="payex-billing mock",
        description="Serve a stateful mock of the PayEx Billing Customer API.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to bind; the console responds only to browsers on this machine (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=_port, default=8080, help="port to bind, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--ledger", action="append", metavar="NO", help="ledger number, repeatable (default: 1234)")
    parser.add_argument(
        "--token", action="append", metavar="TOKEN", help="the ledger's token, repeatable (default: token-NO)"
    )
    parser.add_argument("--db", metavar="FILE", help="keep the state in a SQLite file over restarts")
    parser.add_argument(
        "--fault",
        action="append",
        metavar="FAULT",
        help="let requests meet this fault: KIND[=VALUE][:METHODS][@CHANCE], repeatable; the kinds are listed below",
    )
    parser.add_argument("--seed", type=int, help="make the chances of faults and the endings of late-commit repeatable")
    parser.add_argument(
        "--admin",
        action="store_true",
        help="let every client that can reach the mock read and change the faults at /mock/faults: GET lists them, "
        'POST {"faults": ["lose-answer:POST"]} queues more, DELETE ends all. Each request needs the header '
        "X-Payex-Console: 1, and a POST also Content-Type: application/json",
    )
    parser.add_argument(
        "--fast", action="store_true", help="serve ten times as many requests a second, without console and faults"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="serve https with this certificate (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="the certificate's private key (PEM)")
    parser.add_argument(
        "--tls-client-ca",
        metavar="FILE",
        help="demand a client certificate of this authority (PEM); a client without one gets a TLS alert",
    )
    parser.add_argument("--contract", metavar="FILE", help="serve this contract in place of the built-in one")
    return parser


def _epilog() -> str:
    """The kinds of faults, and examples."""
    lines = ["kinds of faults:"]
    kinds = {name: kind.meaning for name, kind in KINDS.items()} | {
        "STATUS": "this status, such as 503, in place of the request's effect; VALUE is the Retry-After",
        "STATUS-after": "the request takes effect, then this status",
        "STATUS-problem": "this status with the API's problem as its body, in place of the request's effect",
    }
    for kind, meaning in kinds.items():
        lines += textwrap.wrap(meaning, 100, initial_indent=f"  {kind:<15} ", subsequent_indent=" " * 18)
    lines += [
        "",
        "examples:",
        "  payex-billing mock --port 8080 --ledger 1234 --token secret --db state.db",
        "  payex-billing mock --fault lose-answer:POST@0.1 --fault latency=0.5 --fault 429=2 --seed 1",
        "  payex-billing mock --fault late-commit=1.5,reset:POST --fault stale-response=201@0.1 --fault drip=10:GET",
    ]
    return "\n".join(lines)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
