"""Raw-socket servers that break HTTP and TLS on purpose, and a ledger that counts what the server really did.

The code shares nothing with the client under test and uses no HTTP library: every byte on the wire is chosen here.
TLS runs through `ssl.MemoryBIO`. A test can therefore decide which bytes share a TLS record or a TCP segment.
"""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from payex_billing import AsyncBilling, Billing

Result = TypeVar("Result")
OWNER = "1234"
CUSTOMERS = f"/billing/customer/v1/{OWNER}/customers"

# requests and responses as bytes


@dataclass(frozen=True)
class Request:
    """One request as the server read it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def segments(self) -> list[str]:
        """The parts of the path after `customers`: the customer number, then names and ids."""
        return [part for part in self.target.partition("?")[0].removeprefix(CUSTOMERS).split("/") if part]

    @property
    def customer_no(self) -> str:
        return self.segments[0] if self.segments else str(self.json.get("customerNo", ""))


def head(status: int, *headers: str, reason: str = "Reason") -> bytes:
    """The status line and the headers of a response, up to and including the empty line."""
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *headers, "", ""]).encode("latin-1")


def response(
    status: int, body: Any = None, *headers: str, kind: str = "application/json", length: int | None = None
) -> bytes:
    """A whole response with a Content-Length. A test can set a wrong one with `length`."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    size = len(data) if length is None else length
    lines = [f"Content-Type: {kind}"] if data else []
    if status not in {204, 304} or length is not None:
        lines.append(f"Content-Length: {size}")
    return head(status, *lines, *headers) + data


def chunked(status: int, body: Any, *headers: str, sizes: int = 64, trailers: bytes = b"", end: bool = True) -> bytes:
    """A whole response in chunks of `sizes` bytes. With `end=False`, the last chunk is missing."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = [data[start : start + sizes] for start in range(0, len(data), sizes)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    lines = ["Content-Type: application/json", "Transfer-Encoding: chunked", *headers]
    return head(status, *lines) + framed + (b"0\r\n" + trailers + b"\r\n" if end else b"")


def problem(status: int, code: str, *headers: str, title: str = "Title", **members: Any) -> bytes:
    """A whole response with a problem body, as the API sends it."""
    body = {"type": f"billing/customer/problems/{code}", "title": title, "status": status, **members}
    return response(status, body, *headers, kind="application/problem+json")


def customer_body(customer_no: str, **extra: Any) -> dict[str, Any]:
    uri = f"{CUSTOMERS}/{customer_no}"
    return {
        "@id": uri,
        "customerNo": customer_no,
        "recurringProducts": f"{uri}/recurring-products",
        "subscriptions": f"{uri}/subscriptions",
        "operations": None,
        **extra,
    }


def subscription_body(customer_no: str, subscription_no: str) -> dict[str, Any]:
    uri = f"{CUSTOMERS}/{customer_no}/subscriptions/{subscription_no}"
    return {
        "@id": uri,
        "subscriptionNo": subscription_no,
        "recurringProducts": f"{uri}/recurring-products",
        "operations": None,
    }


def charge_body(collection: str, charge_id: str, sent: dict[str, Any]) -> dict[str, Any]:
    """A charge as the API returns it: the sent values, and the master product's values for the rest."""
    values = {"quantity": 1, "unitPrice": 499.0, "vatRate": 25.0, "text": "x", "startDate": "2026-01-01"}
    known = {name: value for name, value in sent.items() if value is not None}
    identity = {"@id": f"{collection}/{charge_id}", "recurringProductId": charge_id, "operations": None}
    return {**values, "endDate": None, **known, **identity}


# the ledger: how a correct server behaves


class Ledger:
    """What the server really did: customers, charges, and how often each product code was posted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self.charges: dict[str, dict[str, dict[str, Any]]] = {}  # by collection, then id
        self.posts: Counter[str] = Counter()  # by product code; each POST that was read in full adds 1 charge
        self.requests: list[Request] = []

    def perform(self, request: Request) -> bytes:
        """Do what the request says and return the correct response."""
        with self._lock:
            self.requests.append(request)
            return self._perform(request)

    def _perform(self, request: Request) -> bytes:
        parts = request.segments
        method = request.method
        if not parts:
            return response(201, customer_body(request.customer_no))
        if "recurring-products" in parts:
            return self._charges(request, parts)
        if len(parts) == 1:
            return response(200, customer_body(parts[0]))
        if len(parts) == 2:
            if method == "POST":
                return response(201, subscription_body(parts[0], request.json["subscriptionNo"]))
            uri = f"{CUSTOMERS}/{parts[0]}/subscriptions"
            return response(200, {"items": [], "navigation": {"@id": uri}})
        return response(204) if method == "DELETE" else response(200, subscription_body(parts[0], parts[2]))

    def _charges(self, request: Request, parts: list[str]) -> bytes:
        place = parts.index("recurring-products")
        collection = CUSTOMERS + "/" + "/".join(parts[: place + 1])
        held = self.charges.setdefault(collection, {})
        rest = parts[place + 1 :]
        if request.method == "POST":
            self._next += 1
            sent = request.json
            self.posts[sent["productCode"]] += 1
            charge_id = f"id-{self._next}"
            held[charge_id] = charge_body(collection, charge_id, sent)
            return response(201, held[charge_id])
        if not rest:
            return response(200, {"items": list(held.values()), "navigation": {"@id": collection}})
        if request.method == "DELETE":
            held.pop(rest[0], None)
            return response(204)
        found = held.get(rest[0], charge_body(collection, rest[0], {"productCode": "P01"}))
        return response(200, {**found, **(request.json if request.method == "PATCH" else {})})

    def ids(self, product_code: str) -> list[str]:
        """The ids of the charges of a product code."""
        with self._lock:
            return [
                charge_id
                for held in self.charges.values()
                for charge_id, charge in held.items()
                if charge["productCode"] == product_code
            ]


# connections and servers


class Gone(Exception):
    """The client closed the connection, or the server must stop."""


class Connection:
    """One accepted blocking connection, plain or TLS. The test controls TLS records and TCP segments."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext | None, stop: threading.Event, number: int) -> None:
        self.raw = raw
        self.stop = stop
        self.number = number
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
            self._until_done(self._tls.do_handshake)

    def _until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._receive()
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                with suppress(Gone):
                    self._flush()  # the alert that OpenSSL wrote
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self.send_raw(data)

    def _receive(self) -> bytes:
        try:
            return self.raw.recv(65536)
        except OSError as error:
            raise Gone from error

    def send_raw(self, data: bytes) -> None:
        """Send bytes below TLS."""
        try:
            self.raw.sendall(data)
        except OSError as error:
            raise Gone from error

    def read(self) -> bytes:
        """Return the next bytes, or no bytes at the end of the stream."""
        if self._tls is None:
            return self._receive()
        tls = self._tls
        try:
            return bytes(self._until_done(lambda: tls.read(65536)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def read_head(self) -> bytes:
        """Return the bytes up to the empty line; no bytes if the client closed the connection earlier."""
        while b"\r\n\r\n" not in self._buffer:
            data = self.read()
            if not data:
                return b""
            self._buffer += data
        start, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return start

    def read_request(self) -> Request | None:
        """Return the next complete request, or None if no request comes."""
        start = self.read_head()
        if not start:
            return None
        lines = start.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._read_chunks()
        else:
            body = self._read_exactly(int(headers.get("content-length", 0)))
        return Request(method, target, headers, body)

    def _read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self.read()
            if not data:
                raise Gone
            self._buffer += data
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return body

    def _read_chunks(self) -> bytes:
        body = b""
        while True:
            line = b""
            while not line.endswith(b"\r\n"):
                line += self._read_exactly(1)
            size = int(line, 16)
            body += self._read_exactly(size)
            self._read_exactly(2)
            if not size:
                return body

    def send(self, *records: bytes) -> None:
        """Send all bytes in one segment. On TLS, each argument becomes a record of its own (at most 16 KB)."""
        if self._tls is None:
            self.send_raw(b"".join(records))
            return
        for record in records:
            for start in range(0, len(record), 16384):
                self._tls.write(record[start : start + 16384])
        self._flush()

    def drip(self, parts: Iterable[bytes], every: float = 0.05) -> None:
        """Send the parts one by one until they end, the client closes the connection or the server stops."""
        for part in parts:
            self.send(part)
            if self.stop.wait(every):
                raise Gone

    def hold(self) -> None:
        """Keep the connection open and send nothing until the client closes it or the server stops."""
        with suppress(Gone, ssl.SSLError):
            while not self.stop.is_set() and self.read():
                pass

    def close(self, *, notify: bool = False) -> None:
        """Send FIN. With `notify`, send the close_notify of TLS before it."""
        if notify and self._tls is not None:
            with suppress(ssl.SSLError, Gone):
                self._tls.unwrap()
            with suppress(Gone):
                self._flush()
        with suppress(OSError):
            self.raw.shutdown(socket.SHUT_RDWR)
        self.raw.close()

    def reset(self) -> None:
        """Close the connection with RST."""
        with suppress(OSError):
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.close()


def alert(description: int) -> bytes:
    """A fatal TLS alert in clear text. A server sends such an alert after the client's first message."""
    return bytes([21, 3, 3, 0, 2, 2, description])


class HostileServer:
    """A server that runs `handle` on a separate thread for each connection.

    All threads and connections end when the `with` block ends.
    """

    def __init__(
        self,
        handle: Callable[[Connection], None],
        tls: ssl.SSLContext | None = None,
        *,
        before: Callable[[socket.socket, int], bool] | None = None,
    ) -> None:
        self._handle = handle
        self._tls = tls
        self._before = before  # gets the socket before TLS; it returns True if `handle` must not run
        self.stop = threading.Event()
        self.accepted = 0
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listening.getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, name="hostile-accept", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop.set()
        with suppress(OSError):  # close() does not wake a blocked accept(); a new connection does
            socket.create_connection(("127.0.0.1", self.port), timeout=60).close()
        self._acceptor.join()
        self._listening.close()
        self.abort()
        for thread in self._threads:
            thread.join()
        for raw in self._sockets:
            raw.close()
        if self.errors and error is None:
            raise self.errors[0]

    def abort(self) -> None:
        """Close every connection and make every handler end."""
        self.stop.set()
        for raw in list(self._sockets):
            with suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            raw, _ = self._listening.accept()
            if self.stop.is_set():
                raw.close()
                return
            number, self.accepted = self.accepted, self.accepted + 1
            self._sockets.append(raw)
            thread = threading.Thread(target=self._serve, args=(raw, number), name="hostile", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket, number: int) -> None:
        try:
            if self._before is not None and self._before(raw, number):
                return
            connection = Connection(raw, self._tls, self.stop, number)
            self._handle(connection)
            connection.close()
        except ssl.SSLError:
            # OpenSSL has already written its alert. If the server closes the socket while it has unread bytes from the
            # client, the kernel sends RST. The RST can make the client lose the alert. Therefore the server first reads
            # the remaining bytes.
            with suppress(OSError):
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            raw.close()
        except (Gone, OSError):
            raw.close()
        except BaseException as error:
            self.errors.append(error)
            raw.close()


def refuse_with_alert(description: int) -> Callable[[socket.socket], None]:
    """Return a function that reads the client's first TLS message and rejects it with an alert."""

    def refuse(raw: socket.socket) -> None:
        with suppress(OSError):
            raw.recv(65536)
            raw.sendall(alert(description))
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        raw.close()

    return refuse


# certificates


@dataclass(frozen=True)
class Pki:
    """A temporary certificate authority, a server certificate for 127.0.0.1 and a client certificate."""

    ca_file: Path
    server_pem: Path
    client_pem: Path

    @classmethod
    def make(cls, folder: Path) -> Pki:
        ca_key, ca = _certificate("Hostile CA")
        paths = cls(folder / "ca.pem", folder / "server.pem", folder / "client.pem")
        paths.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        for path, name in ((paths.server_pem, "127.0.0.1"), (paths.client_pem, "client")):
            key, certificate = _certificate(name, ca, ca_key)
            path.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                + certificate.public_bytes(serialization.Encoding.PEM)
            )
        return paths

    def context(self, *, client_needed: bool = False) -> ssl.SSLContext:
        """The TLS context of the server. With `client_needed`, the server requires a client certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_pem)
        if client_needed:
            context.load_verify_locations(self.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _certificate(
    name: str, ca: x509.Certificate | None = None, ca_key: ec.EllipticCurvePrivateKey | None = None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signer = ca_key or key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if ca is not None:
        address = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(address), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    else:
        certain = {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
        others = (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        )
        builder = builder.add_extension(x509.KeyUsage(**certain, **dict.fromkeys(others, False)), critical=True)
    return key, builder.sign(signer, hashes.SHA256())


# the four clients: two transports, each with a blocking and an asynchronous facade


class Kind(NamedTuple):
    """One of the four clients: the name of its transport and the name of its facade."""

    engine: str
    facade: str

    def __str__(self) -> str:
        return f"{self.engine}-{self.facade}"


FOUR = [Kind(engine, facade) for engine in ("httpx", "reqwest") for facade in ("sync", "async")]


@asynccontextmanager
async def opened(kind: Kind, url: str, **options: Any) -> AsyncIterator[Any]:
    """Open a client of this kind. A test passes the calls of both facades through `done`."""
    arguments = {"token": "t", "owner_no": OWNER, "base_url": url, "engine": kind.engine, **options}
    if kind.facade == "sync":
        with Billing(**arguments) as billing:
            yield billing
    else:
        async with AsyncBilling(**arguments) as billing:
            yield billing


async def done(value: Any) -> Any:
    """Return the result of a call, blocking or asynchronous."""
    return await value if inspect.isawaitable(value) else value


async def collected(values: Any) -> list[Any]:
    """Return the elements that a list call yields, blocking or asynchronous."""
    return [value async for value in values] if hasattr(values, "__aiter__") else list(values)


async def outcome(value: Callable[[], Any]) -> Any:
    """Return the result of a call, or the exception that it raised.

    Only subclasses of Exception are caught, so that a KeyboardInterrupt or a cancellation still ends the test.
    """
    try:
        return await done(value())
    except Exception as error:
        return error


async def pause(kind: Kind, seconds: float) -> None:
    """Pause while the client is idle. The network and the event loop, if there is one, continue."""
    if kind.facade == "sync":
        time.sleep(seconds)  # noqa: ASYNC251  # the blocking client runs without an event loop
    else:
        await asyncio.sleep(seconds)


def run(kind: Kind, scenario: Coroutine[Any, Any, Result]) -> Result:
    """Run a scenario. The asynchronous facade gets an event loop; the blocking facade gets none."""
    if kind.facade == "async":
        return asyncio.run(scenario)
    try:
        scenario.send(None)
    except StopIteration as ended:
        return cast("Result", ended.value)
    scenario.close()
    raise AssertionError("the scenario of a blocking client waited for an event loop")


def name_of(result: Any) -> str:
    """The class name of a result, for failure messages."""
    return type(result).__name__


@dataclass
class Watchdog:
    """Stop a server when a call runs far longer than its limits. The test then fails and does not hang."""

    server: HostileServer
    seconds: float
    fired: bool = False
    _timer: threading.Timer = field(init=False)

    def __enter__(self) -> Self:
        self._timer = threading.Timer(self.seconds, self._fire)
        self._timer.daemon = True
        self._timer.start()
        return self

    def _fire(self) -> None:
        self.fired = True
        self.server.abort()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()


def pieces(data: bytes, size: int = 1) -> Sequence[bytes]:
    """Split the bytes into pieces of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]
