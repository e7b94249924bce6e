"""Texts from outside, made safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text, with every character escaped that could disturb a terminal, a log or an encoder.

    These are control characters, line breaks, bidi overrides and lone surrogates.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def cut(text: str, length: int) -> str:
    """The text, with an ellipsis at the end if it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def counted(number: int, noun: str) -> str:
    """A number with its noun in the right form: "1 row", "1,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
