"""Pairs about whole calls: other spellings, servers, media types, credentials, operations."""

from __future__ import annotations

import json

from tests.contract_diff.edits import (
    BREAKING,
    CERTIFICATE,
    CHARGES,
    CUSTOMER,
    CUSTOMERS,
    HARMLESS,
    JSON,
    KEY,
    PROBLEM,
    SAME,
    TOKEN,
    Pair,
    composed,
    errors_by_default,
    errors_by_range,
    every_scheme,
    full_paths,
    media,
    merge_keys,
    minified,
    null_in_type_arrays,
    only_multiple_of,
    other_decimals,
    parameters_at_operations,
    patch_to_put,
    put,
    renamed,
    reworded,
    schema,
    set_server,
    subdomain_in_paths,
    with_causes,
)
from tests.contract_diff.spellings import inlined, openapi_30, swagger_20
from tests.support import from_yaml, to_yaml

SAME_API = [
    Pair("the same as YAML", lambda each: None, SAME, as_text=to_yaml),
    Pair("the same as indented JSON", lambda each: None, SAME, as_text=lambda each: json.dumps(each, indent="\t")),
    Pair("1e-06 in JSON is a number", only_multiple_of, SAME, ours=only_multiple_of, as_text=minified),
    Pair("a step of 0.01 and two decimals", other_decimals, SAME),
    Pair("OpenAPI 3.0 with nullable and no client certificates", lambda each: openapi_30(), SAME),
    Pair("OpenAPI 3.1 with null in lists of types", null_in_type_arrays, SAME),
    Pair("Swagger 2.0 with host, basePath, x-nullable and body parameters", lambda each: swagger_20(), SAME),
    Pair("no references", lambda each: inlined(each, each), SAME),
    Pair("parameters at the operation", parameters_at_operations, SAME),
    Pair("a schema composed by allOf", composed, SAME),
    Pair(
        "other names of path parameters",
        lambda each: from_yaml(
            to_yaml(each)
            .replace("{ownerNo}", "{id}")
            .replace("{customerNo}", "{cust-id}")
            .replace("name: ownerNo", "name: id")
            .replace("name: customerNo", "name: cust-id")
        ),
        SAME,
    ),
    Pair("a slash after the base path", set_server(url="{subdomain}/v1/"), SAME),
    Pair("the base path written into each path", full_paths, SAME),
    Pair(
        "media types with a charset",
        lambda each: [
            media(kind, JSON, "application/json; charset=utf-8")(each) for kind in ("requestBodies", "responses")
        ],
        SAME,
    ),
    Pair("other descriptions, examples, tags and operation ids", reworded, SAME),
    Pair("YAML with anchors and merge keys", lambda each: None, SAME, as_text=merge_keys),
    Pair("a byte order mark", lambda each: None, SAME, as_text=lambda each: json.dumps(each).encode("utf-8-sig")),
    Pair("statuses of errors as 4XX and 5XX", errors_by_range, SAME),
    Pair("all errors as the default response", errors_by_default, SAME),
    Pair("the subdomain as a parameter of each path", subdomain_in_paths, SAME),
    Pair(
        "exclusive limits of a whole number",
        put("NewRecurringProduct", "quantity", {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 100000}),
        SAME,
    ),
    Pair("schemas that contain themselves in both files", with_causes, SAME, ours=with_causes),
    Pair(
        "a property of a request that only the server sets",
        lambda each: schema(each, "NewCustomer")["properties"].update(createdAt={"type": "string", "readOnly": True}),
        SAME,
    ),
]

SERVERS = [
    Pair("another version in the base path", set_server(url="{subdomain}/v2"), BREAKING, ("breaks server changed",)),
    Pair(
        "another subdomain",
        lambda each: {**swagger_20(), "basePath": "/billing/billing/v1"},
        BREAKING,
        ("breaks server changed",),
    ),
    Pair(
        "another default of the subdomain, ours stays allowed",
        set_server(
            url="{subdomain}/v1", variables={"subdomain": {"default": "billing", "enum": ["billing", "customer"]}}
        ),
        HARMLESS,
        ("harmless server changed",),
    ),
    Pair(
        "a subdomain that cannot be ours",
        set_server(
            url="{subdomain}/v1", variables={"subdomain": {"default": "billing", "enum": ["billing", "invoice"]}}
        ),
        BREAKING,
        ("breaks server changed",),
    ),
    Pair(
        "http in place of https",
        lambda each: [server.update(url=server["url"].replace("https", "http")) for server in each["servers"]],
        BREAKING,
        ("breaks server changed",),
    ),
    Pair("one of our hosts", lambda each: each["servers"].pop(), HARMLESS, ("harmless server removed",)),
    Pair(
        "a slash after one path",
        lambda each: renamed(each["paths"], CUSTOMERS, f"{CUSTOMERS}/"),
        BREAKING,
        ("breaks operation changed",),
        f"POST {CUSTOMERS}",
    ),
]

MEDIA_TYPES = [
    Pair(
        "requests of a media type of the vendor's own",
        media("requestBodies", JSON, "application/vnd.payex.v1+json"),
        BREAKING,
        ("breaks request changed media type",),
    ),
    Pair(
        "requests as a form",
        media("requestBodies", JSON, "application/x-www-form-urlencoded"),
        BREAKING,
        ("breaks request changed media type",),
    ),
    Pair(
        "responses of another JSON type",
        media("responses", JSON, "application/vnd.payex.v1+json"),
        HARMLESS,
        ("harmless response changed media type",),
    ),
    Pair(
        "responses as XML",
        media("responses", JSON, "application/xml"),
        BREAKING,
        ("breaks response changed media type",),
    ),
    Pair(
        "problems as plain JSON", media("responses", PROBLEM, JSON), HARMLESS, ("harmless response changed media type",)
    ),
    Pair(
        "an error without a body",
        lambda each: each["components"]["responses"]["CustomerAlreadyExists"].pop("content"),
        BREAKING,
        ("breaks response removed body",),
        f"POST {CUSTOMERS}",
    ),
]

SECURITY = [
    Pair(
        "an API key in place of the token",
        lambda each: every_scheme(each, [{"key": []}], key=KEY),
        BREAKING,
        ("breaks security changed",),
    ),
    Pair("no credentials", lambda each: every_scheme(each, []), HARMLESS, ("harmless security changed",)),
    Pair(
        "no client certificate",
        lambda each: every_scheme(each, [{"token": []}], token=TOKEN),
        HARMLESS,
        ("harmless security changed",),
    ),
    Pair(
        "one operation that needs a key too",
        lambda each: (
            each["components"]["securitySchemes"].update(key=KEY),
            each["paths"][CUSTOMERS]["post"].update(security=[{"bearerToken": [], "clientCertificate": [], "key": []}]),
        ),
        BREAKING,
        ("breaks security changed",),
        f"POST {CUSTOMERS}",
    ),
    Pair(
        "a token of OAuth 2, which is sent alike",
        lambda each: every_scheme(each, [{"oauth": [], "tls": []}], oauth={"type": "oauth2"}, tls=CERTIFICATE),
        HARMLESS,
        ("harmless security changed",),
    ),
    Pair(
        "a key or the token",
        lambda each: every_scheme(each, [{"key": []}, {"token": [], "tls": []}], key=KEY, token=TOKEN, tls=CERTIFICATE),
        HARMLESS,
        ("harmless security changed",),
    ),
]

OPERATIONS = [
    Pair(
        "an operation less",
        lambda each: each["paths"][CHARGES].pop("post"),
        BREAKING,
        ("breaks operation removed",),
        f"POST {CHARGES}",
    ),
    Pair(
        "an operation more",
        lambda each: each["paths"][CUSTOMER].update(delete={"responses": {"204": {"description": "Gone."}}}),
        HARMLESS,
        ("harmless operation added",),
        f"DELETE {CUSTOMER}",
    ),
    Pair(
        "a query that must be sent",
        lambda each: each["paths"][CUSTOMER]["parameters"].append(
            {"name": "year", "in": "query", "required": True, "schema": {"type": "integer"}}
        ),
        BREAKING,
        ("breaks parameter added query year",),
        f"GET {CUSTOMER}",
    ),
    Pair(
        "a header that may be sent",
        lambda each: each["paths"][CUSTOMERS].update(
            parameters=[
                *each["paths"][CUSTOMERS]["parameters"],
                {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
            ]
        ),
        HARMLESS,
        ("harmless parameter added header X-Trace",),
        f"POST {CUSTOMERS}",
    ),
    Pair(
        "a tighter limit in a path",
        lambda each: schema(each, "OwnerNo").update(maxLength=3),
        BREAKING,
        ("breaks parameter changed path ownerNo",),
    ),
    Pair(
        "an error less",
        lambda each: each["paths"][CUSTOMER]["get"]["responses"].pop("501"),
        HARMLESS,
        ("harmless status removed 501",),
        f"GET {CUSTOMER}",
    ),
    Pair(
        "an error more",
        lambda each: each["paths"][CUSTOMER]["get"]["responses"].update({"410": {"description": "Gone."}}),
        HARMLESS,
        ("harmless status added 410",),
        f"GET {CUSTOMER}",
    ),
    Pair("PUT in place of PATCH", patch_to_put, BREAKING, ("breaks operation removed", "harmless operation added")),
]
