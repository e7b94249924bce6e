"""What stock Schemathesis needs for a fair comparison: the cases that its generator garbles are left out here too."""

from __future__ import annotations

import schemathesis

from .support import filter_case

schemathesis.hook(filter_case)
