"""The independent choices of a variant, with a weight for each option."""

from __future__ import annotations

import random
from collections.abc import Mapping

# Names that a charge's properties may have. The last of each list is one that nobody would guess.
NAMES = {
    "product_code": ("productCode", "product", "articleCode", "code", "productNumber"),
    "quantity": ("quantity", "numberOfUnits", "units", "count", "stk"),
    "unit_price": ("unitPrice", "price", "pricePerUnit", "netPrice", "ppu"),
    "vat_rate": ("vatRate", "vat", "vatPercent", "taxRate", "momsats"),
    "text": ("text", "description", "invoiceText", "rowText", "fritext"),
    "start_date": ("startDate", "validFrom", "fromDate", "start", "fom"),
    "end_date": ("endDate", "validTo", "toDate", "end", "tom"),
}
EXOTIC = frozenset(names[-1] for role, names in NAMES.items() if role != "product_code")

# What the client cannot follow yet has a small weight: see docs/first-contact.md.
OPTIONS: dict[str, dict[str, float]] = {
    "subdomain": {"customer": 3, "billing": 2, "both": 1},
    "update": {"PATCH": 3, "PUT": 3, "PATCH and PUT": 2, "POST": 0.3, "none": 0.2},
    "patch_means": {"merge": 20, "replace": 0.4},
    "put_means": {"replace": 3, "merge": 1},
    "put_needs": {"the code": 3, "everything": 1},
    "null": {"clears": 6, "ignored": 1, "refused": 1},
    "delete_charge": {"removes": 4, "refused": 1, "not configured": 1, "ends": 1},
    "delete_subscription": {"removes": 9, "refused": 1},
    "duplicate_status": {"409": 4, "400": 2, "422": 1},
    "duplicate_type": {"already-exists": 3, "duplicate": 1, "validation": 1},
    "unknown": {"kept": 1, "dropped": 1, "refused": 1},
    **{f"name_{role}": dict.fromkeys(names, 1.0) | {names[0]: 3, names[-1]: 0.4} for role, names in NAMES.items()},
    "name_id": {"recurringProductId": 3, "id": 2, "chargeId": 1},
    "name_case": {"camel": 3, "pascal": 1},
    "price_kind": {"number": 30, "text": 0.5},
    "quantity_kind": {"integer": 3, "decimal": 1},
    "id_kind": {"text": 3, "integer": 1},
    "date_kind": {"date": 30, "date-time": 0.5},
    "slash": {"accepted": 2, "blocked": 1, "refused": 1},
    "dots": {"accepted": 3, "refused": 1},
    "number_case": {"sensitive": 3, "insensitive": 1},
    "problem_case": {"camel": 1, "pascal": 1, "upper": 0.2},
    "problem_media": {"application/problem+json": 2, "application/json": 1},
    "problem_type": {"relative": 2, "absolute": 1},
    "problem_names": {"plain": 2, "path": 1, "pascal": 1, "none": 1},
    "validation_status": {"400": 4, "422": 1},
    "missing_status": {"404": 6, "410": 1},
    "list_items": {"items": 3, "by kind": 2, "data": 1, "bare": 0.1},
    "navigation": {"present": 4, "absent": 1},
    "paging": {"none": 3, "link": 3, "object": 1, "header": 0.2, "parameters": 0.1},
    "page_size": {"5": 1, "10": 1, "20": 1, "200": 1},
    "size_parameter": {"none": 1, "pageSize": 1, "limit": 1, "size": 1},
    "create_status": {"201": 3, "200": 1, "202": 0.5},
    "create_body": {"resource": 5, "empty": 0.5},
    "update_status": {"200": 3, "204": 1},
    "delete_status": {"204": 3, "200": 1, "202": 1},
    "etag": {"none": 3, "sent": 1, "enforced": 1, "required": 0.1},
    "idempotency": {"ignored": 3, "honoured": 2, "refused": 0.5},
    "head": {"works": 1, "refused": 1},
    "options": {"works": 1, "refused": 1},
    "late": {"0": 3, "0.6": 1, "5": 1, "60": 1, "never": 1},
    "tracking": {"none": 2, "X-Request-Id": 1, "X-Correlation-ID": 1, "Request-Context": 1},
    "location": {"path": 2, "absolute": 1, "none": 1},
    "empty_values": {"absent": 2, "null": 1, "default": 1},
    "dates_rule": {"422": 2, "400": 1, "accepted": 1},
    "read_only": {"ignored": 1, "refused": 1},
    "query_unknown": {"ignored": 2, "refused": 1},
    "lag": {"0": 12, "1.5": 1},
    "same_product": {"accepted": 12, "refused": 1},
    "own_link": {"shown": 8, "missing": 1},
    "patch_media": {"application/json": 6, "application/merge-patch+json": 1},
    "customer_needs": {"nothing": 8, "fullName": 1},
    "numbers": {"any": 10, "digits": 1},
    "errors_as": {"statuses": 12, "200": 0.5},
    "gateway_errors": {"none": 4, "html": 1, "json": 1, "empty": 1, "cut": 1},
    "gateway_status": {"kept": 4, "collapsed": 1},
    "gateway_headers": {"none": 1, "some": 1},
    "gateway_cuts": {"never": 3, "every 7th": 1, "every 11th": 1},
    "gateway_hiccups": {"never": 4, "every 13th": 1},
}
Choices = Mapping[str, str]


def draw(seed: int) -> dict[str, str]:
    """Return one option of each choice, by a seed."""
    chance = random.Random(seed)
    return {name: chance.choices(list(options), list(options.values()))[0] for name, options in OPTIONS.items()}


def as_documented() -> dict[str, str]:
    """Return the choices that come closest to the contract."""
    return {name: next(iter(options)) for name, options in OPTIONS.items()} | {"unknown": "kept"}
