"""Behaviours that the contract allows, or does not mention. A server with any of them is honest."""

import itertools
import re
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

VARIANTS = {
    "absolute-location": "sends Location as an absolute URL",
    "bare-customer": "shows a customer without @id and operations",
    "bare-json-error": "names no parameter if the body is not JSON",
    "bare-throttle": "rejects every 25th request with 429, an HTTP date in Retry-After, and no body",
    "chunked": "sends every body chunked, without Content-Length",
    "defaults": "sets quantity 1, if a new charge has none",
    "delete-501": "is not configured for DELETE",
    "head": "responds to HEAD as to GET, without the body",
    "lax-json": "takes the last of two equal names",
    "long-paths": "names a failed property by its path from the body: body.quantity",
    "more-operations": "shows operations with unknown relations and methods",
    "more-properties": "adds properties of its own to every object",
    "newest-first": "lists the newest first",
    "nulls": "shows null for an absent value",
    "odd-ids": "gives charges ids with reserved characters; links encode no more than a path needs",
    "options": "responds to OPTIONS with 204 and Allow",
    "paging": "sends 2 items per page, with a next link in navigation",
    "pascal-problems": "spells the keys of a problem in PascalCase",
    "server-version": "sends Server with a version",
    "slash-redirect": "redirects a path with a slash at its end with 308",
    "small-bodies": "rejects a body of more than 4096 bytes with 413",
    "sometimes-header": "sends Server-Timing with every third response",
    "throttle": "rejects every 25th request with 429 and Retry-After in seconds",
    "via": "sends Via, as a gateway does",
}
HEADERS = {"server-version": {"Server": "peer/1.27.3"}, "via": {"Via": "1.1 gateway"}}


class Front:
    """What stands before the routes: the raw path, headers, framing, an ingress that rejects requests."""

    def __init__(self, app: ASGIApp, variants: frozenset[str]) -> None:
        self.app, self.variants, self._count = app, variants, itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        variants, count, app = self.variants, next(self._count), self.app
        # Route by the path as sent: `%2F` belongs to its segment.
        path = re.sub(r"^https?://[^/]+", "", scope["raw_path"].decode("latin-1"))
        scope = dict(scope, path=path, throttled=count % 25 == 0 and "throttle" in variants)
        if scope["method"] == "HEAD" and "head" in variants:
            scope["method"] = "GET"  # uvicorn leaves out the body, because the request that it parsed is a HEAD

        async def send_changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in HEADERS.keys() & variants:
                    headers.update(HEADERS[name])
                if "chunked" in variants and message["status"] != 204:
                    del headers["Content-Length"]
                if "sometimes-header" in variants and count % 3 == 0:
                    headers["Server-Timing"] = "db;dur=2"
            await send(message)

        if path.endswith("/") and "slash-redirect" in variants:
            app = Response(status_code=308, headers={"Location": path.rstrip("/")})
        elif count % 25 == 0 and "bare-throttle" in variants:
            app = Response(status_code=429, headers={"Retry-After": formatdate(usegmt=True)})
        await app(scope, receive, send_changed)
