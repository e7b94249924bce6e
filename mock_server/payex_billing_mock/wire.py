"""Serves the mock with full control of the connection: a fault can cut, stall or reset a connection.

Granian is faster, but no ASGI server lets an application control the connection. So the mock uses this server when
requests may meet faults. Each connection has a thread of its own.
"""

from __future__ import annotations

import math
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable

import h11

from .app import MockApp
from .faults import Fault, Faults
from .http1 import Conversation, encode_unasked, half, length_of_head
from .messages import Answer, Events, Request
from .misfortune import carry_out, stale_response
from .streams import Stream, Tls, listen

Pages = Callable[[Request], Answer | Events | None]
"""Returns the response to a request for something beside the API; None for a request with another path."""
IDLE_SECONDS = 300.0
EVENT_SECONDS, EVENT_SHARE = 0.2, 10
"""The shortest time between two server-sent events, and how many times as long as the making of an event it is."""


class _Cut(Exception):
    """The connection ends immediately."""


class WireServer:
    """Serves one application with faults.

    Args:
        app: the mock.
        faults: the faults that requests meet.
        tls: the certificates; None means plain HTTP.
        request_seconds: the longest time for a TLS handshake, and for one request from its first byte to its last
            (for the first request: from the start of the connection). Then the mock ends the connection.
        idle_seconds: the longest time between two requests of one connection, and for a client to receive a response.
            The default is much longer than common clients keep idle connections, so the mock rarely ends one first.

    Attributes:
        pages: what the mock serves beside the API.
        connections: the connections whose client has not left.
        most_connections: the largest number of connections at one time.
        accepted: the number of accepted connections.
    """

    def __init__(
        self, app: MockApp, faults: Faults, tls: Tls | None, request_seconds: float, idle_seconds: float
    ) -> None:
        self._app = app
        self._faults = faults
        self._tls = tls
        self.pages: list[Pages] = []
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._stopping = threading.Event()
        self._timers: list[threading.Timer] = []
        self._threads: dict[threading.Thread, Stream] = {}
        self.connections: set[Stream] = set()
        self.most_connections = 0
        self.accepted = 0

    def start(self, host: str, port: int) -> int:
        """Serve in separate threads. Return the port.

        Raises:
            OSError: the port is taken, or a certificate cannot be read.
        """
        self._context = self._tls.context() if self._tls is not None else None
        self._listening = listen(host, port)
        self._wakes, self._wake = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="mock-accept", daemon=True)
        self._acceptor.start()
        bound: int = self._listening.getsockname()[1]
        return bound

    def stop(self) -> None:
        """End all connections, and carry out all pending late writes."""
        self._stopping.set()
        self._wake.close()
        self._acceptor.join()
        for thread, stream in list(self._threads.items()):
            stream.hang_up()
            thread.join()
        for timer in self._timers:
            timer.cancel()
            timer.join()
        self._faults.late_writes.carry_out(math.inf)

    def _accept(self) -> None:
        """Serve each connection in a thread, until `stop` is called and no connection waits to be accepted."""
        with self._listening, self._wakes, selectors.DefaultSelector() as selector:
            for each in (self._listening, self._wakes):
                selector.register(each, selectors.EVENT_READ)
            while self._listening in [key.fileobj for key, _ in selector.select()]:
                connected, address = self._listening.accept()
                self._start_to_serve(connected, str(address[0]))

    def _start_to_serve(self, connected: socket.socket, peer: str) -> None:
        try:
            stream = Stream(connected, self._context, self._idle_seconds)
        except OSError:  # the client has left
            connected.close()
            return
        thread = threading.Thread(target=self._serve, args=(stream, peer), daemon=True)
        self._threads[thread] = stream
        self.connections.add(stream)
        self.accepted += 1
        self.most_connections = max(self.most_connections, len(self.connections))
        thread.start()

    def _serve(self, stream: Stream, peer: str) -> None:
        try:
            try:
                stream.open(time.monotonic() + self._request_seconds)
                conversation = Conversation(stream, peer, self._request_seconds, self._idle_seconds)
                while (request := conversation.next_request()) is not None and not self._stopping.is_set():
                    self._answer(conversation, stream, request)
            except ssl.SSLError:
                pass  # the client has its alert; it must have the time to read it
            stream.finish()
        except (_Cut, OSError, h11.ProtocolError):
            stream.close()
        finally:
            self.connections.discard(stream)
            self._threads.pop(threading.current_thread(), None)

    def _answer(self, conversation: Conversation, stream: Stream, request: Request) -> None:
        for pages in self.pages:
            page = pages(request)
            if isinstance(page, Events):
                self._send_events(page, conversation, stream)
                return
            if page is not None:
                stream.write(conversation.encode(page, request))
                return
        fault = self._faults.take(request.method)
        if fault is None:
            stream.write(conversation.encode(self._app.handle_and_note(request), request))
        else:
            self._answer_with_fault(fault, conversation, stream, request)

    def _send_events(self, events: Events, conversation: Conversation, stream: Stream) -> None:
        """Send events until the client leaves or the mock stops.

        Between two events the thread of the connection sleeps in `recv`, so it notices at once when either happens.
        """
        conversation.break_off()  # the response has no length, so it ends with the connection
        headers = {**events.headers, "Content-Type": "text/event-stream", "Connection": "close"}
        stream.write(encode_unasked(Answer(200, headers, b"")))
        has_left = False
        while not has_left and not self._stopping.is_set():
            started = time.monotonic()
            data = events.next()
            if data is not None:
                stream.write(f"data: {data}\n\n".encode())
            now = time.monotonic()
            pause = max(EVENT_SECONDS, EVENT_SHARE * (now - started))
            has_left = stream.wait_for_client_to_leave(now + pause, self._stopping)

    def _answer_with_fault(self, fault: Fault, conversation: Conversation, stream: Stream, request: Request) -> None:
        if fault.kind == "latency":
            self._pause(fault.seconds, stream)
        answer = carry_out(self._app, self._faults, fault, request, is_lost=fault.cuts)
        if fault.is_late:
            self._carry_out_after(fault.seconds)
        ending = fault.ending or fault.kind
        if ending in {"reset-before", "reset-after", "reset"}:
            stream.reset()
            raise _Cut
        if answer is None or ending in {"lose-answer", "close"}:
            conversation.break_off()
            return
        response = conversation.encode(answer, request)
        match ending:
            case "truncate" | "stall":
                stream.write(half(response))
                stream.wait_for_client_to_leave(time.monotonic() + fault.seconds, self._stopping)
                conversation.break_off()
            case "drip":
                self._drip(stream, response, fault.seconds)
            case "stale-response":
                stream.write(response + encode_unasked(stale_response(self._app, fault, request)))
            case _:
                stream.write(response)

    def _pause(self, seconds: float, stream: Stream) -> None:
        """Wait for the full time, even if the client leaves. A real server also completes such a request."""
        ends = time.monotonic() + seconds
        if stream.wait_for_client_to_leave(ends, self._stopping):
            self.connections.discard(stream)
        if self._stopping.wait(ends - time.monotonic()):
            raise _Cut

    def _drip(self, stream: Stream, response: bytes, seconds: float) -> None:
        """Send the head one byte at a time, spread over `seconds`, and then the body. Stop if the client leaves."""
        head = length_of_head(response)
        started = time.monotonic()
        for sent in range(1, head + 1):
            stream.write(response[sent - 1 : sent])
            if stream.wait_for_client_to_leave(started + seconds * sent / head, self._stopping):
                raise _Cut
        stream.write(response[head:])

    def _carry_out_after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._faults.late_writes.carry_out_due)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()
