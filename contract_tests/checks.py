"""Checks beyond Schemathesis's own: what the contract means, not only what its schemas say.

They register themselves when this module is imported, so that they run in pytest and, as hooks, on the command line:

    SCHEMATHESIS_HOOKS=contract_tests.checks schemathesis run openapi.yaml --url …
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import schemathesis
from payex_billing_mock import load_contract
from schemathesis import Case, CheckContext, Response

PROBLEM_TYPES = load_contract().problem_types
# What an answer must never hold: it tells how the server is made.
INTERNALS = re.compile(
    r"Traceback \(most recent call|\bat [\w.$]+\([\w.]+:\d+\)|\.py\", line|/usr/|/home/|/var/|[A-Z]:\\|"
    r"\b(?:SELECT|INSERT|UPDATE|DELETE) .{1,80}\b(?:FROM|INTO|SET)\b|"
    r"NullPointerException|java\.lang\.|System\.\w+Exception"
)
PERSONAL = re.compile(r"\d{5}")
VERSION = re.compile(r"\d+\.\d+")


def fail(message: str) -> None:
    """Fail a check with a sentence."""
    raise AssertionError(message)


@schemathesis.check
def strict_json(ctx: CheckContext, response: Response, case: Case) -> None:
    """A body is JSON as RFC 8259 has it: UTF-8, no byte order mark, no NaN, no repeated key; and 204 has none."""
    if response.status_code == 204:
        if response.content:
            fail("a 204 has a body")
        return
    if is_json(response) and case.method != "HEAD":
        parse_strictly(response.content)


@schemathesis.check
def problem_tells_the_truth(ctx: CheckContext, response: Response, case: Case) -> None:
    """An error is a problem whose type and status are the contract's, with an instance id of its own."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    if media_type(response) != "application/problem+json":
        fail(f"a {response.status_code} is not application/problem+json but {media_type(response) or 'nothing'}")
    problem = parse_strictly(response.content)
    if not isinstance(problem, dict):
        fail("a problem is not an object")
    if problem.get("status") != response.status_code:
        fail(f"the problem says {problem.get('status')}, the answer is {response.status_code}")
    code = str(problem.get("type", "")).rstrip("/").rpartition("/")[2]
    known = PROBLEM_TYPES.get(code)
    if known is None:
        fail(f"the problem type {code!r} is not one of the contract's")
    elif known.status != response.status_code:
        fail(f"{code} comes with {known.status}, not {response.status_code}")
    if not problem.get("title"):
        fail("the problem has no title")
    if not problem.get("instance"):
        fail("the problem has no instance")
    if code == "validation":
        check_parameters(problem.get("problems"))


@schemathesis.check
def headers_mean_what_they_say(ctx: CheckContext, response: Response, case: Case) -> None:
    """WWW-Authenticate with a 401, Allow with a 405, a usable Retry-After, and no version of the server anywhere."""
    headers = {name.lower(): ", ".join(values) for name, values in response.headers.items()}
    if response.status_code == 401 and not headers.get("www-authenticate", "").startswith("Bearer"):
        fail("a 401 has no WWW-Authenticate: Bearer")
    if response.status_code == 405 and not headers.get("allow"):
        fail("a 405 has no Allow")
    if "retry-after" in headers and not re.fullmatch(r"\d+|[A-Z][a-z]{2}, \d\d .{17} GMT", headers["retry-after"]):
        fail(f"Retry-After {headers['retry-after']!r} is neither seconds nor a date")
    for name in ("server", "x-powered-by", "via"):
        if VERSION.search(headers.get(name, "")):
            fail(f"{name} tells a version")
    if "location" in headers and response.status_code < 300:
        own = body_of(response).get("@id") if is_json(response) else None
        if own is not None and urlsplit(headers["location"]).path != own:
            fail("Location is not the resource's @id")


@schemathesis.check
def nothing_internal_is_shown(ctx: CheckContext, response: Response, case: Case) -> None:
    """No stack trace, path, statement or personal data is in an error."""
    if response.status_code < 400:
        return
    text = response.content.decode("utf-8", "replace")
    if found := INTERNALS.search(text):
        fail(f"an error shows how the server is made: {found[0][:60]!r}")
    # Words are no evidence: generated data is full of the contract's own. A number of five digits is a customer's.
    fields = body_of(response) if is_json(response) and case.method != "HEAD" else {}
    said = f"{fields.get('detail', '')} {fields.get('problems', '')}"
    for value in unquote_all(case.path_parameters or {}):
        if PERSONAL.search(value) and value in said:
            fail("an error repeats a number that may be personal")


@schemathesis.check
def links_are_the_resources_own(ctx: CheckContext, response: Response, case: Case) -> None:
    """`@id` is where the resource is; its links and operations are below it; lists say where they are."""
    if response.status_code not in {200, 201} or not is_json(response):
        return
    body = body_of(response)
    here = urlsplit(response.request.url or "").path
    if "items" in body:
        if not same_path(body.get("navigation", {}).get("@id"), here):
            fail("navigation.@id is not the list's own URI")
        for item in body["items"]:
            check_resource(item, f"{here}/{last_segment(item, here)}")
    else:
        check_resource(body, f"{here}/{last_segment(body, here)}" if case.method == "POST" else here)


@schemathesis.check
def what_was_sent_is_what_is_held(ctx: CheckContext, response: Response, case: Case) -> None:
    """The answer to a write holds every value that was sent, to the last digit, unknown properties included."""
    if response.status_code not in {200, 201} or case.method not in {"POST", "PATCH"}:
        return
    sent = response.request.body
    if not isinstance(sent, (bytes, str)):
        return
    wanted, held = parse_strictly(sent if isinstance(sent, bytes) else sent.encode()), body_of(response)
    own = {"@id", "recurringProductId", "billedUntil", "operations", "subscriptions", "recurringProducts"}
    for name, value in wanted.items() if isinstance(wanted, dict) else ():
        if name in own:
            continue
        if value is None and held.get(name) is not None:
            fail(f"{name} was cleared, but is still there")
        elif value is not None and held.get(name, ...) != value:
            fail(f"{name} was sent, but another value is held")


ALL = (
    strict_json,
    problem_tells_the_truth,
    headers_mean_what_they_say,
    nothing_internal_is_shown,
    links_are_the_resources_own,
    what_was_sent_is_what_is_held,
)


# helpers


def media_type(response: Response) -> str:
    """The media type without its parameters."""
    values = response.headers.get("content-type") or [""]
    return values[0].partition(";")[0].strip().lower()


def is_json(response: Response) -> bool:
    """Whether the answer calls itself JSON."""
    return media_type(response) in {"application/json", "application/problem+json"}


def body_of(response: Response) -> dict[str, Any]:
    """The body as an object; an empty one when it is something else."""
    body = parse_strictly(response.content)
    return body if isinstance(body, dict) else {}


def parse_strictly(body: bytes) -> Any:
    """Parse JSON as RFC 8259 has it; numbers keep their digits."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in found}) != len(found):
            fail("a key is repeated")
        return dict(found)

    def constant(name: str) -> None:
        fail(f"{name} is not JSON")

    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_float=Decimal)
    except (UnicodeDecodeError, ValueError) as error:
        fail(f"the body is not JSON in UTF-8: {error}")


def check_parameters(problems: object) -> None:
    """A validation problem names each parameter that failed, one in an object."""
    if not isinstance(problems, list) or not problems:
        fail("a validation problem names no parameter")
        return
    for each in problems:
        if not isinstance(each, dict) or len(each) != 1 or not all(each) or not all(each.values()):
            fail("a failed parameter is not an object of one name and one message")


def check_resource(resource: Mapping[str, Any], uri: str) -> None:
    """The links of a resource that is at `uri`."""
    own = resource.get("@id")
    if own is not None and not same_path(own, uri):
        fail("@id is not where the resource is")
    for name, segment in (("subscriptions", "subscriptions"), ("recurringProducts", "recurring-products")):
        if name in resource and not same_path(resource[name], f"{uri}/{segment}"):
            fail(f"the link {name} is not below the resource")
    for operation in resource.get("operations") or ():
        rel, href = str(operation.get("rel")), operation.get("href")
        if not isinstance(href, str) or not unquote(href).startswith(unquote(uri) + "/"):
            fail(f"the operation {rel} is not below the resource")
        if rel.startswith("add-") and (operation.get("method") != "POST" or not href.endswith(f"/{rel[4:]}s")):
            fail(f"the operation {rel} does not add what it says")
    charge_id = resource.get("recurringProductId") if "/recurring-products/" in uri else None
    if charge_id is not None and own is not None and own.rpartition("/")[2] != quote(str(charge_id), safe=""):
        fail("recurringProductId is not the last segment of @id")


# What names a resource, by the collection that it is in. An unknown property may have the name of another.
NAMED_BY = {"customers": "customerNo", "subscriptions": "subscriptionNo", "recurring-products": "recurringProductId"}


def last_segment(resource: Mapping[str, Any], collection: str) -> str:
    """The number or id of a resource of a collection, as it stands in a path."""
    return quote(str(resource.get(NAMED_BY.get(collection.rpartition("/")[2], ""), "")), safe="")


def same_path(link: object, path: str) -> bool:
    """Whether a link is path-absolute and names this path, however it is encoded."""
    if not isinstance(link, str) or not link.startswith("/") or link.startswith("//"):
        return False
    return [unquote(each) for each in link.split("/")] == [unquote(each) for each in path.split("/")]


def unquote_all(parameters: Mapping[str, Any]) -> Iterator[str]:
    """The values of path parameters that may be personal, decoded."""
    for name in ("customerNo", "subscriptionNo"):
        if name in parameters:
            yield unquote(str(parameters[name]))
