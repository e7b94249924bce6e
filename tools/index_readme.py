"""README as the package index shows it: hatchling runs this for wheel and sdist.

The index has none of our files, so a relative link leads nowhere there. With REPOSITORY_URL, such as the address of the
repository on GitHub, relative links and pictures lead to the released version there. Without it, links
become plain text, and pictures are left out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)\s]+)\)\n?")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")


def for_the_index(text: str, repository: str, version: str) -> str:
    """Return README without relative links.

    Args:
        text: README, as it is in the repository.
        repository: the address of the repository; empty when it is not known.
        version: the version that is released, whose tag the links name.
    """
    if not repository:
        return LINK.sub(r"\1", PICTURE.sub("", text))
    base = repository.rstrip("/")
    text = PICTURE.sub(rf"![\1]({base}/raw/v{version}/\2)\n", text)
    return LINK.sub(rf"[\1]({base}/blob/v{version}/\2)", text)


class IndexReadme(MetadataHookInterface):
    """Sets the description of the package."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set the description."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        made = for_the_index(text, os.environ.get("REPOSITORY_URL", ""), str(metadata["version"]))
        metadata["readme"] = {"content-type": "text/markdown", "text": made}
