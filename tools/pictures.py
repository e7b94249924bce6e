"""`make pictures`: the pictures of README, made from the real output of the commands.

docs/images/plan.svg: `plan` of a table, on a mock that holds last month's charges.
docs/images/console.png: the console of a mock, in the browser of this machine; left out where there is none.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from contextlib import suppress
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

from payex_billing import Billing, Charge, OutcomeUnknown
from payex_billing_mock import MockServer
from playwright.sync_api import sync_playwright

TOKEN = "secret"  # noqa: S105 - of a mock
IMAGES = Path(__file__).parent.parent / "docs" / "images"
COLUMNS, LINE, LETTER = 100, 19, 8.43  # of the picture: columns of text, height of a line, width of a letter
HEADER = "customer_no,subscription_no,product_code,quantity,unit_price,text,start_date,end_date\n"
BEFORE = (
    "15615616,,FIBER,1,499.00,Fiber 100/100,2026-01-01,\n"
    "15615616,46701234567,TV,1,129.00,,2026-01-01,\n"
    "20110407,,FIBER,1,499.00,Fiber 100/100,2026-03-01,\n"
    "20110407,46707654321,TV,2,129.00,,2026-03-01,\n"
    "30230131,,SPORT,1,79.00,,2026-05-01,\n"
)
AFTER = (
    "15615616,,FIBER,1,549.00,Fiber 250/100,2026-01-01,\n"
    "15615616,46701234567,TV,1,129.00,,2026-01-01,\n"
    "20110407,,FIBER,1,499.00,Fiber 100/100,2026-03-01,\n"
    "20110407,46707654321,TV,3,129.00,,2026-03-01,\n"
    "30230131,,SPORT,1,79.00,,2026-05-01,2026-12-31\n"
    "40440044,46700000044,TV,1,129.00,,2026-12-01,\n"
)
CUSTOMERS = [
    ("20110407", "46707654321", "549.00"),
    ("30230131", "46700000031", "499.00"),
    ("15615616", "46701234567", "499.00"),
]
STYLE = (
    "rect{fill:#fff;stroke:#d0d7de}"
    "text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1f2328;white-space:pre}"
    ".prompt{font-weight:bold}"
    "@media(prefers-color-scheme:dark){rect{fill:#0d1117;stroke:#30363d}text{fill:#e6edf3}}"
)


def main() -> int:
    """Write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "plan.svg").write_text(picture("payex-billing plan charges.csv", plan()), encoding="utf-8")
    console(IMAGES / "console.png")
    return 0


def console(target: Path) -> None:
    """Write a picture of the console, with an open customer, a fault that waits, and a response that was lost."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        print("No chromium here: the picture of the console is left as it is.", file=sys.stderr)
        return
    options: dict[str, Any] = {"viewport": {"width": 1200, "height": 1000}, "color_scheme": "light"}
    with MockServer({"1234": TOKEN}, console=True) as mock, sync_playwright() as playwright:
        _use(mock)
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(**options)
        page.goto(mock.url)
        page.locator("#connection", has_text="Live").wait_for()
        page.get_by_text("15615616 – 1 subscription").click()
        page.get_by_role("cell", name="499.00").first.wait_for()
        page.locator("#active li").first.wait_for()
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=target)
        opened.close()


def _use(mock: MockServer) -> None:
    """Give the console something to show: customers with charges, and a response that was lost."""
    with Billing(token=TOKEN, owner_no="1234", base_url=mock.url) as billing:
        for customer_no, subscription_no, price in CUSTOMERS:
            customer = billing.customer(customer_no)
            customer.ensure()
            customer.recurring_products.create(Charge(product_code="FIBER", quantity=1, unit_price=Decimal(price)))
            subscription = customer.subscription(subscription_no)
            subscription.ensure()
            subscription.recurring_products.create(Charge(product_code="TV", quantity=1, unit_price=Decimal("129.00")))
        mock.faults.queue("lose-answer")
        with suppress(OutcomeUnknown):
            billing.customer("15615616").recurring_products.create(Charge(product_code="SPORT", quantity=1))
        mock.faults.queue("503=1:POST")


def plan() -> str:
    """Return what `plan` prints."""
    with tempfile.TemporaryDirectory() as folder, MockServer({"1234": TOKEN}) as mock:
        table = Path(folder) / "charges.csv"
        environment = {
            **os.environ, "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": "1234", "PAYEX_BASE_URL": mock.url,
            "XDG_STATE_HOME": folder,
        }  # fmt: skip

        def run(*arguments: str, output: int = subprocess.DEVNULL) -> None:
            command = [sys.executable, "-m", "payex_billing", "--quiet", "--color", "never", *arguments]
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=output)

        table.write_text(HEADER + BEFORE, encoding="utf-8")
        run("apply", "charges.csv", "--first-run")
        table.write_text(HEADER + AFTER, encoding="utf-8")
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        run("plan", "charges.csv", output=theirs)
        os.close(theirs)
        return os.read(ours, 65_536).decode().replace("\r\n", "\n")


def picture(command: str, output: str) -> str:
    """Return an SVG of a terminal."""
    lines = [f"$ {command}", *output.splitlines()]
    width, height = COLUMNS * LETTER + 32, len(lines) * LINE + 32
    texts = [f'<text x="16" y="{30 + number * LINE}">{escape(line)}</text>' for number, line in enumerate(lines)]
    texts[0] = texts[0].replace("<text ", '<text class="prompt" ')
    size = f'viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(command)}">',
            f"<style>{STYLE}</style>",
            f'<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1}" rx="8"/>',
            *texts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
