"""Transports: each sends one request over HTTP and says what came of it. They know nothing of retries or of the API.

`_interface` is the language, `_httpx2` and `_reqwest` are the two built-in transports, `_choice` picks one by the
settings, and `_sender` guards it: a limited number of requests at once, and no use after close or fork.
"""

from ._interface import AsyncTransport, Failure, Reply, Request, Response, Transport

__all__ = ["AsyncTransport", "Failure", "Reply", "Request", "Response", "Transport"]
