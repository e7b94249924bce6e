"""`make pictures`: the pictures of README, made from the real output of the commands.

docs/images/plan.svg: `plan` of a table, on a mock that holds last month's charges.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from html import escape
from pathlib import Path

from payex_billing_mock import MockServer

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
    return 0


def plan() -> str:
    """Return what `plan` prints."""
    with tempfile.TemporaryDirectory() as folder, MockServer({"1234": "secret"}) as mock:
        table = Path(folder) / "charges.csv"
        environment = {
            **os.environ, "PAYEX_TOKEN": "secret", "PAYEX_OWNER_NO": "1234", "PAYEX_BASE_URL": mock.url,
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
