# Made by `make generate` from wrapper/payex_billing/_transport/_async/reqwest.py: edit that file.
"""The fast transport of `Billing`."""

from __future__ import annotations

import time

from ...config import Settings
from .._interface import MAX_RESPONSE_BYTES, Reply, Request
from .._reqwest import ERRORS, NOT_A_REQUEST, Client, ClientBuilder, Clients, filled


class Transport(Clients):
    """Sends requests over reqwest, for threads.

    Attributes:
        outlives_caller: tells the sender that a request goes on until it has its response, or its time is over, even
            when its caller is gone: a task that was cancelled, or an interpreter that ends.

    Args:
        settings: where to send to, and with which certificates.
        proxy: the URL of the proxy to go through, if any.
    """

    outlives_caller = True

    def __init__(self, settings: Settings, proxy: str | None) -> None:
        super().__init__(settings, proxy)
        self._by_limit: dict[float, Client] = {}

    def send(self, request: Request, deadline: float) -> Reply:
        """Send once."""
        if request.method != "GET" and (rest := self._rest()) > 0:
            time.sleep(rest)
        seconds = deadline - time.monotonic()
        limit = self._limit(seconds)
        client = self._client(limit, alone=request.alone)
        try:
            streamed = filled(client.request(request.method, request.url), request, seconds, limit).build_streamed()
        except ERRORS:
            return NOT_A_REQUEST
        self._under_way += 1
        try:
            with streamed as response:
                body = response.body_reader.read(MAX_RESPONSE_BYTES + 1)
        except ERRORS as error:
            return self._failure(error)
        finally:
            self._under_way -= 1
        return self._reply(response, body)

    def _client(self, limit: float, *, alone: bool) -> Client:
        client = None if alone else self._by_limit.get(limit)
        if client is None:
            made = self._configured(ClientBuilder(), limit).build()
            if alone:
                return made
            client = self._by_limit.setdefault(limit, made)  # another thread may have been faster
        return client

    def close_idle(self) -> None:
        """Close the connections that no request uses; the next request gets a new client."""
        self._by_limit.clear()

    def close(self) -> None:
        """Close the connections, which go with their clients."""
        while self._by_limit:
            self._by_limit.popitem()[1].close()
