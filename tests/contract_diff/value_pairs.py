"""Pairs about the values of requests and responses."""

from __future__ import annotations

from tests.contract_diff.edits import (
    BREAKING,
    CUSTOMER,
    CUSTOMERS,
    HARMLESS,
    Pair,
    closed,
    own_number,
    put,
    relations,
    renamed,
    schema,
    with_causes,
)

REQUESTS = [
    Pair(
        "no further properties in a request",
        closed("NewCustomer"),
        BREAKING,
        ("breaks request changed body",),
        f"POST {CUSTOMERS}",
    ),
    Pair(
        "a list of values for what is sent",
        own_number(enum=["1", "2"]),
        BREAKING,
        ("breaks request changed customerNo",),
        f"POST {CUSTOMERS}",
    ),
    Pair(
        "a longer list of values for what is sent",
        own_number(enum=["1", "2"]),
        HARMLESS,
        ("harmless request changed customerNo",),
        ours=own_number(enum=["1"]),
    ),
    Pair(
        "a time in place of a date in a request",
        put("NewRecurringProduct", "startDate", {"type": "string", "format": "date-time"}),
        BREAKING,
        ("breaks request changed startDate",),
    ),
    Pair("a tighter limit in a request", own_number(maxLength=10), BREAKING, ("breaks request changed customerNo",)),
    Pair("a looser limit in a request", own_number(maxLength=20), HARMLESS, ("harmless request changed customerNo",)),
    Pair(
        "another pattern in a request", own_number(pattern="^[0-9]*$"), BREAKING, ("breaks request changed customerNo",)
    ),
    Pair(
        "a coarser step of a price",
        lambda each: schema(each, "VatRate").update({"multipleOf": 0.05, "x-decimals": None}),
        BREAKING,
        ("breaks request changed vatRate", "harmless response changed vatRate"),
    ),
    Pair(
        "a number where a whole number is sent",
        put("NewRecurringProduct", "quantity", {"type": "number", "minimum": 1, "maximum": 99999}),
        HARMLESS,
        ("harmless request changed quantity",),
    ),
    Pair(
        "a property that must be sent",
        lambda each: (
            schema(each, "NewCustomer")["properties"].update(name={"type": "string"}),
            schema(each, "NewCustomer")["required"].append("name"),
        ),
        BREAKING,
        ("breaks request added name",),
        f"POST {CUSTOMERS}",
    ),
    Pair(
        "a property that need not be sent",
        lambda each: schema(each, "NewCustomer").update(required=[]),
        HARMLESS,
        ("harmless request changed customerNo",),
        f"POST {CUSTOMERS}",
    ),
    Pair(
        "a property of a request by another name",
        lambda each: renamed(schema(each, "NewRecurringProduct")["properties"], "unitPrice", "price"),
        BREAKING,
        ("breaks request removed unitPrice", "harmless request added price"),
    ),
    Pair(
        "a property that only the server sets",
        put("NewRecurringProduct", "text", {"type": "string", "maxLength": 73, "readOnly": True}),
        BREAKING,
        ("breaks request removed text",),
    ),
    Pair(
        "a default for what is left out",
        put("NewRecurringProduct", "quantity", {"type": "integer", "minimum": 1, "maximum": 99999, "default": 1}),
        HARMLESS,
        ("harmless request changed quantity",),
    ),
    Pair(
        "null that may not be sent",
        put("RecurringProductChange", "endDate", {"type": "string", "format": "date"}),
        BREAKING,
        ("breaks request changed endDate",),
    ),
]

RESPONSES = [
    Pair("no further properties in a response", closed("Customer"), HARMLESS, ("harmless response changed body",)),
    Pair(
        "a value that our client does not know",
        relations("add", "end"),
        BREAKING,
        ("breaks response changed rel",),
        ours=relations("add"),
    ),
    Pair(
        "a value that never comes",
        relations("add"),
        HARMLESS,
        ("harmless response changed rel",),
        ours=relations("add", "end"),
    ),
    Pair(
        "text in place of a date in a response",
        put("RecurringProduct", "billedUntil", {"type": ["string", "null"]}),
        BREAKING,
        ("breaks response changed billedUntil",),
    ),
    Pair(
        "a looser limit in a response",
        put("RecurringProduct", "text", {"type": ["string", "null"], "maxLength": 200}),
        HARMLESS,
        ("harmless response changed text",),
    ),
    Pair(
        "a number where a whole number is read",
        put("RecurringProduct", "quantity", {"type": ["number", "null"], "minimum": 1, "maximum": 99999}),
        BREAKING,
        ("breaks response changed quantity",),
    ),
    Pair(
        "a property that need not come",
        lambda each: schema(each, "Customer")["required"].remove("subscriptions"),
        BREAKING,
        ("breaks response changed subscriptions",),
    ),
    Pair(
        "a property that always comes",
        lambda each: schema(each, "Customer")["required"].append("@id"),
        HARMLESS,
        ("harmless response changed @id",),
    ),
    Pair(
        "a property of a response by another name",
        lambda each: renamed(schema(each, "RecurringProduct")["properties"], "unitPrice", "price"),
        BREAKING,
        ("breaks response removed unitPrice", "harmless response added price"),
    ),
    Pair(
        "a list in another wrapper",
        lambda each: (
            renamed(schema(each, "SubscriptionList")["properties"], "items", "data"),
            schema(each, "SubscriptionList").update(required=["data", "navigation"]),
        ),
        BREAKING,
        ("breaks response removed items", "harmless response added data"),
        f"GET {CUSTOMER}/subscriptions",
    ),
    Pair(
        "a list without a wrapper",
        lambda each: each["components"]["schemas"].update(
            SubscriptionList={"type": "array", "items": {"$ref": "#/components/schemas/Subscription"}}
        ),
        BREAKING,
        ("breaks response changed body",),
        f"GET {CUSTOMER}/subscriptions",
    ),
    Pair("a schema that contains itself", with_causes, HARMLESS, ("harmless response added causes",)),
    Pair(
        "another status of success",
        lambda each: renamed(each["paths"][CUSTOMERS]["post"]["responses"], "201", "200"),
        BREAKING,
        ("breaks status removed 201", "breaks status added 200"),
        f"POST {CUSTOMERS}",
    ),
]
