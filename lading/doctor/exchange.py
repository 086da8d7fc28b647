"""One HTTP/1.1 request whose answer is heard while its body is still being sent.

HTTP libraries read an answer when the body is out. A proxy that refuses a body says so long before,
and one that keeps the body to itself is recognized only in the middle of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import h11

from lading.client.address import Address
from lading.client.errors import Unreachable, unreachable

MOST_BODY = 64 * 1024
"""Of an answer that is no file, more is not kept."""

CONTINUE, SWITCHED = 100, 101


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def from_server(self) -> bool:
        """Whether it is a refusal of Lading's, and not of a proxy."""
        return "problem+json" in self.headers.get("content-type", "")


class Exchange:
    """A connection for one request. As a context manager it is closed at the end."""

    def __init__(self, address: Address, trust: ssl.SSLContext | None, seconds: float) -> None:
        """It may take `seconds` to connect."""
        self._address = address
        self._parts = urlsplit(address.url)
        self._trust = trust
        self._seconds = seconds
        self._http = h11.Connection(h11.CLIENT)
        self._broken = False
        self._continued = asyncio.Event()

    async def __aenter__(self) -> Self:
        parts = self._parts
        try:
            async with asyncio.timeout(self._seconds):
                self._reader, self._writer = await asyncio.open_connection(
                    parts.hostname, parts.port or (443 if self._trust else 80), ssl=self._trust
                )
        except OSError as error:  # TimeoutError is one
            raise unreachable(self._address.url, error) from error
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.transport.abort()

    @property
    def over(self) -> bool:
        """Whether it makes no sense to send more: the answer is there, or the connection is not."""
        return self._broken or self._listening.done()

    async def begin(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Send the head of the request."""
        host = self._parts.netloc.rpartition("@")[2]
        fields = {"Host": host, "Connection": "close", **headers}
        self._write(
            h11.Request(method=method, target=self._parts.path + path, headers=[*fields.items()])
        )
        await self._drain()

    async def send(self, data: bytes) -> None:
        """Send a part of the body, or nothing where that is over."""
        if not self.over:
            self._write(h11.Data(data=data))
            await self._drain()

    async def admitted(self, seconds: float) -> bool:
        """Whether the body is asked for (100 Continue), or no answer came within `seconds`."""
        going_on = asyncio.create_task(self._continued.wait())
        try:
            await asyncio.wait(
                {going_on, self._listening}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            going_on.cancel()
        return not self._listening.done()

    async def wait_or_answer(self, other: asyncio.Task[float], seconds: float) -> None:
        """Wait for `other`, for an answer, or for so many seconds."""
        await asyncio.wait(
            {other, self._listening}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )

    async def answer(self, seconds: float) -> Answer:
        """The answer; raises Unreachable where none comes."""
        try:
            async with asyncio.timeout(seconds):
                found = await asyncio.shield(self._listening)
        except TimeoutError as error:
            raise Unreachable(f"There was no answer within {seconds:g} s.") from error
        if found is None:
            raise Unreachable("The connection was closed without an answer.")
        return found

    def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        assert data is not None
        self._writer.write(data)

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            self._broken = True  # the answer may have come before

    async def _listen(self) -> Answer | None:
        status, headers, body = 0, dict[str, str](), bytearray()
        with suppress(OSError, h11.RemoteProtocolError):
            while True:
                match self._http.next_event():
                    case h11.NEED_DATA:
                        self._http.receive_data(await self._reader.read(65536))
                    case h11.InformationalResponse(status_code=code) as event:
                        if code == SWITCHED:
                            return Answer(code, _named(event.headers))
                        if code == CONTINUE:
                            self._continued.set()
                    case h11.Response(status_code=status) as event:
                        headers = _named(event.headers)
                    case h11.Data(data=data):
                        body += data[: MOST_BODY - len(body)]
                    case _:
                        break
        return Answer(status, headers, bytes(body)) if status else None


def _named(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
