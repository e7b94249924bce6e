"""What a person sees: each screen of the command line in a real terminal, kept in `tests/screens/` for review.

To write the files again after a change: `SCREENS=write pytest tests/test_cli_screens.py`, and look at them.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from payex_billing.cli._table import lines
from payex_billing_mock import MockServer

from tests.support import LEDGER, TOKEN

SCREENS = Path(__file__).parent / "screens"
SIZES = [(80, 24), (120, 40)]
HOSTILE = "\x1b[2J\u202e[bold]日本 Bredband 100/100 med fast IP-adress\n och en lång text"
TABLE = (
    "customer_no,subscription_no,product_code,quantity,unit_price,text,start_date\n"
    "15615616,,P01,1,499.00,Fiber 100/100,2026-01-01\n"
    "15615616,46701234567,TV02,2,109.50,,2026-02-01\n"
    "15615617,,P01,1,1499.00,Fiber 1000/1000,2026-01-01\n"
)
Screen = Callable[..., str]


@pytest.fixture
def mock_of_screens(mock: MockServer) -> MockServer:
    store = mock.store
    store.create_customer(LEDGER, {"customerNo": "15615616"})
    store.create_subscription(LEDGER, "15615616", {"subscriptionNo": "46701234567"})
    store.create_charge(
        LEDGER, "15615616", "", {"productCode": "P01", "quantity": 1, "unitPrice": 399.5, "text": "Fiber"}
    )
    charge = store.create_charge(
        LEDGER, "15615616", "46701234567",
        {"productCode": "TV02", "quantity": 12, "unitPrice": 109.123456, "vatRate": 25, "startDate": "2026-01-01",
         "endDate": "2027-12-31", "text": "x"},
    )  # fmt: skip
    charge.document["text"] = HOSTILE
    return mock


@pytest.fixture
def screen(mock_of_screens: MockServer, tmp_path: Path) -> Screen:
    (tmp_path / "charges.csv").write_text(TABLE, encoding="utf-8")

    def screen(*arguments: str, size: tuple[int, int], **variables: str) -> str:
        settings = {
            "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock_of_screens.url, "TERM": "xterm",
        }  # fmt: skip
        environment = {**os.environ, **settings, **variables}
        environment.pop("COLUMNS", None)
        shown = _in_terminal([sys.executable, "-m", "payex_billing", *arguments], size, tmp_path, environment)
        return _steady(shown, mock_of_screens.url)

    return screen


def _in_terminal(command: list[str], size: tuple[int, int], folder: Path, environment: dict[str, str]) -> str:
    """Run a command in a terminal of this size; return what it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while select.select([ours], [], [], 60)[0]:
                try:
                    part = os.read(ours, 65_536)
                except OSError:  # the other end is closed
                    break
                if not part:
                    break
                written += part
        finally:
            process.kill() if process.poll() is None and not written else None
            os.close(ours)
    return written.decode("utf-8").replace("\r\n", "\n")


def _steady(text: str, url: str) -> str:
    """Replace what is new in every run: ids, times, digests and the port."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text)
    text = re.sub(r"^planning .*\n", "", text, flags=re.MULTILINE)  # the progress, whose speed differs
    text = re.sub(r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:01234567-89ab-cdef-0123-456789abcdef", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "0123456789abcdef", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "0123456789ab", text)
    text = text.replace(url, "http://127.0.0.1:12345")
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-01-01 03:00:00", text)


COMMANDS = {
    "help": ("--help",),
    "charges": ("charges", "list", "15615616"),
    "no_customer": ("charges", "list", "999"),
    "plan": ("plan", "charges.csv"),
    "plan_details": ("plan", "charges.csv", "--details"),
    "problem": ("problems", "customer-not-found"),
    "misspelled": ("chargs",),
    "settings": ("settings",),
    "mock_help": ("mock", "--help"),
    "mock_misspelled": ("mock", "--fault", "lose-anser"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_screen_is_the_one_that_was_reviewed(screen: Screen, name: str, size: tuple[int, int]) -> None:
    shown = screen(*COMMANDS[name], size=size)
    kept = SCREENS / f"{name}_{size[0]}.txt"
    if os.environ.get("SCREENS") == "write":
        kept.write_text(shown, encoding="utf-8")
    assert shown == kept.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["charges", "plan", "plan_details"])
def test_no_id_date_or_number_is_broken_at_80_columns(screen: Screen, name: str) -> None:
    shown = screen(*COMMANDS[name], size=(80, 24))
    assert max(map(_columns, shown.splitlines())) <= 80, shown
    values = ["0123456789abcdef", "2026-01-01", "109.123456", "46701234567"] if name == "charges" else ["1,499.00"]
    for value in values:
        assert value in shown


def test_no_long_number_of_a_plan_is_broken(screen: Screen, tmp_path: Path) -> None:
    header = "customer_no,subscription_no,product_code,quantity,unit_price,start_date\n"
    (tmp_path / "long.csv").write_text(f"{header}123456789012345,46701234567,P01,1,1234567.123456,2026-01-01\n")
    commands = [("plan", "long.csv"), ("plan", "long.csv", "--details"), ("undo", "1", "--plan-only")]
    for command in commands:
        if command[0] == "undo":
            assert "Run 1." in screen("apply", "long.csv", "--first-run", size=(80, 24))
        for columns in (40, 80, 120):
            shown = screen(*command, size=(columns, 24))
            for value in ("1,234,567.123456", "46701234567", "123456789012345", "2026-01-01"):
                assert value in shown, (command, columns, shown)


def test_a_table_of_any_width_breaks_no_word_of_a_value() -> None:
    cells = ["update", "unit price 1,234,567.123456, start date 2026-01-01", "unit price 2.00, charge 0123456789abcdef"]
    for width in range(34, 130):  # the narrowest block: the longest name, two spaces, the longest word
        shown = list(map(click.unstyle, lines(["step", "was", "left by the run"], [cells], width=width)))
        assert max(map(len, shown)) <= width, "\n".join(shown)
        words = " ".join(shown).split()
        assert {"1,234,567.123456,", "2026-01-01", "0123456789abcdef"} <= {*words}, "\n".join(shown)


def test_a_long_word_of_a_text_does_not_take_a_table_apart() -> None:
    shown = list(map(click.unstyle, lines(["id", "text"], [["17", "x" * 60]], width=40)))
    assert shown == ["id  text", "17  " + "x" * 36, "    " + "x" * 24]


def test_a_hostile_text_stays_text(screen: Screen) -> None:
    shown = screen("charges", "list", "15615616", size=(120, 40))
    assert "\u202e" not in shown
    assert r"\x1b[2J\u202e[bold]" in "".join(shown.split())


def test_without_a_terminal_a_row_is_one_line(mock_of_screens: MockServer) -> None:
    settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock_of_screens.url, "COLUMNS": "40"}
    command = [sys.executable, "-m", "payex_billing", "charges", "list", "15615616"]
    shown = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=True).stdout
    header, *rows = shown.splitlines()
    assert len(rows) == 2
    assert "\x1b" not in shown
    place = header.index("quantity") + len("quantity")
    assert [row[:place].split()[-1] for row in rows] == ["1", "12"]  # aligned to the right


def _columns(line: str) -> int:
    return len(line) + sum("　" <= letter <= "￦" for letter in line)
