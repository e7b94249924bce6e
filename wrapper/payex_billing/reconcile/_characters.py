"""Characters that a person cannot see in a cell, for regular expressions of DuckDB."""

from __future__ import annotations

# The spaces of Unicode, which look alike. Those around a cell are removed.
SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
OTHER_SPACES = rf"[{SPACES[1:]}]"
# Control characters, characters that show nothing or change the direction of a text, and what could not be read.
INVISIBLE = (
    r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2065}\x{3164}"
    r"\x{FE00}-\x{FE0F}\x{FFA0}\x{FFF0}-\x{FFF8}\x{FFFD}-\x{FFFF}\x{E0000}-\x{E0FFF}]"
)


def visible(expression: str) -> str:
    """Return the SQL expression of a text as a cell shows it: plain spaces within, and `?` for what cannot be seen."""
    shown = f"regexp_replace(trim({expression}, '{SPACES}'), '{INVISIBLE}', '?', 'g')"
    return f"regexp_replace({shown}, '{OTHER_SPACES}', ' ', 'g')"
