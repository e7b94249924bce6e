"""How Sphinx makes the site: `make docs`, through tools/docs.py, which adds the pages that are made from the code."""

import json
import re
from html import escape
from importlib.metadata import version as installed
from pathlib import Path

from docutils import nodes

project = "payex-billing"
author = "the payex-billing developers"
copyright = "the payex-billing developers, Apache License 2.0"  # noqa: A001 - Sphinx's name
version = release = installed("payex-billing")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "sphinx_copybutton"]
html_theme = "furo"
html_title = f"payex-billing {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
# A summary would be fetched from the page, which a browser does not do for files.
html_show_search_summary = False
html_copy_source = False
html_extra_path = ["extra"]
html_use_index = False  # the reference lists every name
templates_path: list[str] = []
exclude_patterns = ["extra", "static"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# A word between single backticks is code, as the docstrings mean it.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
nitpicky = False
smartquotes = False
pygments_style = "default"
pygments_dark_style = "github-dark"
highlight_language = "python"
suppress_warnings = ["myst.xref_missing"]
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp"
# What `make docs` found: the groups of the menu, and the classes of each part of the reference.
MENU = json.loads((Path(__file__).parent / "menu.json").read_text(encoding="utf-8"))
_PART_OF = {page: part for part, pages in MENU["reference"].items() for page, _ in pages}
# What a cell of a column of numbers holds: 12, 1,234.5 ms, +10 %, 300 of 300, 5 (0.4 %), or nothing.
_UNIT = r"(?:\s?(?:%|[µmn]?s|[kMG]B|calls/s|thousand))?"
_NUMBER = re.compile(rf"[-+<>≤≥~−]?\s?\d[\d,.]*{_UNIT}(?:\sof\s[\d,.]+)?(?:\s\([\d.,]+\s?%\))?|[–-]?")


def _as_restructured_text(
    _app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Docstrings are plain text: a list may follow a sentence directly, and a bare star means a star."""
    made: list[str] = []
    for line in lines:
        starts_list = re.match(r"\s*- ", line) is not None
        if starts_list and made and made[-1].strip() and not re.match(r"\s*- ", made[-1]):
            made.append("")
        made.append(line)
    lines[:] = made


def _align_numbers(_app: object, document: nodes.document) -> None:
    """Columns in which every cell is a number are aligned to the right."""
    for table in document.findall(nodes.tgroup):
        heads = [row.children for head in table.findall(nodes.thead) for row in head.children]
        rows = [row.children for body in table.findall(nodes.tbody) for row in body.children]
        for cells in zip(*rows, strict=False):
            texts = [cell.astext().strip() for cell in cells]
            if not any(texts) or not all(_NUMBER.fullmatch(text) for text in texts):
                continue
            column = cells[0].parent.index(cells[0])
            for cell in (*cells, *(head[column] for head in heads)):
                cell["classes"].append("number")


def _with_dashes(_app: object, document: nodes.document) -> None:
    """The descriptions of arguments begin with a dash; Sphinx's own way looks at every word of the site."""
    for text in document.findall(lambda node: isinstance(node, nodes.Text) and node == " -- "):
        text.parent.replace(text, nodes.Text(" – "))


def _menu(app: object, page: str, _template: str, context: dict[str, object], _doctree: object) -> None:
    """Give the theme the menu. Sphinx would make it anew for each page, which takes a third of the time."""
    titles = app.env.titles  # type: ignore[attr-defined]

    def entry(target: str, text: str, level: int, below: str = "") -> str:
        here = target == page
        classes = f"toctree-l{level}{' current' if here or below else ''}"
        link = f'<a class="{"current " if here else ""}reference internal" href="{context["pathto"](target)}">'  # type: ignore[operator]
        return f'<li class="{classes}">{link}{escape(text)}</a>{below}</li>'

    def part(target: str) -> str:
        """The classes of the part of the reference that the page belongs to."""
        if target != "reference" or page not in _PART_OF:
            return ""
        classes = MENU["reference"][_PART_OF[page]]
        return f"<ul>{''.join(entry(document, name, 2) for document, name in classes)}</ul>"

    made = []
    for title, pages in MENU["groups"].items():
        made.append(f'<p class="caption"><span class="caption-text">{escape(title)}</span></p><ul>')
        made += [entry(each, titles[each].astext(), 1, part(each)) for each in pages]
        made.append("</ul>")
    context["toctree"] = lambda **_options: "".join(made)


def _without_nameless_arguments(_app: object, _context: object, lines: list[str]) -> None:
    """`payex-billing mock` passes its arguments on, which sphinx-click takes for an argument without a name."""
    if any(line.strip() == ".. option::" for line in lines):
        lines.clear()


def setup(app: object) -> None:
    """Connect."""
    app.connect("autodoc-process-docstring", _as_restructured_text)  # type: ignore[attr-defined]
    app.connect("sphinx-click-process-arguments", _without_nameless_arguments)  # type: ignore[attr-defined]
    app.connect("doctree-read", _with_dashes)  # type: ignore[attr-defined]
    app.connect("doctree-read", _align_numbers)  # type: ignore[attr-defined]
    app.connect("html-page-context", _menu, priority=400)  # type: ignore[attr-defined] # before the theme, which is 500
