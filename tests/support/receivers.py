"""A receiver of webhooks: what came, and what it answers; and how the reference library judges."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks.webhooks
from standardwebhooks import Webhook

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def status(code: int, *headers: str) -> bytes:
    """An answer without a body."""
    lines = (f"HTTP/1.1 {code} Answer", "Content-Length: 0", *headers)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def event(self) -> str:
        return str(self.content["type"])

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer = bytes | None
"""None is no answer at all."""


@dataclass
class Receiver:
    """Listens on the loopback; `answer` says what each request gets."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Got], Answer | Awaitable[Answer]] = lambda _got: OK
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a sender closed a connection that got no answer, or an endless one."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request = Got(head[0].split()[1], headers, body)
            answer = self.answer(request)
            if isinstance(answer, Awaitable):
                answer = await answer
            self.got.append(request)
            if answer is None:
                await reader.read()
                self.closed.set()
            elif answer.endswith(b"..."):
                while not writer.is_closing():  # an endless body
                    writer.write(answer)
                    await writer.drain()
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed.set()
        finally:
            writer.close()


@asynccontextmanager
async def receiving(
    answer: Callable[[Got], Answer] | None = None, certificate: Path | None = None
) -> AsyncIterator[Receiver]:
    """A receiver while the context is open; with a certificate, by TLS."""
    receiver, context = Receiver(), None
    if answer is not None:
        receiver.answer = answer
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


def verify(secret: str, got: Got, now: float, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the reference library reads from a request that came at `now`; raises if it is forged.

    The library looks at the system's clock, and refuses what is five minutes from it.
    """

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Then:
            return cls.fromtimestamp(now, tz or UTC)

    with monkeypatch.context() as patch:
        patch.setattr(standardwebhooks.webhooks, "datetime", Then)
        return Webhook(secret).verify(got.body, got.headers)
