"""One line of `payex-billing doctor`."""

from __future__ import annotations

import attrs


@attrs.frozen
class Finding:
    """One line of the doctor: `ok`, `wrong`, `warning`, or `-` for what could not be looked at."""

    verdict: str
    what: str
    detail: str
    do: str = ""
