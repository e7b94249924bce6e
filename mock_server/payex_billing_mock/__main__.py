"""`python -m payex_billing_mock`: serve the mock until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from .contract import ContractError, load_contract
from .server import MockServer, allow_many_connections


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
    return serve(
        dict(zip(ledgers, tokens, strict=True)),
        host=options.host,
        port=options.port,
        db=options.db,
        contract=options.contract,
    )


def serve(ledgers: dict[str, str], *, host: str, port: int, db: str | None, contract: str | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit code."""
    # sigwait takes the signals from here on, so that none is lost between the start and the wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    allow_many_connections()
    try:
        server = MockServer(ledgers, host=host, port=port, db=db, contract=load_contract(contract))
        server.start()
    except (ContractError, OSError, ValueError) as error:
        print(f"payex-billing mock: {error}", file=sys.stderr)
        return 1
    for ledger, token in ledgers.items():
        print(f"PayEx Billing mock on {server.url}  ledger {ledger}  token {token}", flush=True)
    kept = f"in {db}" if db is not None else "in memory"
    print(f"State is kept {kept}. Ctrl-C stops it.", flush=True)
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
        epilog="example: payex-billing mock --port 8080 --ledger 1234 --token secret --db state.db",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8080, help="port to bind, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--ledger", action="append", metavar="NO", help="ledger number, repeatable (default: 1234)")
    parser.add_argument("--token", action="append", metavar="TOKEN", help="its token (default: token-NO)")
    parser.add_argument("--db", metavar="FILE", help="keep the state in a SQLite file over restarts")
    parser.add_argument("--contract", metavar="FILE", help="another contract than the one built in")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
