"""`make contract`: fuzz the mock, or with a target a real endpoint, by a fixed seed.

Exit codes: 0 the contract holds, 1 it does not, or the target cannot be reached, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import requests
from payex_billing_mock import load_contract

SEED = 20_260_101
HERE = Path(__file__).parent


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"make contract: {message}", file=sys.stderr)
        raise SystemExit(64)


def main() -> int:
    parser = _Parser(prog="python -m contract_tests", description=__doc__)
    parser.add_argument("--target", help="origin, or base URL, of a real endpoint; the mock if not given")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the generated data (default: %(default)s)")
    options = parser.parse_args()
    arguments = [str(HERE), f"--hypothesis-seed={options.seed}", "--quiet", "-p", "no:cacheprovider"]
    if options.target is None:
        print(f"Fuzzing the mock, in process and over a socket. Seed {options.seed}.", flush=True)
    else:
        target = _target(parser, options.target)
        for variable in ("PAYEX_TOKEN", "PAYEX_OWNER_NO"):
            if not os.environ.get(variable):
                parser.error(f"a target needs {variable} in the environment")
        reason = _unreachable(target)
        if reason is not None:
            print(f"make contract: {target} cannot be reached: {reason}", file=sys.stderr)
            return 1
        print(f"Fuzzing {target} with safe methods only: nothing but GET is sent. Seed {options.seed}.", flush=True)
        arguments += ["--target", target]
    # A process of its own: pytest wants to see its plugins' modules before anyone else.
    status = subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode
    if status != 0:
        again = f" TARGET={options.target}" if options.target else ""
        print(f'Again: make contract{again} ARGS="--seed {options.seed}"', file=sys.stderr)
    return min(status, 1)


def _target(parser: _Parser, text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        parser.error(f"{text} is not a URL: {error}")
    if parts.scheme not in {"http", "https"} or not host:
        parser.error(f"{text} is not a URL such as https://api.sandbox.payex.com")
    if parts.scheme == "http" and host not in {"127.0.0.1", "localhost", "::1"}:
        parser.error("the target must be https: over http the token could be read on the way")
    return text.rstrip("/") + (load_contract().base_path if parts.path in {"", "/"} else "")


def _unreachable(target: str) -> str | None:
    """Why the target cannot be reached, in a sentence; any answer at all will do."""
    certificate, key = os.environ.get("PAYEX_CLIENT_CERT"), os.environ.get("PAYEX_CLIENT_KEY")
    try:
        requests.get(
            target,
            timeout=10,
            allow_redirects=False,
            cert=(certificate, key) if certificate and key else certificate,
            verify=os.environ.get("PAYEX_CA_FILE") or True,
        )
    except requests.exceptions.SSLError as error:
        return f"TLS failed, check PAYEX_CLIENT_CERT, PAYEX_CLIENT_KEY and PAYEX_CA_FILE ({error})"
    except requests.ConnectionError as error:
        return f"no connection ({_innermost(error)})"
    except (requests.RequestException, OSError) as error:
        return str(error)
    return None


def _innermost(error: BaseException) -> object:
    """What the operating system said, out of the wrappings around it."""
    reason = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return _innermost(reason) if isinstance(reason, BaseException) else reason or error


if __name__ == "__main__":
    sys.exit(main())
