"""A network between client and server that a test can cut or damage, and an HTTP proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress

BLOCK = 64 * 1024


class Network:
    """Forwards connections to `port`.

    Each connection is cut after the next number of `cuts`, counted in bytes of its client (or of
    its server, for `deaf` ones); when they run out, connections live. `damage` may change bytes of
    the client on their way, `damage_back` those of the server.
    """

    def __init__(self, port: int, cuts: Iterable[int] = (), deaf: Iterable[int] = ()) -> None:
        self.cuts: Iterator[int] = iter(cuts)
        self.deaf: Iterator[int] = iter(deaf)
        self.damage: Callable[[bytes], bytes] = bytes
        self.damage_back: Callable[[bytes], bytes] = bytes
        self.cut_count = 0
        self.port = 0
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def run(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

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
        up = self._forward(reader, back, next(self.cuts, None), self._damaged)
        down = self._forward(there, writer, next(self.deaf, None), self._damaged_back)
        try:
            with suppress(OSError):
                await asyncio.gather(up, down)
        finally:
            for each in pair & self._open:
                each.transport.abort()
            self._open -= pair
            self._tasks.discard(task)

    # Looked up for each block, so that a test may change them while a connection lives.
    def _damaged(self, data: bytes) -> bytes:
        return self.damage(data)

    def _damaged_back(self, data: bytes) -> bytes:
        return self.damage_back(data)

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


class Proxy:
    """An HTTP proxy that sends every request to `port`, whatever host it names.

    With `forbids_connect` it tunnels nothing, as proxies that inspect all traffic do.
    """

    def __init__(self, port: int) -> None:
        self.methods: list[str] = []
        self.forbids_connect = False
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
        if method == b"CONNECT" and self.forbids_connect:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = b"/" + address.split(b"/", 3)[3]
            fields = head.split(b"\r\n", 1)[1]
            back.write(b"%b %b %b\r\nConnection: close\r\n%b" % (method, path, version, fields))
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
