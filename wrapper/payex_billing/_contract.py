"""The operations, properties and limits of the contract.

Made by `make generate` from openapi.yaml. Never edit it: correct the contract.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from ._schema import Kind, Operation, Property, Server, Shape


Quantity: TypeAlias = int

UnitPrice: TypeAlias = Decimal

VatRate: TypeAlias = Decimal

NEW_CUSTOMER: Final[Shape] = (
    Property(
        name="customer_no",
        wire="customerNo",
        kind=Kind.ID,
        required=True,
        min_length=1,
        max_length=15,
        pattern="^[a-zA-Z0-9äåöÄÅÖ&/_ .\\-]*$",
        excluded=(".", ".."),
        description="A number for a new customer: letters, digits, äåöÄÅÖ, `&`, `/`, `_`, space, `.` and `-`",
    ),
)

CUSTOMER: Final[Shape] = (
    Property(name="uri", wire="@id", kind=Kind.LINK, pattern="^/(?!/).*$", description="A path-absolute URI"),
    Property(
        name="customer_no",
        wire="customerNo",
        kind=Kind.ID,
        required=True,
        min_length=1,
        max_length=15,
        pattern="^[a-zA-Z0-9äåöÄÅÖ&/_ -.]*$",
        description="A customer's number as it may be read, by the published pattern taken literally (anchored)",
    ),
    Property(
        name="recurring_products",
        wire="recurringProducts",
        kind=Kind.LINK,
        required=True,
        pattern="^/(?!/).*$",
        description="A path-absolute URI",
    ),
    Property(
        name="subscriptions",
        wire="subscriptions",
        kind=Kind.LINK,
        required=True,
        pattern="^/(?!/).*$",
        description="A path-absolute URI",
    ),
    Property(
        name="operations",
        wire="operations",
        kind=Kind.OPERATIONS,
        nullable=True,
        description="What may be done with the resource now",
    ),
)

SUBSCRIPTION: Final[Shape] = (
    Property(
        name="uri", wire="@id", kind=Kind.LINK, required=True, pattern="^/(?!/).*$", description="A path-absolute URI"
    ),
    Property(
        name="subscription_no",
        wire="subscriptionNo",
        kind=Kind.ID,
        required=True,
        min_length=1,
        max_length=34,
        description="A subscription's number, such as a telephone number",
    ),
    Property(
        name="recurring_products",
        wire="recurringProducts",
        kind=Kind.LINK,
        required=True,
        pattern="^/(?!/).*$",
        description="A path-absolute URI",
    ),
    Property(
        name="operations",
        wire="operations",
        kind=Kind.OPERATIONS,
        nullable=True,
        description="What may be done with the resource now",
    ),
)

NEW_SUBSCRIPTION: Final[Shape] = (
    Property(
        name="subscription_no",
        wire="subscriptionNo",
        kind=Kind.ID,
        required=True,
        min_length=1,
        max_length=34,
        excluded=(".", ".."),
        description="A number for a new subscription",
    ),
)

RECURRING_PRODUCT: Final[Shape] = (
    Property(
        name="uri", wire="@id", kind=Kind.LINK, required=True, pattern="^/(?!/).*$", description="A path-absolute URI"
    ),
    Property(
        name="id", wire="recurringProductId", kind=Kind.ID, required=True, min_length=1, description="An opaque id"
    ),
    Property(
        name="product_code",
        wire="productCode",
        kind=Kind.TEXT,
        required=True,
        min_length=1,
        max_length=5,
        description="The code of a master product, from which price, VAT and text are taken unless given here",
    ),
    Property(
        name="quantity",
        wire="quantity",
        kind=Kind.WHOLE,
        nullable=True,
        minimum=Decimal("1"),
        maximum=Decimal("99999"),
        description="How many",
    ),
    Property(
        name="unit_price",
        wire="unitPrice",
        kind=Kind.DECIMAL,
        nullable=True,
        minimum=Decimal("-9999999.999999"),
        maximum=Decimal("9999999.999999"),
        decimals=6,
        description="Price of one in major currency units, up to 7 integer digits and 6 decimals; negative for a credit",
    ),
    Property(
        name="vat_rate",
        wire="vatRate",
        kind=Kind.DECIMAL,
        nullable=True,
        maximum=Decimal("100"),
        decimals=2,
        description="VAT in percent, 2 decimals",
        minimum=Decimal("0"),
    ),
    Property(
        name="text", wire="text", kind=Kind.TEXT, nullable=True, max_length=73, description="The text on the invoice"
    ),
    Property(name="start_date", wire="startDate", kind=Kind.DATE, nullable=True, description="A date, yyyy-MM-dd"),
    Property(
        name="end_date", wire="endDate", kind=Kind.DATE, nullable=True, description="Absent or null is open-ended"
    ),
    Property(
        name="billed_until",
        wire="billedUntil",
        kind=Kind.DATE,
        nullable=True,
        description="Up to when bill runs have put the charge on an invoice; absent or null before the first",
    ),
    Property(
        name="operations",
        wire="operations",
        kind=Kind.OPERATIONS,
        nullable=True,
        description="What may be done with the resource now",
    ),
)

NEW_RECURRING_PRODUCT: Final[Shape] = (
    Property(
        name="product_code",
        wire="productCode",
        kind=Kind.TEXT,
        required=True,
        min_length=1,
        max_length=5,
        description="The code of a master product, from which price, VAT and text are taken unless given here",
    ),
    Property(
        name="quantity",
        wire="quantity",
        kind=Kind.WHOLE,
        minimum=Decimal("1"),
        maximum=Decimal("99999"),
        description="How many",
    ),
    Property(
        name="unit_price",
        wire="unitPrice",
        kind=Kind.DECIMAL,
        minimum=Decimal("-9999999.999999"),
        maximum=Decimal("9999999.999999"),
        decimals=6,
        description="Price of one in major currency units, up to 7 integer digits and 6 decimals; negative for a credit",
    ),
    Property(
        name="vat_rate",
        wire="vatRate",
        kind=Kind.DECIMAL,
        maximum=Decimal("100"),
        decimals=2,
        description="VAT in percent, 2 decimals",
        minimum=Decimal("0"),
    ),
    Property(name="text", wire="text", kind=Kind.TEXT, max_length=73, description="The text on the invoice"),
    Property(name="start_date", wire="startDate", kind=Kind.DATE, description="A date, yyyy-MM-dd"),
    Property(
        name="end_date", wire="endDate", kind=Kind.DATE, nullable=True, description="Absent or null is open-ended"
    ),
)

RECURRING_PRODUCT_CHANGE: Final[Shape] = (
    Property(
        name="product_code",
        wire="productCode",
        kind=Kind.TEXT,
        min_length=1,
        max_length=5,
        description="The code of a master product, from which price, VAT and text are taken unless given here",
    ),
    Property(
        name="quantity",
        wire="quantity",
        kind=Kind.WHOLE,
        nullable=True,
        minimum=Decimal("1"),
        maximum=Decimal("99999"),
        description="How many",
    ),
    Property(
        name="unit_price",
        wire="unitPrice",
        kind=Kind.DECIMAL,
        nullable=True,
        minimum=Decimal("-9999999.999999"),
        maximum=Decimal("9999999.999999"),
        decimals=6,
        description="Price of one in major currency units, up to 7 integer digits and 6 decimals; negative for a credit",
    ),
    Property(
        name="vat_rate",
        wire="vatRate",
        kind=Kind.DECIMAL,
        nullable=True,
        maximum=Decimal("100"),
        decimals=2,
        description="VAT in percent, 2 decimals",
        minimum=Decimal("0"),
    ),
    Property(
        name="text", wire="text", kind=Kind.TEXT, nullable=True, max_length=73, description="The text on the invoice"
    ),
    Property(name="start_date", wire="startDate", kind=Kind.DATE, nullable=True, description="A date, yyyy-MM-dd"),
    Property(name="end_date", wire="endDate", kind=Kind.DATE, nullable=True, description="A date, yyyy-MM-dd"),
)

PARAMETERS: Final[Mapping[str, Property]] = {
    "ownerNo": Property(
        name="owner_no", wire="ownerNo", kind=Kind.TEXT, required=True, min_length=1, description="A ledger number"
    ),
    "customerNo": Property(
        name="customer_no",
        wire="customerNo",
        kind=Kind.ID,
        required=True,
        min_length=1,
        max_length=15,
        pattern="^[a-zA-Z0-9äåöÄÅÖ&/_ -.]*$",
        description="A customer's number as it may be read, by the published pattern taken literally (anchored)",
    ),
    "subscriptionNo": Property(
        name="subscription_no",
        wire="subscriptionNo",
        kind=Kind.ID,
        required=True,
        min_length=1,
        max_length=34,
        description="A subscription's number, such as a telephone number",
    ),
    "recurringProductId": Property(
        name="id", wire="recurringProductId", kind=Kind.ID, required=True, min_length=1, description="An opaque id"
    ),
}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "create_customer": Operation(
        name="create_customer",
        method="POST",
        path="/{ownerNo}/customers",
        body=NEW_CUSTOMER,
        media_type="application/json",
        result=CUSTOMER,
    ),
    "get_customer": Operation(
        name="get_customer", method="GET", path="/{ownerNo}/customers/{customerNo}", result=CUSTOMER
    ),
    "list_subscriptions": Operation(
        name="list_subscriptions",
        method="GET",
        path="/{ownerNo}/customers/{customerNo}/subscriptions",
        result=SUBSCRIPTION,
        items="items",
        navigation="navigation",
        own="@id",
    ),
    "create_subscription": Operation(
        name="create_subscription",
        method="POST",
        path="/{ownerNo}/customers/{customerNo}/subscriptions",
        body=NEW_SUBSCRIPTION,
        media_type="application/json",
        result=SUBSCRIPTION,
    ),
    "get_subscription": Operation(
        name="get_subscription",
        method="GET",
        path="/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}",
        result=SUBSCRIPTION,
    ),
    "delete_subscription": Operation(
        name="delete_subscription",
        method="DELETE",
        path="/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}",
    ),
    "list_customer_recurring_products": Operation(
        name="list_customer_recurring_products",
        method="GET",
        path="/{ownerNo}/customers/{customerNo}/recurring-products",
        result=RECURRING_PRODUCT,
        items="items",
        navigation="navigation",
        own="@id",
    ),
    "create_customer_recurring_product": Operation(
        name="create_customer_recurring_product",
        method="POST",
        path="/{ownerNo}/customers/{customerNo}/recurring-products",
        body=NEW_RECURRING_PRODUCT,
        media_type="application/json",
        result=RECURRING_PRODUCT,
    ),
    "get_customer_recurring_product": Operation(
        name="get_customer_recurring_product",
        method="GET",
        path="/{ownerNo}/customers/{customerNo}/recurring-products/{recurringProductId}",
        result=RECURRING_PRODUCT,
    ),
    "delete_customer_recurring_product": Operation(
        name="delete_customer_recurring_product",
        method="DELETE",
        path="/{ownerNo}/customers/{customerNo}/recurring-products/{recurringProductId}",
    ),
    "update_customer_recurring_product": Operation(
        name="update_customer_recurring_product",
        method="PATCH",
        path="/{ownerNo}/customers/{customerNo}/recurring-products/{recurringProductId}",
        body=RECURRING_PRODUCT_CHANGE,
        media_type="application/json",
        result=RECURRING_PRODUCT,
    ),
    "list_subscription_recurring_products": Operation(
        name="list_subscription_recurring_products",
        method="GET",
        path="/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}/recurring-products",
        result=RECURRING_PRODUCT,
        items="items",
        navigation="navigation",
        own="@id",
    ),
    "create_subscription_recurring_product": Operation(
        name="create_subscription_recurring_product",
        method="POST",
        path="/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}/recurring-products",
        body=NEW_RECURRING_PRODUCT,
        media_type="application/json",
        result=RECURRING_PRODUCT,
    ),
    "get_subscription_recurring_product": Operation(
        name="get_subscription_recurring_product",
        method="GET",
        path="/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}/recurring-products/{recurringProductId}",
        result=RECURRING_PRODUCT,
    ),
    "delete_subscription_recurring_product": Operation(
        name="delete_subscription_recurring_product",
        method="DELETE",
        path="/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}/recurring-products/{recurringProductId}",
    ),
    "update_subscription_recurring_product": Operation(
        name="update_subscription_recurring_product",
        method="PATCH",
        path="/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}/recurring-products/{recurringProductId}",
        body=RECURRING_PRODUCT_CHANGE,
        media_type="application/json",
        result=RECURRING_PRODUCT,
    ),
}

SERVERS: Final[Mapping[str, Server]] = {
    "production": Server(origin="https://lf-api.payex.com", path="/billing/{subdomain}/v1"),
    "sandbox": Server(origin="https://api.sandbox.payex.com", path="/billing/{subdomain}/v1"),
}

SUBDOMAIN: Final = "customer"

PROBLEMS: Final[Mapping[str, int]] = {
    "validation": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "customer-not-found": 404,
    "subscription-not-found": 404,
    "recurring-product-not-found": 404,
    "not-found": 404,
    "method-not-allowed": 405,
    "customer-already-exists": 409,
    "subscription-already-exists": 409,
    "content-too-large": 413,
    "unsupported-media-type": 415,
    "unprocessable": 422,
    "too-many-requests": 429,
    "internal-server-error": 500,
    "not-implemented": 501,
    "service-unavailable": 503,
}
