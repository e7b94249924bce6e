"""How Sphinx makes the site: `make docs`, through tools/docs.py, which adds the pages that are made from the code."""

import re
from importlib.metadata import version as installed

project = "payex-billing"
author = "the payex-billing developers"
copyright = "the payex-billing developers, Apache License 2.0"  # noqa: A001 - Sphinx's name
version = release = installed("payex-billing")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"payex-billing {release}"
html_show_sourcelink = False
# A summary would be fetched from the page, which a browser does not do for files.
html_show_search_summary = False
html_copy_source = False
html_extra_path = ["extra"]
templates_path: list[str] = []
exclude_patterns = ["extra"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# A word between single backticks is code, as the docstrings mean it.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
nitpicky = False
pygments_style = "default"
pygments_dark_style = "github-dark"
highlight_language = "python"
suppress_warnings = ["myst.xref_missing"]


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


def setup(app: object) -> None:
    """Connect."""
    app.connect("autodoc-process-docstring", _as_restructured_text)  # type: ignore[attr-defined]
