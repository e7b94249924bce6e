"""The fast transport of `AsyncBilling`."""

from __future__ import annotations

import asyncio
import time

from ...config import Settings
from .._interface import MAX_RESPONSE_BYTES, Reply, Request
from .._reqwest import ERRORS, NOT_A_REQUEST, AsyncClient, AsyncClientBuilder, Clients, filled


class AsyncTransport(Clients):
    """Sends requests over reqwest, for the tasks of one event loop.

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
        self._by_limit: dict[float, AsyncClient] = {}

    async def send(self, request: Request, deadline: float) -> Reply:
        """Send once."""
        if request.method != "GET" and (rest := self._rest()) > 0:
            await asyncio.sleep(rest)
        seconds = deadline - time.monotonic()
        limit = self._limit(seconds)
        client = self._client(limit, alone=request.alone)
        try:
            streamed = filled(client.request(request.method, request.url), request, seconds, limit).build_streamed()
        except ERRORS:
            return NOT_A_REQUEST
        self._under_way += 1
        try:
            async with streamed as response:
                body = await response.body_reader.read(MAX_RESPONSE_BYTES + 1)
        except ERRORS as error:
            return self._failure(error)
        finally:
            self._under_way -= 1
        return self._reply(response, body)

    def _client(self, limit: float, *, alone: bool) -> AsyncClient:
        client = None if alone else self._by_limit.get(limit)
        if client is None:
            made = self._configured(AsyncClientBuilder(), limit).build()
            if alone:
                return made
            client = self._by_limit.setdefault(limit, made)  # another thread may have been faster
        return client

    async def close_idle(self) -> None:
        """Close the connections that no request uses; the next request gets a new client."""
        self._by_limit.clear()

    async def close(self) -> None:
        """Close the connections, which go with their clients."""
        while self._by_limit:
            await self._by_limit.popitem()[1].close()
