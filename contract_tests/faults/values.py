"""Faults: a value is stored changed, and only later reads show the change."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from payex_billing_mock import Collection, Resource, Store

from ._planting import stores, wire
from .state import JsonObject

FAMILY = "state"
CODE, QUANTITY, PRICE, TEXT, START, END = map(
    wire, ("product_code", "quantity", "unit_price", "text", "start_date", "end_date")
)


def stored(name: str, description: str, of: str, change: Callable[[Any], Any], *, only_changes: bool = False) -> None:
    """Register a store that changes the property `of` after it has responded with the value that was sent.

    A property is cleared if `change` returns None. If `only_changes`, a new charge is stored as it was sent.
    """

    def keep(resource: Resource) -> Resource:
        shown = dict(resource.document)
        if shown.get(of) is not None:
            after = {**shown, of: change(shown[of])}
            resource.document = {key: value for key, value in after.items() if key != of or value is not None}
        return Resource(resource.collection, resource.owner, resource.id, shown)

    class Stores(Store):
        def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
            made = super().create(owner, collection, content)
            return made if only_changes or collection.role != "charge" else keep(made)

        def merge(self, resource: Resource, changes: JsonObject) -> Resource:
            return keep(super().merge(resource, changes))

    Stores.__name__ = name
    stores(FAMILY, description)(Stores)


def _swapped(day: str) -> str:
    return f"{day[:4]}-{day[8:]}-{day[5:7]}" if day[8:] <= "12" else day


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text) if "\u1100" in text else text


def _epoch(day: str) -> str:
    return "1970-01-01" if "1960" < day < "1970" else day


def _before_the_change(day: str) -> str:
    return "2026-03-28" if day == "2026-03-29" else day


stored("JoinerLost", "zero-width joiners are removed from texts", TEXT, lambda text: text.replace("\u200d", ""))
stored("HangulComposed", "Korean letters are composed to syllables", TEXT, _composed)
stored(
    "QuotesStraight",
    "a changed text is held with straight quotes",
    TEXT,
    lambda text: text.replace("\u2019", "'"),
    only_changes=True,
)
stored("EntitiesDecoded", "HTML entities in a changed text are decoded", TEXT, html.unescape, only_changes=True)
stored("TagsRemoved", "HTML tags are removed from texts", TEXT, lambda text: re.sub("<[^>]+>", "", text))
stored("LineBreaksUnix", "CR LF in a text becomes LF", TEXT, lambda text: text.replace("\r\n", "\n"))
stored(
    "TextIsNumber",
    "a text of digits loses its leading zeros",
    TEXT,
    lambda text: str(int(text)) if text.isascii() and text.isdigit() else text,
)
stored("TextIsNull", "the text null is no text", TEXT, lambda text: None if text == "null" else text, only_changes=True)
stored("GreekIsLatin", "a Greek capital alpha becomes a Latin A", TEXT, lambda text: text.replace("\u0391", "A"))
stored(
    "PrivateUseLost", "characters for private use are removed", TEXT, lambda text: re.sub("[\ue000-\uf8ff]", "", text)
)
stored(
    "TextOf64",
    "a changed text of 64 characters loses the last",
    TEXT,
    lambda text: text[:63] if len(text) == 64 else text,
    only_changes=True,
)
stored(
    "CodeIsNumber",
    "a product code of digits loses its leading zeros",
    CODE,
    lambda code: str(int(code)) if code.isascii() and code.isdigit() else code,
)
stored(
    "FinalSigma", "a final sigma becomes another sigma", CODE, lambda code: code.replace("ς", "σ"), only_changes=True
)
stored(
    "MillionthsIn32Bits",
    "a price from 2147.483648 to 2148 wraps around, because its millionths are held in 32 bits",
    PRICE,
    lambda price: price - Decimal("4294.967296") if Decimal("2147.483647") < price < 2148 else price,
)
stored("QuantityIn16Bits", "a quantity is at most 32,767", QUANTITY, lambda quantity: min(quantity, 32_767))
stored("BeforeTheEpoch", "a start in the 1960s becomes 1970-01-01", START, _epoch)
stored(
    "After2038",
    "a changed end after 2038-01-19 is that day",
    END,
    lambda day: min(day, "2038-01-19"),
    only_changes=True,
)
stored("MonthIsDay", "month and day of a changed end are swapped", END, _swapped, only_changes=True)
stored("ClockChange", "a day on which clocks change becomes the day before", START, _before_the_change)
stored("FirstDayIsNone", "1900-01-01 is no date", START, lambda day: None if day == "1900-01-01" else day)
