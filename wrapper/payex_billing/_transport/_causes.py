"""Classify errors of httpcore2: return the phase, and a sentence that repeats no byte of the server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpcore2

from .._credentials import tls
from .._evidence import Phase
from ._interface import TOO_LARGE, Failure
from ._network import TooMuch

_TIMED_OUT = (TimeoutError, httpcore2.TimeoutException)
# The sentence for each class of error. The text of the error itself can contain bytes of the server, such as a token.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TooMuch, TOO_LARGE.reason),
    (socket.gaierror, "the host name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionResetError, "the connection was reset"),
    (BrokenPipeError, "the server closed the connection while the request was being sent"),
    (httpcore2.ProxyError, "the proxy refused to connect"),
    (httpcore2.LocalProtocolError, "the request cannot be written as HTTP/1.1"),
    (httpcore2.RemoteProtocolError, "the response is not HTTP/1.1"),
    (ssl.SSLError, "TLS failed"),
    (httpcore2.ConnectError, "the connection could not be opened"),
    (httpcore2.WriteError, "the connection broke while the request was being sent"),
    (OSError, "the connection broke before the response was complete"),
    (httpcore2.NetworkError, "the connection broke before the response was complete"),
)


# How the texts of httpcore2 and h11 for an early end begin. They hold no bytes of the server.
_ENDED = ("Server disconnected", "peer closed connection", "peer unexpectedly closed connection")


def classify(error: Exception, *, written: bool, used: bool) -> Failure:
    """Return the failure for an error.

    The phase depends on whether a byte of the request was given to the system, and not on the class of the error.

    Args:
        error: the exception of httpcore2.
        written: whether a byte of the request was given to the system.
        used: whether a response has come over this connection before.
    """
    phase = Phase.ANSWER_LOST if written else Phase.NEVER_SENT
    if isinstance(error, _TIMED_OUT):
        return Failure(phase, "timed out", timed_out=True)
    reason = next((words for kind, words in _WORDS for cause in _causes(error) if isinstance(cause, kind)), "it failed")
    if str(error).startswith(_ENDED):
        reason = "the server closed the connection before the response was complete"
    advice = tls.certificate_advice(error)
    if advice is None:
        return Failure(phase, reason)
    if used:
        # The handshake succeeded before. The server may have read the request before it refused the certificate.
        return Failure(phase, f"{reason}; {advice}")
    # The first use of the connection. In TLS 1.3 the client sends the request before the server checks the certificate.
    # A server that refuses the certificate has not read the request.
    return Failure(Phase.NEVER_SENT, advice, certificate=True)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
