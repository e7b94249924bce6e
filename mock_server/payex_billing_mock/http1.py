"""HTTP/1.1 on one connection of the mock: reads requests within a time limit, and encodes responses."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11

from .messages import DRAINED_BYTES, MAX_BODY_BYTES, Answer, Request
from .streams import Stream


class RequestReader:
    """Reads the requests of one connection, each within a time limit.

    Attributes:
        has_begun: whether at least one byte of the current request has arrived.
    """

    def __init__(self, connection: h11.Connection, stream: Stream, request_seconds: float, idle_seconds: float) -> None:
        self._connection = connection
        self._stream = stream
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._is_first = True
        self.has_begun = False

    async def read(self) -> Request | None:
        """Return the next request, or None if the client has closed the connection.

        Raises:
            TimeoutError: the request was not complete in time.
            h11.RemoteProtocolError: the bytes are not HTTP/1.1.
        """
        self.has_begun = bool(self._connection.trailing_data[0])
        is_counting = self.has_begun or self._is_first
        self._is_first = False
        async with asyncio.timeout(self._request_seconds if is_counting else self._idle_seconds) as limit:
            head: h11.Request | None = None
            body = bytearray()
            size = 0
            while True:
                event = self._connection.next_event()
                if event is h11.NEED_DATA:
                    data = await self._receive()
                    if data and not is_counting:
                        is_counting = True
                        limit.reschedule(asyncio.get_running_loop().time() + self._request_seconds)
                elif isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data) and head is not None:
                    size += len(event.data)
                    if size <= MAX_BODY_BYTES:
                        body += event.data
                    if size > DRAINED_BYTES:  # the connection ends after the response
                        return self._request(head, None)
                elif isinstance(event, h11.EndOfMessage) and head is not None:
                    return self._request(head, bytes(body) if size <= MAX_BODY_BYTES else None)
                else:
                    return None

    async def _receive(self) -> bytes:
        if self._connection.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
            self._stream.write(self._connection.send(go_on) or b"")
        data = await self._stream.read()
        self.has_begun = self.has_begun or bool(data)
        self._connection.receive_data(data)
        return data

    def _request(self, head: h11.Request, body: bytes | None) -> Request:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        path, _, query = head.target.partition(b"?")
        return Request(head.method.decode(), path, headers, body, self._stream.peer, query)


def refuse_bytes(connection: h11.Connection, stream: Stream, status: int, text: str) -> None:
    """Send the client the reason why the connection ends, unless a response has begun."""
    if connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
        stream.write(encode(connection, Answer.of(status, "text/plain; charset=utf-8", text), closes=True))


def encode(
    connection: h11.Connection, answer: Answer, request: Request | None = None, *, closes: bool = False
) -> bytes:
    """Return the bytes of a response to the current request of a connection."""
    headers = list(answer.headers.items())
    if closes or connection.their_state is h11.SEND_BODY:  # the rest of the request's body is not read
        headers.append(("Connection", "close"))
    events: list[h11.Event] = [h11.Response(status_code=answer.status, headers=headers, reason=_reason(answer.status))]
    if answer.body and (request is None or request.method != "HEAD"):
        events.append(h11.Data(data=answer.body))
    return b"".join(connection.send(event) or b"" for event in [*events, h11.EndOfMessage()])


def encode_unasked(answer: Answer) -> bytes:
    """Return the bytes of a response that belongs to no request. h11 rejects such a response."""
    lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"


def length_of_head(response: bytes) -> int:
    """Return the number of bytes before the body."""
    return response.index(b"\r\n\r\n") + 4


def half(response: bytes) -> bytes:
    """Return the head and half of the body, or half of the head if there is no body."""
    head = length_of_head(response)
    return response[: head + (len(response) - head) // 2] if len(response) > head else response[: head // 2]
