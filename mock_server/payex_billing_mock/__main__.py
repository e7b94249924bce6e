"""`python -m payex_billing_mock`: serve the mock until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

try:
    import click
except ModuleNotFoundError as error:
    message = "payex_billing_mock needs an extra: pip install 'payex-billing[mock]'"
    raise ModuleNotFoundError(message, name=error.name) from error

from .contract import ContractError, load_contract
from .faults import KINDS, STATUSES, Faults
from .server import MockServer, allow_many_connections
from .streams import Tls

# SIGBREAK is Ctrl-Break on Windows: the only signal there that one process can send to another one.
_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
EXAMPLES = """\b
Examples:
  payex-billing mock --port 8080 --ledger 1234 --token secret --db state.db
  payex-billing mock --fault lose-answer:POST@0.1 --fault 429=2 --seed 1
  payex-billing mock --fault late-commit=1.5,reset:POST --fault drip=10:GET

Exit codes: 0 stopped, 1 the mock could not start, 64 wrong usage.
"""


class StopSignals:
    """Waits for a signal that asks the process to stop. A signal that comes before `wait` is not lost.

    Python writes a byte to the socket for each signal. Windows has neither `sigwait` nor blocked signals, and Ctrl-C
    does not end the wait for a lock there (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).

    Use it in the main thread only.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in _NUMBERS:
            signal.signal(number, _do_nothing)

    def wait(self) -> None:
        """Return at the first signal."""
        self._reader.recv(1)


def _do_nothing(number: int, frame: object) -> None:
    """Replace the default, which would raise an exception or end the process."""


class _Command(click.Command):
    """A command whose help lists the kinds of faults."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the kinds of faults, and the examples."""
        with formatter.section("Kinds of faults"):
            formatter.write_dl([(name, kind.meaning) for name, kind in KINDS.items()] + list(STATUSES.items()))
        super().format_epilog(ctx, formatter)


def _faults(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        Faults(*texts)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return texts


@click.command(cls=_Command, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to bind. The console responds only to browsers on this machine.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    metavar="PORT",
    help="Port to bind; 0 for a free one.",
)
@click.option("--ledger", "ledgers", multiple=True, metavar="NO", help="Ledger number, repeatable. Default: 1234.")
@click.option("--token", "tokens", multiple=True, help="Token of the ledger, repeatable. Default: token-NO.")
@click.option("--db", metavar="FILE", help="Keep the state in a SQLite file over restarts.")
@click.option(
    "--fault",
    "texts",
    multiple=True,
    callback=_faults,
    metavar="FAULT",
    help="Let requests meet this fault: KIND[=VALUE][:METHODS][@CHANCE], repeatable. The kinds are below.",
)
@click.option("--seed", type=int, help="Make the chances of faults and the endings of late-commit repeatable.")
@click.option(
    "--admin",
    is_flag=True,
    help="Let every client that can reach the mock read and change the faults at /mock/faults: GET lists them, POST "
    '{"faults": ["lose-answer:POST"]} queues more, DELETE ends all. Each request needs the header X-Payex-Console: 1, '
    "and a POST also Content-Type: application/json.",
)
@click.option(
    "--fast", is_flag=True, help="Serve ten times as many requests a second, without the console and without faults."
)
@click.option("--tls-cert", metavar="FILE", help="Serve https with this certificate (PEM).")
@click.option("--tls-key", metavar="FILE", help="The private key of the certificate (PEM).")
@click.option(
    "--tls-client-ca",
    metavar="FILE",
    help="Demand a client certificate of this authority (PEM). A client without one gets a TLS alert.",
)
@click.option("--contract", metavar="FILE", help="Serve this contract in place of the built-in one.")
def mock(ledgers: Sequence[str], tokens: Sequence[str], **options: Any) -> int:
    """Serve a stateful mock of the PayEx Billing Customer API until Ctrl-C."""
    by_ledger = _by_ledger(ledgers or ["1234"], tokens)
    if options["fast"] and (options["texts"] or options["admin"]):
        raise click.UsageError(
            "--fast serves without faults and without the console: leave out --fault and --admin, or --fast"
        )
    certificate, key, authority = options["tls_cert"], options["tls_key"], options["tls_client_ca"]
    if (certificate is None) != (key is None) or (authority and not certificate):
        raise click.UsageError("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    stop = StopSignals()  # before the start, which a signal may interrupt
    allow_many_connections()
    try:
        server = MockServer(
            by_ledger,
            host=options["host"],
            port=options["port"],
            db=options["db"],
            contract=load_contract(options["contract"]),
            faults=Faults(*options["texts"], seed=options["seed"]) if options["texts"] else None,
            admin=options["admin"],
            tls=Tls(certificate, key, authority) if certificate else None,
            console=not options["fast"],
        )
        server.start()
    except (ContractError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    _print_start(server, by_ledger, options["texts"], options["db"])
    stop.wait()
    server.stop()
    click.echo("Stopped.")
    return 0


def _by_ledger(ledgers: Sequence[str], tokens: Sequence[str]) -> dict[str, str]:
    tokens = tokens or [f"token-{ledger}" for ledger in ledgers]
    if len(tokens) != len(ledgers):
        raise click.UsageError("give as many --token as --ledger, in the same order")
    if len(set(ledgers)) != len(ledgers) or len(set(tokens)) != len(tokens):
        raise click.UsageError("each --ledger and each --token may be given once")
    return dict(zip(ledgers, tokens, strict=True))


def _print_start(server: MockServer, by_ledger: Mapping[str, str], faults: Sequence[str], db: str | None) -> None:
    for ledger, token in by_ledger.items():
        click.echo(f"PayEx Billing mock on {server.url}  ledger {ledger}  token {token}")
    if faults:
        click.echo(f"Faults: {', '.join(server.faults.pending())}")
    if server.console_url is not None:
        click.echo(f"Console: {server.console_url}")
    elif server.has_console:
        click.echo(f"Console: not at {server.host}. Use --host 127.0.0.1 or --host 0.0.0.0 to open it here.")
    click.echo(f"State is kept {f'in {db}' if db else 'in memory'}. Ctrl-C stops the mock.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the mock; returns the exit code: 0 stopped, 1 could not start, 64 wrong usage."""
    given = None if arguments is None else list(arguments)
    try:
        code = mock.main(given, prog_name="python -m payex_billing_mock", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 64 if isinstance(error, click.UsageError) else 1
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
