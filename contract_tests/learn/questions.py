"""The questions of `learn`, as a list: what each decides, sends, reads, costs and leaves behind."""

from __future__ import annotations

from collections.abc import Mapping

from . import asking_names, asking_protocol, asking_start, asking_writes, reading
from .engine import Question
from .names import ROLES

_CUSTOMER = {"subdomain": ()}
_CHARGE = {"charges": ("can be added",)}
_TWICE = {"same-product-twice": ()}
_NAMES = {"charge-names": ()}
_UPDATE = {"update": ("PATCH", "PUT", "PATCH and PUT", "POST")}
A_CUSTOMER, A_SUBSCRIPTION, CHARGES = "a customer, which stays", "a subscription", "charges"


def questions(bases: Mapping[str, str]) -> list[Question]:
    """Return the questions for an API that may be at one of these base paths, by subdomain."""
    return [
        Question(
            ("subdomain",), "POST a customer to each base path, until one takes it; GET it at the others",
            "the base path that creates it, and those that show it", 8,
            lambda scene: asking_start.subdomain(scene, dict(bases)), A_CUSTOMER,
        ),
        Question(
            ("subscriptions",), "POST a subscription", "a 2xx", 4,
            asking_start.subscriptions, A_SUBSCRIPTION, _CUSTOMER,
        ),
        Question(
            ("charges", "validation", "name-product_code", "name-id", "kind-id"),
            "POST an empty charge; POST a code under the likely names; GET the charge",
            "the refusal of the empty charge; which property shows the code, and which the last segment of @id", 24,
            asking_start.charges, CHARGES, {"subscriptions": ()},
        ),
        Question(
            ("same-product-twice",), "POST a charge of the same product again", "a 2xx", 3,
            asking_start.twice, CHARGES, _CHARGE,
        ),
        Question(
            ("unknown-properties",), "POST a charge with a property that no server knows; GET it",
            "a 4xx, or whether the property is shown", 3, asking_start.unknown, CHARGES, _TWICE,
        ),
        Question(
            ("charge-names", *(f"name-{role}" for role in ROLES), "kind-unit_price", "kind-date"),
            "POST charges with the likely names, together and then one by one; GET them",
            "which names show the value that was sent; where unknown names are kept, which names refuse a list", 70,
            asking_names.names, CHARGES, {"unknown-properties": ()},
        ),
        Question(
            ("kind-quantity",), "POST a charge with the quantity 2.5; GET it", "a 4xx, or the quantity shown", 3,
            asking_names.decimals, CHARGES, _NAMES,
        ),
        Question(
            ("values-not-given",), "GET a charge without values", "absent, null, or a value", 1,
            asking_names.empty_values, "", _NAMES,
        ),
        Question(
            ("ends-before-start",), "POST a charge that ends before it starts", "the status", 2,
            asking_names.dates, CHARGES, _NAMES,
        ),
        Question(
            ("read-only-properties",), "POST a charge with billedUntil; GET it", "a 4xx, or the date shown", 3,
            asking_names.read_only, CHARGES, _TWICE,
        ),
        Question(
            ("update", "patch-means", "put-means", "update-status", "patch-media-type"),
            "PATCH and PUT one value of a charge; POST, if neither works; GET it",
            "whether the value is changed, and whether the others are kept", 18, asking_writes.update, CHARGES, _NAMES,
        ),
        Question(
            ("null",), "change a value to null; GET the charge", "a 4xx, the old value, or none", 6,
            asking_writes.null, CHARGES, _UPDATE,
        ),
        Question(
            ("etag",), "GET a charge; change it with an If-Match of another", "the header ETag; a 4xx", 5,
            asking_writes.etag, CHARGES, {"update": ()},
        ),
        Question(
            ("delete-charge", "delete-status"), "DELETE a charge; GET it", "a 2xx and then a 404", 8,
            asking_writes.delete_charge, "", _TWICE,
        ),
        Question(
            ("delete-subscription",), "POST and DELETE a subscription; GET it", "a 2xx and then a 404", 3,
            asking_writes.delete_subscription, "", {"subscriptions": ("can be created",)},
        ),
        Question(
            ("duplicate-customer", "duplicate-subscription"), "POST the customer and the subscription again",
            "status and problem type", 2, asking_writes.duplicates, "", {"subscriptions": ()},
        ),
        Question(
            ("slash",), "POST a customer with a slash in its number; GET it with %2F",
            "a 4xx, and to which of the two", 2, asking_protocol.slash, A_CUSTOMER, _CUSTOMER,
        ),
        Question(
            ("dots",), "POST a subscription with a dot in its number; GET it", "a 4xx, and to which of the two", 2,
            asking_protocol.dots, A_SUBSCRIPTION, {"subscriptions": ("can be created",)},
        ),
        Question(
            ("number-case",), "GET the customer with the case of its letters swapped", "whether it is found", 1,
            asking_protocol.number_case, "", _CUSTOMER,
        ),
        Question(
            ("missing-charge",), "GET a charge that does not exist", "status and problem type", 1,
            asking_protocol.missing, "", _CHARGE,
        ),
        Question(
            ("without-token",), "GET the customer without a token", "the status", 1,
            asking_protocol.unauthorized, "", _CUSTOMER,
        ),
        Question(
            ("unknown-queries",), "GET a list with a query parameter that no server knows", "whether it is refused", 1,
            asking_protocol.queries, "", _CHARGE,
        ),
        Question(
            ("head", "options"), "HEAD and OPTIONS of the customer", "a 2xx", 2, asking_protocol.methods, "", _CUSTOMER,
        ),
        Question(
            ("list-items", "list-navigation", "list-items-subscriptions"), "GET both lists",
            "which property holds the items, and whether there is a navigation", 2,
            asking_protocol.lists, "", _CHARGE,
        ),
        Question(
            ("paging",),
            "GET a list with the usual parameters for pages of one item; if none works, POST up to 26 items",
            "how many come at once, and the link to the rest", 32,
            asking_protocol.paging, CHARGES, {"list-items": (), "same-product-twice": ()},
            is_last=True,
        ),
        Question(
            ("idempotency-key",), "POST a charge twice with one Idempotency-Key; count", "one charge, or two", 7,
            asking_protocol.idempotency, CHARGES, {"list-items": (), "same-product-twice": ("accepted",)},
        ),
        Question(
            ("broken-off-post",),
            "POST a charge and close the connection before the response; count for 15 seconds",
            "when the charge is there", 8,
            asking_protocol.late, CHARGES, {"list-items": ()},
        ),
        Question(
            ("create-status", "location"), "read the responses to the creations",
            "status and Location of the creations", 0, reading.creations,
            "", _CUSTOMER,
        ),
        Question(
            ("problem-keys", "problem-media-type"), "read the refusals",
            "the spelling of the problems", 0, reading.problems,
        ),
        Question(
            ("tracking-headers",), "read the headers of all responses",
            "headers with another id in each response", 0, reading.tracking,
        ),
    ]  # fmt: skip
