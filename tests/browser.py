"""A real browser for the tests: Debian's chromium, or whichever is there, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", ROOT / "build" / "screenshots"))


@contextmanager
def open_browser() -> Iterator[Any]:
    """A browser; skips the test where there is none."""
    if BROWSER is None:
        pytest.skip("no browser: install chromium to have this tested")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(allowed: tuple[str, ...], tolerated: str | None = None, browser: Any = None) -> Iterator[Any]:
    """A page that must neither complain on its console nor ask for anything but what begins as allowed.

    Complaints that contain the text `tolerated` are accepted. Without `browser`, the page has a browser of its own.
    """
    if browser is None:
        with open_browser() as own, open_page(allowed, tolerated, own) as page:
            yield page
        return
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(30_000)
    try:
        yield page
        assert [each for each in complaints if tolerated is None or tolerated not in each] == []
        assert [url for url in asked if not url.startswith(allowed)] == []
    finally:
        context.close()


def keep(page: Any, name: str) -> None:
    """Keep what is seen, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)


WIDTHS = (1400, 400)  # pixels
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in WIDTHS]
"""The colour schemes and the widths of a page. Two schemes differ only in colours."""

# Compares the colour of each visible text with the colours behind it, as WCAG 2.2 defines contrast.
_LOW_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) known.set(colour, drawn(colour));
    return known.get(colour);
  };
  const drawn = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
    const page = getComputedStyle(document.documentElement).colorScheme.includes("dark") &&
      matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
    return layers.reduceRight((below, top) => over(top, below), page);
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour.slice(0, 3).map((value) => value / 255)
      .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (element.closest("noscript, script, style, :disabled")) continue;
    count += 1;
    const ground = behind(element);
    const [one, two] = [luminance(over(rgba(getComputedStyle(element).color), ground)), luminance(ground)];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${texts.currentNode.data.trim().slice(0, 60)}`);
  }
  return count ? found : ["no text found"];
}"""


def show(page: Any, scheme: str, width: int) -> None:
    """Give a page its colour scheme and its width."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})


def low_contrast(page: Any) -> list[str]:
    """The texts of a page with a contrast below 4.5:1."""
    return list(page.evaluate(_LOW_CONTRAST))


def barriers(page: Any) -> list[str]:
    """The serious and critical findings of axe-core on a page; skips the test where axe-core is not installed.

    axe-core asks for the style sheets once more for one of its rules, which a browser refuses for files.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    findings = axe.Axe().run(page, options={"preload": not page.url.startswith("file:")}).response["violations"]
    return [
        f"{each['impact']} {each['id']}: {node['html'][:100]}"
        for each in findings
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]
