"""The sentences of `x-rules` that an answer replaces: one for each answer. The first is today's."""

from __future__ import annotations

RULES: dict[str, tuple[str, dict[str, str]]] = {
    "unknown-properties": (
        "unknown-properties",
        {
            "kept": "A server holds properties that it does not know as they were sent. A change keeps them.",
            "dropped": "A server drops properties that it does not know. It shows only those that it knows.",
            "refused": "A server refuses properties that it does not know.",
        },
    ),
    "number-case": (
        "numbers",
        {
            "sensitive": (
                "Two numbers or ids are the same only if every character is the same, also upper and lower case. "
                "Nothing is trimmed or normalised."
            ),
            "insensitive": "Two numbers are the same without regard to upper and lower case.",
        },
    ),
    "problem-media-type": (
        "problem-media-type",
        {
            "application/problem+json": "",
            "application/json": "A problem may come as application/json. Its keys say that it is a problem.",
        },
    ),
}
END_BEFORE_START = (
    "A charge that would end before it starts is refused with {status}, by the values after the request. It may end on "
    "the day on which it starts."
)
ACCEPTED = "A charge may end before it starts: the server does not check it."
DELETION_ENDS = "The charge ends at once: it stays readable, with an end date. To stop billing later, set its `{end}`."
NULL = {
    "ignored": "Do not send null: the server ignores it.",
    "refused": "Do not send null: the server refuses it.",
}
NULL_NOT_SENT = {answer: f"A property left out stays as it is. {text}" for answer, text in NULL.items()}
EVIDENCE = "{level: observed, source: evidence}"
TAKEN_TWICE = "the number was taken, and the client takes a success for a new resource"
BY_HAND = {
    "patch-media-type": "the contract and the suite have application/json for every body",
    "same-product-twice": "the tables and `ensure` allow a product several times",
    "slash": "numbers with a slash may exist already; take `/` out of the pattern of NewCustomerNo if none does",
    "duplicate-customer": "the problem type does not say whose duplicate it is; the client judges by the status",
    "duplicate-subscription": "the problem type does not say whose duplicate it is; the client judges by the status",
    "paging": "the client follows only the link `next` of the list",
    "kind-unit_price": "no attribute of the client can hold it",
    "kind-date": "no attribute of the client can hold it",
    "list-items": "a bare array has no place for a link to the next page",
    "etag": "the client sends no If-Match",
    "update": "the client changes by PATCH or PUT",
    "patch-means": "the client relies on PATCH leaving the other values as they are",
    "missing-charge": "the contract has 404 or 410 for a missing resource",
    "validation": "the problem type has another name",
    "read-only-properties": "a property that only the server should set can be set",
    "without-token": "the contract has 401",
    "delete-subscription": "DELETE is answered as a success and does nothing",
    "delete-charge": "DELETE is answered as a success and does nothing",
    "broken-off-post": "the client takes a lost POST as absent after `settle`; set it higher",
    "create-status": "creations have different statuses",
}
