"""Between the generated models and the values users handle.

The generated models trust the server. Here every value is checked, and one of a wrong type raises `Unreadable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from payex_billing_client import models as generated
from payex_billing_client.types import UNSET as GENERATED_UNSET

from . import _checks
from ._calls import Unreadable
from .errors import InvalidArgument
from .models import UNSET, Charge, Customer, JsonValue, Operation, RecurringProduct, Subscription, Unset

T = TypeVar("T")
CHARGE_PROPERTIES = frozenset({"productCode", "quantity", "unitPrice", "vatRate", "text", "startDate", "endDate"})
READ_ONLY_PROPERTIES = frozenset({"@id", "recurringProductId", "billedUntil", "operations"})


def customer(source: generated.Customer) -> Customer:
    """A customer as read."""
    return Customer(
        customer_no=_str("customerNo", source.customer_no),
        uri=source.id if type(source.id) is str else _optional("@id", source.id, _str),
        recurring_products=_str("recurringProducts", source.recurring_products),
        subscriptions=_str("subscriptions", source.subscriptions),
        operations=_operations(source.operations),
        extra=source.additional_properties,
    )


def subscription(source: generated.Subscription) -> Subscription:
    """A subscription as read."""
    return Subscription(
        subscription_no=_str("subscriptionNo", source.subscription_no),
        uri=_str("@id", source.id),
        recurring_products=_str("recurringProducts", source.recurring_products),
        operations=_operations(source.operations),
        extra=source.additional_properties,
    )


def recurring_product(source: generated.RecurringProduct) -> RecurringProduct:
    """A charge as read."""
    # The usual type of a value needs no further look: a function call for each would double the cost of this function.
    charge_id, uri, code = source.recurring_product_id, source.id, source.product_code
    quantity, price, rate, text = source.quantity, source.unit_price, source.vat_rate, source.text
    start, end, billed = source.start_date, source.end_date, source.billed_until
    return RecurringProduct(
        id=charge_id if type(charge_id) is str else _str("recurringProductId", charge_id),
        uri=uri if type(uri) is str else _str("@id", uri),
        product_code=code if type(code) is str else _str("productCode", code),
        quantity=quantity if type(quantity) is int else _optional("quantity", quantity, _int),
        unit_price=_decimal("unitPrice", price) if type(price) is float else _optional("unitPrice", price, _decimal),
        vat_rate=_decimal("vatRate", rate) if type(rate) is float else _optional("vatRate", rate, _decimal),
        text=text if type(text) is str else _optional("text", text, _str),
        start_date=start if type(start) is date else _optional("startDate", start, _date),
        end_date=None if end is None else _optional("endDate", end, _date),
        billed_until=None if billed is None else _optional("billedUntil", billed, _date),
        operations=() if source.operations is None else _operations(source.operations),
        extra=source.additional_properties,
    )


def next_link(navigation: generated.Navigation) -> str | None:
    """The link to the next part of a list. None is documented, so both forms the house might use are read."""
    following = link = navigation.additional_properties.get("next")
    if isinstance(link, Mapping):
        link = link.get("@id", link.get("href"))
    if following is not None and not isinstance(link, str):
        raise _wrong("navigation.next", "a link", link)  # without it the list would be cut
    return link or None


def own_link(navigation: generated.Navigation) -> str | None:
    """The path of the page itself, if the server says it."""
    return navigation.id if isinstance(navigation.id, str) else None


def new_recurring_product(charge: Charge) -> generated.NewRecurringProduct:
    """The body that adds a charge; what is None is left out."""
    quantity, price, rate, text = charge.quantity, charge.unit_price, charge.vat_rate, charge.text
    start, end = charge.start_date, charge.end_date
    body = generated.NewRecurringProduct(
        product_code=charge.product_code,
        quantity=GENERATED_UNSET if quantity is None else quantity,
        unit_price=GENERATED_UNSET if price is None else float(price),
        vat_rate=GENERATED_UNSET if rate is None else float(rate),
        text=GENERATED_UNSET if text is None else text,
        start_date=GENERATED_UNSET if start is None else start,
        end_date=GENERATED_UNSET if end is None else end,
    )
    if charge.extra:
        body.additional_properties = _extra(charge.extra)
    return body


def recurring_product_change(
    *,
    product_code: str | Unset,
    quantity: int | None | Unset,
    unit_price: Decimal | int | None | Unset,
    vat_rate: Decimal | int | None | Unset,
    text: str | None | Unset,
    start_date: date | None | Unset,
    end_date: date | None | Unset,
    extra: Mapping[str, JsonValue] | None,
) -> generated.RecurringProductChange:
    """The body that changes a charge; what is `UNSET` is left out, None is sent as null.

    Raises:
        InvalidArgument: a value breaks the contract.
    """
    if product_code is None:
        raise InvalidArgument("product_code", "cannot be cleared: every charge has one")
    body = generated.RecurringProductChange(
        product_code=GENERATED_UNSET if product_code is UNSET else _checks.product_code(product_code),
        quantity=_change(quantity, _checks.quantity),
        unit_price=_change(unit_price, _float_price),
        vat_rate=_change(vat_rate, _float_vat),
        text=_change(text, _checks.text),
        start_date=_change(start_date, lambda value: _checks.day("start_date", value)),
        end_date=_change(end_date, lambda value: _checks.day("end_date", value)),
    )
    if isinstance(body.start_date, date) and isinstance(body.end_date, date):
        _checks.period(body.start_date, body.end_date)
    body.additional_properties = _extra(extra or {})
    return body


def _change(value: Any, check: Callable[[Any], Any]) -> Any:
    if value is UNSET:
        return GENERATED_UNSET
    return None if value is None else check(value)


def _float_price(value: Decimal | int) -> float:
    return float(_checks.unit_price(value))


def _float_vat(value: Decimal | int) -> float:
    return float(_checks.vat_rate(value))


def _extra(extra: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    if not isinstance(extra, Mapping):
        raise InvalidArgument("extra", f"must be a mapping, not {type(extra).__name__}")
    for name in extra:
        if name in CHARGE_PROPERTIES:
            raise InvalidArgument("extra", f"must not hold {name}: it has an argument of its own")
        if name in READ_ONLY_PROPERTIES:
            raise InvalidArgument("extra", f"must not hold {name}: the server sets it")
    return dict(extra)


def _optional(name: str, value: Any, check: Callable[[str, Any], T]) -> T | None:
    return None if value is None or value is GENERATED_UNSET else check(name, value)


def _str(name: str, value: Any) -> str:
    if type(value) is str or isinstance(value, str):
        return value
    raise _wrong(name, "a string", value)


def _int(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():  # JSON does not tell 1 from 1.0
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "an integer", value)
    return value


def _decimal(name: str, value: Any) -> Decimal:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong(name, "a number", value)
    # Exact: a double holds every number of 15 significant digits, and the contract's money has at most 13.
    number = Decimal(repr(value))
    if not number.is_finite():
        raise Unreadable(f"{name} is not a finite number")
    return number


def _date(name: str, value: Any) -> date:
    if not isinstance(value, date):
        raise _wrong(name, "a date", value)
    return value


def _operations(value: Any) -> tuple[Operation, ...]:
    if value is None or value is GENERATED_UNSET:
        return ()
    if not isinstance(value, list):
        raise _wrong("operations", "a list", value)
    return tuple([_operation(item) for item in value])


def _operation(value: Any) -> Operation:
    if not isinstance(value, generated.Operation):
        raise _wrong("operations", "a list of operations", value)
    rel, method, href = value.rel, value.method, value.href
    if not (isinstance(rel, str) and isinstance(method, str) and isinstance(href, str)):
        raise Unreadable("operations holds one whose rel, method or href is not a string")
    return Operation(rel=rel, method=method, href=href, extra=value.additional_properties)


def _wrong(name: str, expected: str, value: object) -> Unreadable:
    return Unreadable(f"{name} is not {expected} but {type(value).__name__}")
