"""The values users handle. All are frozen; money is `Decimal`, dates are `date`, absence is `None`.

`to_dict` converts each value to a dict. `from_dict` converts most dicts back.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, TypedDict

import attrs

from ._base_errors import InvalidArgument
from ._contract import Quantity, UnitPrice, VatRate
from ._values import checks
from ._values.dicts import JsonValue, ReadableValue, Value

__all__ = [
    "UNSET",
    "Charge",
    "ChargeChange",
    "ChargeContent",
    "Customer",
    "CustomerCharge",
    "JsonValue",
    "LookUpResult",
    "LostCreation",
    "NaturalKey",
    "Operation",
    "Outcome",
    "RecordedWrite",
    "RecurringProduct",
    "Subscription",
    "Unset",
]


class _UnsetType(Enum):
    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _UnsetType.UNSET
"""The default of an argument that was left out: the property stays as it is. `None` clears it."""
Unset: TypeAlias = Literal[_UnsetType.UNSET]

# What is read has no slots: attrs makes frozen values without them in half the time, and they are made in every call.


def _exact(number: type, value: Any) -> Any:
    """Return a number; a whole number stands for a `Decimal` where one is wanted."""
    return number(value) if type(value) is int else value


def _quantity(value: Quantity | int | None) -> Quantity | None:
    number: Quantity | None = _exact(Quantity, value)
    return number


def _unit_price(value: UnitPrice | int | None) -> UnitPrice | None:
    number: UnitPrice | None = _exact(UnitPrice, value)
    return number


def _vat_rate(value: VatRate | int | None) -> VatRate | None:
    number: VatRate | None = _exact(VatRate, value)
    return number


@attrs.frozen(kw_only=True, slots=False)
class Operation(ReadableValue):
    """Something that may be done with a resource now, as the server says.

    Attributes:
        rel: the relation, such as `add-subscription`. Unknown ones may appear.
        method: the HTTP method.
        href: a path-absolute URI. `Billing.follow` checks it before it is used.
        extra: properties this package does not know.
    """

    rel: str
    method: str
    href: str
    extra: Mapping[str, JsonValue] = attrs.field(factory=dict, converter=checks.extra, hash=False)


@attrs.frozen(kw_only=True, slots=False)
class Customer(ReadableValue):
    """A customer of the ledger.

    Attributes:
        customer_no: the customer's number.
        uri: the resource's own path-absolute URI (`@id`), when the server sent one.
        recurring_products: the link to the customer's own charges.
        subscriptions: the link to the customer's subscriptions.
        operations: what may be done with it now; empty when the server does not say.
        extra: properties this package does not know.
    """

    customer_no: str
    uri: str | None
    recurring_products: str
    subscriptions: str
    operations: tuple[Operation, ...] = ()
    extra: Mapping[str, JsonValue] = attrs.field(factory=dict, converter=checks.extra, hash=False)


@attrs.frozen(kw_only=True, slots=False)
class Subscription(ReadableValue):
    """A subscription of a customer.

    Attributes:
        subscription_no: its number, such as a telephone number.
        uri: the resource's own path-absolute URI (`@id`).
        recurring_products: the link to its charges.
        operations: what may be done with it now; empty when the server does not say.
        extra: properties this package does not know.
    """

    subscription_no: str
    uri: str
    recurring_products: str
    operations: tuple[Operation, ...] = ()
    extra: Mapping[str, JsonValue] = attrs.field(factory=dict, converter=checks.extra, hash=False)


@attrs.frozen(kw_only=True, slots=False)
class ChargeContent(ReadableValue):
    """What a charge bills, unchecked. `Charge` is what you send, `RecurringProduct` what Billing holds.

    Attributes:
        product_code: the code of a master product.
        quantity: how many.
        unit_price: the price of one in major currency units; negative for a credit.
        vat_rate: VAT in percent.
        text: the text on the invoice.
        start_date: the first day it is charged for.
        end_date: the last day it is charged for; None is open-ended.
    """

    product_code: str
    quantity: Quantity | None = attrs.field(default=None, converter=_quantity)
    unit_price: UnitPrice | None = attrs.field(default=None, converter=_unit_price)
    vat_rate: VatRate | None = attrs.field(default=None, converter=_vat_rate)
    text: str | None = None
    start_date: date | None = None
    end_date: date | None = None


CONTENT: Final = tuple(field.name for field in attrs.fields(ChargeContent))
"""The names of what a charge bills."""
_CHECKS: Final = checks.content(CONTENT)


def given(charge: ChargeContent, always: Collection[str] = ()) -> dict[str, Any]:
    """Return what a charge bills, without the values that it leaves out. Those in `always` are None then."""
    return {name: value for name in CONTENT if (value := getattr(charge, name)) is not None or name in always}


@attrs.frozen(kw_only=True)
class Charge(ChargeContent):
    """The content of a recurring product: what you want billed.

    None means: use the value of the master product that `product_code` names. For dates: no limit. The limits are those
    of the contract, most of them the customer file's.

    Attributes:
        product_code: the code of a master product, 1 to 5 characters.
        quantity: how many, 1 to 99999.
        unit_price: the price of one in major currency units, up to 7 integer digits and 6 decimals; negative for a
            credit.
        vat_rate: VAT in percent, 0 to 100, 2 decimals.
        text: the text on the invoice, at most 73 characters.
        start_date: the first day it is charged for.
        end_date: the last day it is charged for; None is open-ended.
        extra: properties this package does not know; they are sent as they are.

    Raises:
        InvalidArgument: a value breaks the contract; its `argument` names it.
    """

    extra: Mapping[str, JsonValue] = attrs.field(factory=dict, converter=checks.extra, hash=False)

    def __attrs_post_init__(self) -> None:
        """Check the values."""
        for name, needs_value, check in _CHECKS:
            value = getattr(self, name)
            if value is not None or needs_value:
                check(value)
        checks.period(self.start_date, self.end_date)


class ChargeChange(TypedDict, total=False):
    """The arguments of `update`. A missing one stays as it is; None clears it. See `Charge` for the meaning of each."""

    product_code: str | Unset
    quantity: Quantity | int | None | Unset
    unit_price: UnitPrice | int | None | Unset
    vat_rate: VatRate | int | None | Unset
    text: str | None | Unset
    start_date: date | None | Unset
    end_date: date | None | Unset
    extra: Mapping[str, JsonValue] | None


@attrs.frozen(kw_only=True, slots=False)
class RecurringProduct(ChargeContent):
    """A charge as Billing holds it. Its content is not checked against the limits of `Charge`: it is what is there.

    Attributes:
        id: its opaque id.
        uri: the resource's own path-absolute URI (`@id`).
        product_code: the code of its master product.
        quantity: how many.
        unit_price: the price of one in major currency units; negative for a credit.
        vat_rate: VAT in percent.
        text: the text on the invoice.
        start_date: the first day it is charged for.
        end_date: the last day it is charged for; None is open-ended.
        billed_until: up to when bill runs have put it on an invoice; None before the first.
        operations: what may be done with it now; empty when the server does not say.
        extra: properties this package does not know.
    """

    id: str
    uri: str
    billed_until: date | None = None
    operations: tuple[Operation, ...] = ()
    extra: Mapping[str, JsonValue] = attrs.field(factory=dict, converter=checks.extra, hash=False)

    @property
    def charge(self) -> Charge:
        """Its content, such as to add the same elsewhere.

        Raises:
            InvalidArgument: Billing holds a value that the contract forbids to send.
        """
        return Charge(**{name: getattr(self, name) for name in CONTENT}, extra=self.extra)

    def has_content_of(self, charge: Charge) -> bool:
        """Whether it bills what `charge` says; properties unknown to this package are compared as they are."""
        return dict(self.extra) == dict(charge.extra) and all(
            getattr(self, name) == getattr(charge, name) for name in CONTENT
        )


@attrs.frozen(kw_only=True, slots=False)
class CustomerCharge(ReadableValue):
    """A charge of a customer, and the subscription that it belongs to.

    Attributes:
        subscription_no: the subscription; None for a charge of the customer itself.
        product: the charge.
    """

    subscription_no: str | None
    product: RecurringProduct


@attrs.frozen(kw_only=True)
class RecordedWrite(Value):
    """A write that a client with `dry_run=True` did not send.

    Attributes:
        method: the HTTP method.
        path: the path, such as `/billing/customer/v1/1234/customers/15615616`.
        body: the body as plain JSON; None when there is none.
        description: what the write does, in a sentence. Like `path` and `body` it names the customer.
    """

    method: str
    path: str = attrs.field(repr=False)
    body: JsonValue = attrs.field(repr=False, hash=False)
    description: str = attrs.field(repr=False)


def _masked(value: str | None) -> str:
    """A customer number can be a personal number, so logs show its last two characters only."""
    return "None" if value is None else f"'…{value[-2:]}'"


@attrs.frozen(kw_only=True)
class NaturalKey(ReadableValue):
    """What a request was to create.

    Attributes:
        customer_no: the customer.
        subscription_no: the subscription; None at customer level.
        charge: the charge; None when the customer or the subscription itself was to be created.
    """

    customer_no: str = attrs.field(repr=_masked)
    subscription_no: str | None = attrs.field(default=None, repr=_masked)
    charge: Charge | None = attrs.field(default=None, repr=lambda charge: "None" if charge is None else "Charge(…)")


def _time(value: float) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):  # it would settle at once, or never
        raise InvalidArgument("sent_at", "must be a finite number of seconds since 1970")
    return seconds


def _ids(known: Iterable[str] | None) -> frozenset[str] | None:
    return None if known is None else frozenset(known)


@attrs.frozen(kw_only=True)
class LostCreation(ReadableValue):
    """A POST of which it is not known whether it took effect: all that a look-up needs. Plain data, also for a journal.

    Attributes:
        key: what was to be created; None for a followed operation, which cannot be looked up.
        sent_at: the latest time at which it can have been sent, in seconds since 1970.
        may_be_under_way: whether the server may still work on it. A look-up then says *absent* only when `settle`
            seconds have passed since `sent_at`. False only if you know that the server has finished.
        known: ids of the charges that were there before it was sent, if the caller of `create` had read them.
        ledger: the URL of the ledger it was sent to; None is not compared with the ledger of the client that looks up.
        mark: its place in the memory of the client that sent it.
        memory: which memory that is; another client's tells nothing about this creation.
    """

    key: NaturalKey | None
    sent_at: float = attrs.field(converter=_time)
    may_be_under_way: bool = True
    known: frozenset[str] | None = attrs.field(default=None, converter=_ids)
    ledger: str | None = None
    mark: int = attrs.field(default=0, repr=False)
    memory: str = attrs.field(default="", repr=False)


class Outcome(Enum):
    """What a look-up says of a lost creation."""

    CREATED = "created"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class LookUpResult(Value):
    """What a look-up found.

    Attributes:
        outcome: created, absent, or still unknown. Only after *absent* may the creation be sent again.
        reason: why, in a sentence.
        resource: what was created; None otherwise.
        candidates: charges that might be it, when it is unknown which or whether.
    """

    outcome: Outcome
    reason: str
    resource: Customer | Subscription | RecurringProduct | None = None
    candidates: tuple[RecurringProduct, ...] = ()
