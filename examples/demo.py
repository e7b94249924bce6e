"""The main job, end to end: PayEx Billing is brought to what a table of charges says, by the commands one would type.

    python examples/demo.py examples/charges.csv

It runs against the mock, which it starts by itself: plan, apply, then both again, which must find nothing to do; then
what the mock holds is compared with the file. Exit codes: 0 all is as the file says, 1 it is not, 3 some rows were
rejected, 64 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

from payex_billing_mock import MockServer, load_contract

LEDGER, TOKEN = "1234", "demo-token"


def main() -> int:
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} CHARGES.CSV", file=sys.stderr)
        return 64
    file = Path(sys.argv[1])
    try:
        with MockServer({LEDGER: TOKEN}) as server, tempfile.TemporaryDirectory() as folder:
            print(f"Mock of PayEx Billing on {server.url}, ledger {LEDGER}", flush=True)
            return demonstrate(server, file, Path(folder))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def demonstrate(server: MockServer, file: Path, folder: Path) -> int:
    """Plan and apply, twice, and compare."""
    said = ""
    journal = ["--journal", str(folder / "journal")]
    for first in (True, False):
        for command in ("plan", "apply"):
            options = [] if command == "plan" else [*journal, "--first-run"] if first else journal
            code, said = run(server, folder, command, str(file), *options)
            if code != 0:
                return code
    if "Nothing to do." not in said:
        print("The second time there was something to do.")
        return 1
    missing, surplus = difference(file, server)
    for row, count in [*missing.items(), *surplus.items()]:
        print(f"differs, {count} times: {', '.join(row)}")
    if missing or surplus:
        return 1
    print("\nPayEx Billing holds exactly what the file says.")
    return 0


def run(server: MockServer, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command as one types it, and show what it says."""
    print(f"\n$ payex-billing {arguments[0]} {Path(arguments[1]).name}", flush=True)
    settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": server.url}
    settings["XDG_STATE_HOME"] = str(folder)  # the mock is gone afterwards, and so is what is remembered of it
    command = [sys.executable, "-m", "payex_billing", *arguments]
    result = subprocess.run(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True, check=False)
    print(result.stdout, end="", flush=True)
    return result.returncode, result.stdout


def difference(file: Path, server: MockServer) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """What the file has and the mock does not, and the other way round; by means of neither's own code."""
    names = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
    with file.open(encoding="utf-8", newline="") as opened:
        wanted = Counter(
            (row["customer_no"], row["subscription_no"], *(plain(row[name]) for name in names))
            for row in csv.DictReader(opened)
        )
    # The contract names the properties in this order.
    keys = [*load_contract().document["components"]["schemas"]["NewRecurringProduct"]["properties"]][: len(names)]
    held = Counter(
        (customer.id, "" if owner is customer else owner.id, *(plain(charge.document.get(key)) for key in keys))
        for customer in server.store.customers(LEDGER)
        for owner in (customer, *customer.subscriptions.values())
        for charge in owner.charges.values()
    )
    return wanted - held, held - wanted


def plain(value: object) -> str:
    """A value without the ways of writing it: 499, 499.0 and 499.00 are one."""
    if value is None:
        return ""
    try:
        return str(Decimal(str(value)).normalize())
    except ArithmeticError:
        return str(value)


if __name__ == "__main__":
    sys.exit(main())
