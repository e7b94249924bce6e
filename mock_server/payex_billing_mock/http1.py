"""HTTP/1.1 on one connection of the mock: reads requests within a time limit, and encodes responses."""

from __future__ import annotations

import time
from http import HTTPStatus

import h11

from .messages import DRAINED_BYTES, MAX_BODY_BYTES, Answer, Request
from .streams import Stream


class Conversation:
    """The requests and responses of one connection.

    Args:
        stream: the connection.
        peer: the IP address of the client.
        request_seconds: the longest time for one request from its first byte to its last; for the first request, from
            the start of the connection.
        idle_seconds: the longest time between two requests.
    """

    def __init__(self, stream: Stream, peer: str, request_seconds: float, idle_seconds: float) -> None:
        self._h11 = h11.Connection(h11.SERVER)
        self._stream = stream
        self._peer = peer
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._is_first = True
        self._has_begun = False

    def next_request(self) -> Request | None:
        """Return the next request, or None if there is none; then the connection has to end.

        A client whose request is not HTTP/1.1, or is not complete in time, gets the reason as a response.
        """
        if not self._is_first:
            if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
                return None
            self._h11.start_next_cycle()
        try:
            return self._read()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, "The mock cannot read this request.")
        except TimeoutError:
            if self._has_begun:
                self._refuse(408, f"The request was not complete after {self._request_seconds:g} seconds.")
        return None

    def encode(self, answer: Answer, request: Request) -> bytes:
        """Return the bytes of a response to the current request."""
        headers = list(answer.headers.items())
        if self._h11.their_state is h11.SEND_BODY:  # the rest of the request's body is not read
            headers.append(("Connection", "close"))
        reason = _reason(answer.status)
        events: list[h11.Event] = [h11.Response(status_code=answer.status, headers=headers, reason=reason)]
        if answer.body and request.method != "HEAD":
            events.append(h11.Data(data=answer.body))
        return b"".join(self._h11.send(event) or b"" for event in [*events, h11.EndOfMessage()])

    def break_off(self) -> None:
        """End the conversation without a complete response."""
        self._h11.send_failed()

    def _read(self) -> Request | None:
        self._has_begun = bool(self._h11.trailing_data[0])
        if not self._is_first and not self._has_begun:
            self._receive(time.monotonic() + self._idle_seconds)
        self._is_first = False
        deadline = time.monotonic() + self._request_seconds
        head: h11.Request | None = None
        body = bytearray()
        size = 0
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                self._receive(deadline)
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

    def _receive(self, deadline: float) -> None:
        if self._h11.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
            self._stream.write(self._h11.send(go_on) or b"")
        data = self._stream.read(deadline)
        self._has_begun = self._has_begun or bool(data)
        self._h11.receive_data(data)

    def _request(self, head: h11.Request, body: bytes | None) -> Request:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        path, _, query = head.target.partition(b"?")
        return Request(head.method.decode(), path, headers, body, self._peer, query)

    def _refuse(self, status: int, text: str) -> None:
        """Send the client the reason why the connection ends, unless a response has begun."""
        if self._h11.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            answer = Answer.of(status, "text/plain; charset=utf-8", text, {"Connection": "close"})
            self._stream.write(encode_unasked(answer))


def encode_unasked(answer: Answer) -> bytes:
    """Return the bytes of a response that belongs to no request. h11 would reject it."""
    lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body


def length_of_head(response: bytes) -> int:
    """Return the number of bytes before the body."""
    return response.index(b"\r\n\r\n") + 4


def half(response: bytes) -> bytes:
    """Return the head and half of the body, or half of the head if there is no body."""
    head = length_of_head(response)
    return response[: head + (len(response) - head) // 2] if len(response) > head else response[: head // 2]


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
