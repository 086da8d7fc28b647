"""A network between client and server that a test can cut or damage, and an HTTP proxy."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BLOCK = 64 * 1024


class Listener(ABC):
    """Accepts connections on a port of its own, for the `port` behind it."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def run(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    @abstractmethod
    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...


class Network(Listener):
    """Forwards connections to `port`.

    Each connection is cut after the next number of `cuts`, counted in bytes of its client (or of
    its server, for `deaf` ones); when they run out, connections live. `damage` may change bytes of
    the client on their way, `damage_back` those of the server. A connection that became a WebSocket
    carries `swallow_after` bytes of its client, and then nothing: in either direction, or with
    `answers` still what the server says.
    """

    def __init__(self, port: int, cuts: Iterable[int] = (), deaf: Iterable[int] = ()) -> None:
        super().__init__(port)
        self.cuts: Iterator[int] = iter(cuts)
        self.deaf: Iterator[int] = iter(deaf)
        self.damage: Callable[[bytes], bytes] = bytes
        self.damage_back: Callable[[bytes], bytes] = bytes
        self.swallow_after: int | None = None
        self.answers = False
        self.cut_count = 0
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """End all connections now, without a word to either side."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def settle(self) -> None:
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back}
        self._open |= pair
        wire = _Wire(self)
        up = self._forward(reader, back, next(self.cuts, None), wire.up)
        down = self._forward(there, writer, next(self.deaf, None), wire.down)
        try:
            with suppress(OSError):
                await asyncio.gather(up, down)
        finally:
            for each in pair & self._open:
                each.transport.abort()
            self._open -= pair
            self._tasks.discard(task)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: int | None,
        change: Callable[[bytes], bytes],
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(BLOCK):
                if left is not None and len(data) >= left:
                    writer.write(data[:left])
                    await writer.drain()
                    self.cut_count += 1
                    break
                left = None if left is None else left - len(data)
                writer.write(change(data))
                await writer.drain()
            else:
                if writer.can_write_eof():
                    writer.write_eof()
                return
        raise ConnectionAbortedError


class _Wire:
    """What becomes of the bytes of one connection.

    The network's settings are looked up for each block, so that a test may change them while a
    connection lives.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._upgraded = False
        self._carried = 0

    @property
    def _over(self) -> int:
        """How many bytes of the client were more than the network carries."""
        most = self._network.swallow_after
        return 0 if most is None else max(0, self._carried - most)

    def up(self, data: bytes) -> bytes:
        self._carried += len(data) if self._upgraded else 0
        return self._network.damage(data[: max(0, len(data) - self._over)])

    def down(self, data: bytes) -> bytes:
        if self._over and not self._network.answers:
            return b""
        self._upgraded = self._upgraded or data.startswith(b"HTTP/1.1 101 ")
        return self._network.damage_back(data)


@asynccontextmanager
async def network(
    port: int, cuts: Iterable[int] = (), deaf: Iterable[int] = ()
) -> AsyncIterator[Network]:
    """A network to `port` while the context is open."""
    between = Network(port, cuts, deaf)
    server = await between.run()
    try:
        yield between
    finally:
        server.close()
        await between.settle()


class Proxy(Listener):
    """An HTTP proxy that sends every request to `port`, whatever host it names.

    With `forbids_connect` it tunnels nothing, as proxies that inspect all traffic do. With
    `wants_password` it carries nothing without one. With `buffers` it passes no WebSocket, and a
    body only when it has all of it.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.methods: list[str] = []
        self.forbids_connect = False
        self.wants_password = False
        self.buffers = False

    async def settle(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, EOFError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, address, version = head.split(b"\r\n", 1)[0].split(b" ")
        self.methods.append(method.decode())
        if self.wants_password and b"proxy-authorization:" not in head.lower():
            asks = b'Proxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n'
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n" + asks)
            await writer.drain()
            return
        if method == b"CONNECT" and self.forbids_connect:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        body = b""
        if self.buffers:
            head = head.replace(b"Upgrade: websocket\r\n", b"")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = address if address.startswith(b"/") else b"/" + address.split(b"/", 3)[3]
            fields = head.split(b"\r\n", 1)[1]
            back.write(b"%b %b %b\r\nConnection: close\r\n%b" % (method, path, version, fields))
            back.write(body)
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def proxying(port: int) -> AsyncIterator[Proxy]:
    """An HTTP proxy before `port` while the context is open."""
    proxy = Proxy(port)
    server = await proxy.run()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.settle()


def certificate(directory: Path, *names: str, days: int = 1) -> Path:
    """A self-signed certificate for 127.0.0.1 and `names`, good for so long, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    hosts = [host, *map(x509.DNSName, names)]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@asynccontextmanager
async def fronting(
    port: int, host: str = "127.0.0.1", certificate: Path | None = None
) -> AsyncIterator[int]:
    """Another way to `port`: on another address, or by TLS. Gives its own port."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            with suppress(OSError):
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.transport.abort()
            writer.transport.abort()
            tasks.discard(task)

    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(accept, host, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
