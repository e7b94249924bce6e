"""Start the peer: `python -m contract_tests.peer --port 0 --ledger 1234=TOKEN`."""

import argparse
import contextlib
import socket

import uvicorn

from contract_tests.peer.app import PREFIX, build
from contract_tests.peer.storage import Storage
from contract_tests.peer.variants import VARIANTS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m contract_tests.peer",
        description="Serve the contract from a second implementation, on 127.0.0.1.",
        epilog="Variants:\n" + "\n".join(f"  {name:20} {effect}" for name, effect in VARIANTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one (default)")
    parser.add_argument("--ledger", action="append", required=True, metavar="NUMBER=TOKEN", help="repeatable")
    parser.add_argument("--db", metavar="FILE", help="SQLite file (default: memory)")
    parser.add_argument("--variant", action="append", default=[], choices=VARIANTS, metavar="NAME", help="repeatable")
    arguments = parser.parse_args()
    ledgers: dict[str, str] = {}
    for pair in arguments.ledger:
        number, _, token = pair.partition("=")
        if not number or not token or token in ledgers:
            parser.error("--ledger needs NUMBER=TOKEN, and each ledger needs a token of its own")
        ledgers[token] = number
    # asyncio sets TCP_NODELAY only if the protocol is named; without TCP_NODELAY each response takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", arguments.port))
    listener.listen(128)
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = build(ledgers, Storage(arguments.db), frozenset(arguments.variant), origin)
    print(origin + PREFIX, flush=True)
    config = uvicorn.Config(app, log_level="warning", server_header=False, http="h11", timeout_graceful_shutdown=3)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again after its shutdown
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
