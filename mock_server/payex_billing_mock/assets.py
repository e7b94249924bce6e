"""The files that the console serves: its own pages, and Swagger UI from the package flask-swagger-ui."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from .messages import Answer

_OWN = resources.files(__package__) / "console_assets"
_SWAGGER_UI = ("swagger-ui.css", "swagger-ui-bundle.js")
PAGES = {b"/": "index.html", b"/console/contract": "contract.html"}
"""The file of each path."""
PAGES |= {f"/console/{each.name}".encode(): each.name for each in _OWN.iterdir() if not each.name.endswith("html")}
PAGES |= {f"/console/{name}".encode(): name for name in _SWAGGER_UI}
MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
HEADERS = {
    "Cache-Control": "no-cache",
    # Swagger UI, which shows the contract, needs inline styles and has its icons in `data:` URLs.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def swagger_ui() -> Path:
    """Return the folder of Swagger UI.

    The function only looks for the package. An import of the package would import Flask, which the mock does not use.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("Swagger UI is not installed: pip install 'payex-billing[mock]'")
    return Path(spec.origin).parent / "dist"


def page(name: str) -> Answer:
    """Return the response with a file."""
    try:
        return _read(name)
    except FileNotFoundError as error:
        return Answer.of(404, "text/plain; charset=utf-8", f"{error}\n", HEADERS)


@cache
def _read(name: str) -> Answer:
    text = ((swagger_ui() if name in _SWAGGER_UI else _OWN) / name).read_text(encoding="utf-8")
    return Answer.of(200, f"{MEDIA_TYPES[name.rpartition('.')[2]]}; charset=utf-8", text, HEADERS)
