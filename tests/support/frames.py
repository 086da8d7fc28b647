"""WebSocket frames by hand, for what no client library would send. Source: RFC 6455."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgpack

from tests.support.servers import Running
from tests.support.wire import HELLO, WELCOME

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

SHAKE = (
    "GET /v1/ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Protocol: lading.v1\r\n\r\n"
)


def frame(
    opcode: int,
    data: bytes = b"",
    *,
    fin: bool = True,
    compressed: bool = False,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """One frame of a client (section 5.2); `length` may promise more than there is. The mask is
    zero, so that the bytes are as they are."""
    first = fin << 7 | compressed << 6 | opcode
    size = len(data) if length is None else length
    mask = masked << 7
    if size < 126:
        head = struct.pack(">BB", first, mask | size)
    elif size < 2**16:
        head = struct.pack(">BBH", first, mask | 126, size)
    else:
        head = struct.pack(">BBQ", first, mask | 127, size)
    return head + bytes(4 * masked) + data


class Raw:
    """A connection of frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        """Put bytes on the wire as they are."""
        self.writer.write(data)

    def send(self, *items: Any) -> None:
        """Send one message."""
        self.write(frame(BINARY, msgpack.packb(items)))

    async def read(self) -> tuple[int, bytes]:
        """The opcode and the data of the next frame."""
        first, size = struct.unpack(">BB", await self._reader.readexactly(2))
        if size == 126:
            (size,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self._reader.readexactly(8))
        return first & 0xF, await self._reader.readexactly(size)

    async def message(self) -> list[Any]:
        """The next message."""
        opcode, data = await self.read()
        assert opcode == BINARY, (opcode, data)
        found: list[Any] = msgpack.unpackb(data)
        return found

    async def closing(self) -> int:
        """The code of the close; whatever comes before it is passed over."""
        while True:
            opcode, data = await self.read()
            if opcode == CLOSE:
                (code,) = struct.unpack(">H", data[:2])
                return int(code)

    def abort(self) -> None:
        """Pull the cable."""
        self.writer.transport.abort()


@asynccontextmanager
async def raw(server: Running, *, hello: bool = True, narrow: bool = False) -> AsyncIterator[Raw]:
    """A connection after the handshake, and after WELCOME unless told otherwise; a narrow one
    takes little before somebody reads it."""
    plain = socket.socket()
    if narrow:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=4096 if narrow else 2**16)
    found = Raw(reader, writer)
    try:
        found.write(SHAKE.format(host=f"127.0.0.1:{server.port}").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        if hello:
            found.send(HELLO, {"token": server.token})
            assert (await found.message())[0] == WELCOME
        yield found
    finally:
        found.abort()
        with suppress(OSError):
            await writer.wait_closed()
