"""Recognise list changes, such as a new price list: the same change for a whole product. Pure."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

from ._figures import Figures, Move
from ._limits import Limits
from ._product_figures import ProductFigures

ALIKE: Final = 0.9  # lowest share of the changes of a product that are of one kind
COVERED: Final = 0.5  # lowest share of the product's charges that change
MOST_COVERED: Final = 0.8  # the same for a price that becomes another: share of the charges with the old price
FEW_LEFT: Final = 0.1  # of the charges with a less common VAT rate: share that may keep it when all others lose it
FEWEST: Final = 3  # fewer changes are not a list
LEAST_RISE: Final = 1  # percent; a smaller rise of all prices is rounding
AGAIN: Final = 60  # days within which a product's price does not rise twice by the same share
SAME_RISE: Final = 0.005


def listed(figures: Figures, limits: Limits) -> set[str]:
    """Return the list changes as "price CODE", "vat CODE" and "text CODE".

    The prices of many products may rise at once, each by at most `price_rise`. Only one product may change its price in
    another way. Only one product may change its VAT rate, unless all products then have the same rate. A product has a
    new name if the same part of the text changes in the same way in all its texts.
    """
    products = figures.products.items()
    rises = {code for code, product in products if _rises(product, limits)}
    moved = {code for code, product in products if code not in rises and _moves(product, limits)}
    rates = {code for code, product in products if _one_new_rate(product)}
    found = {f"price {code}" for code in (*rises, *(moved if len(moved) == 1 else ()))}
    found |= {f"text {code}" for code, product in products if _has_new_name(product)}
    return found | {f"vat {code}" for code in (rates if len(rates) == 1 and not one_rate_is_left(figures) else ())}


def _has_new_name(product: ProductFigures) -> bool:
    changes = sum(product.texts.values())
    if changes < max(FEWEST, COVERED * product.held):
        return False
    ((_, new), alike), *_ = product.texts.most_common(1)
    return alike >= ALIKE * changes and "Ã" not in new and "\ufffd" not in new  # signs of a wrong encoding


def one_rate_is_left(figures: Figures) -> bool:
    """Return whether all products get the same VAT rate, as after filling a column down.

    A few charges may keep another rate, because they are in no row.
    """
    before: Counter[Decimal | None] = Counter()
    after: Counter[Decimal | None] = Counter()
    for product in figures.products.values():
        before += product.rates
        after += product.settled().rates
    moved = sum(sum(product.rate_moves.values()) for product in figures.products.values())
    others = _others(before)
    return moved >= FEWEST and others >= FEWEST and _others(after) <= FEW_LEFT * others


def _others(rates: Counter[Decimal | None]) -> int:
    """Return how many charges do not have the most common rate."""
    return rates.total() - max(rates.values(), default=0)


def _rises(product: ProductFigures, limits: Limits) -> bool:
    if product.changed < FEWEST or product.changed < COVERED * product.priced:
        return False
    most = round(limits.price_rise * 100)
    alike = sum(count for percent, count in product.percents.items() if LEAST_RISE <= percent < most)
    return alike >= ALIKE * product.changed


def _moves(product: ProductFigures, limits: Limits) -> bool:
    """Return whether each old price becomes one new price, all in one direction."""
    pairs = _main_pairs(product.moves)
    factor = limits.price_list_factor
    if not _are_a_list(pairs, product.changed, product.prices):
        return False
    ratios = [float(new / old) for old, new in pairs]
    return all(1 < ratio <= factor for ratio in ratios) or all(1 / factor <= ratio < 1 for ratio in ratios)


def _one_new_rate(product: ProductFigures) -> bool:
    pairs = _main_pairs(product.rate_moves)
    changed = sum(product.rate_moves.values())
    return _are_a_list(pairs, changed, product.rates) and all(new for _, new in pairs)


def _main_pairs(moves: Counter[Any]) -> dict[tuple[Any, Any], int]:
    """Return for each old value the new value that most charges get."""
    found: dict[Any, tuple[Any, int]] = {}
    for (old, new), count in moves.items():
        if count > found.get(old, (None, 0))[1]:
            found[old] = (new, count)
    return {(old, new): count for old, (new, count) in found.items()}


def _are_a_list(pairs: dict[tuple[Any, Any], int], changed: int, held: Counter[Any]) -> bool:
    main = sum(pairs.values())
    return (
        changed >= FEWEST
        and main >= ALIKE * changed
        and main >= MOST_COVERED * sum(held[old] for old, _ in pairs)
        and len({new for _, new in pairs}) >= len(pairs) / 2
    )


def main_moves(figures: Figures, found: set[str]) -> dict[str, Move]:
    """Return the main change of the price, by product with a list change."""
    moves: dict[str, Move] = {}
    for code, product in figures.products.items():
        if f"price {code}" in found and product.moves:
            (old, new), _ = product.moves.most_common(1)[0]
            moves[code] = Move(old, new, figures.today)
    return moves


def taken_back(earlier: Move, move: Move, limits: Limits) -> bool:
    """Return whether a price falls to the one before the last rise, as from an old price list."""
    risen = 1 < earlier.ratio < 1 + limits.price_rise
    return risen and (earlier.old, earlier.new) == (move.new, move.old)


def risen_again(earlier: Move, move: Move, limits: Limits) -> bool:
    """Return whether a price rises twice within two months by about the same share, as if applied twice."""
    both = all(1 < each.ratio < 1 + limits.price_rise for each in (earlier, move))
    return both and 0 <= (move.day - earlier.day).days < AGAIN and abs(earlier.ratio - move.ratio) < SAME_RISE
