"""The generated client as openapi-python-client writes it: on httpx. Ours imports httpx2 in its place."""

from __future__ import annotations

import atexit
import importlib
import re
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

GENERATED = Path(__file__).parent.parent / "generated_client" / "payex_billing_client"
PACKAGE = "stock_billing_client"


def stock(module: str) -> ModuleType:
    """A module of the stock client, such as `api.customers.get_customer`."""
    if PACKAGE not in sys.modules:
        folder = Path(tempfile.mkdtemp(prefix="payex-billing-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(GENERATED, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (folder / PACKAGE).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"^import httpx2 as httpx$", "import httpx", text, flags=re.MULTILINE), "utf-8")
        sys.path.insert(0, str(folder))
    return importlib.import_module(f"{PACKAGE}.{module}")
