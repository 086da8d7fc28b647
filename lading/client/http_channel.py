"""The same dialogue as over WebSocket, by plain HTTP, for networks that block WebSocket.

Each message of the protocol's `Sender` becomes a request, and its answer becomes the message that
a WebSocket would have brought. So `transfer.py` drives both in one way.
Source: page 4 of the design, `/v1/uploads`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Never

import httpx

from lading.client.api import Api, accepted
from lading.client.errors import NotALadingServer, ProxyUnauthorized, Unreachable, Untrusted
from lading.client.local import rfc3339
from lading.client.retry import judge
from lading.client.types import Upload
from lading.protocol import messages as m
from lading.protocol.codec import decode_client
from lading.protocol.errors import LadingError, Unauthorized
from lading.protocol.manifest import MAX_CHUNK_SIZE
from lading.protocol.sender import Sender
from lading.protocol.spec import UploadSpec
from lading.protocol.tables import CHANNEL_ONLY

AT_ONCE = 4
"""Pieces that are sent at the same time, each by a request of its own."""

FINISHING = httpx.Timeout(60.0, connect=10.0, read=3600.0)
"""A server of an older version reads a large file back before it answers."""

COMES_BACK = {"prefer": "respond-async, wait=20"}
"""Proxies give up on an answer that takes longer than some 30 seconds."""

NOT_THE_SERVERS = (
    NotALadingServer,
    ProxyUnauthorized,
    Unreachable,
    Untrusted,
    Unauthorized,
)
"""Errors that say nothing about the upload: they end the attempt, as a lost connection does."""


async def create(api: Api, spec: UploadSpec) -> dict[str, Any]:
    """Create an upload, for the user for whom an admin acts. Returns it as the server sends it."""
    given = {f.name: getattr(spec, f.name) for f in fields(spec) if f.name not in CHANNEL_ONLY}
    body = {key: value for key, value in given.items() if value is not None}
    body |= {"tags": list(spec.tags), **api.for_user}
    if spec.modified_at is not None:
        body["modified_at"] = rfc3339(spec.modified_at)

    async def send(body: dict[str, Any]) -> dict[str, Any]:
        return await api.json("POST", "/v1/uploads", body=body)

    return await accepted(send, body, "modified_at")


async def finish(
    api: Api,
    path: str,
    body: Mapping[str, Any] | None = None,
    on_verified: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    patience: float = 0.0,
) -> dict[str, Any]:
    """Have an upload verified and published; the manifest as the server sends it.

    `on_verified` is called with the bytes that are verified so far and with those in all.
    """
    while True:
        answer = await api.json(
            "POST",
            path,
            body=body,
            headers=COMES_BACK,
            timeout=FINISHING,
            silent=True,
            patience=patience,
        )
        if answer.get("state") != "verifying":
            return answer
        with api.reading():
            done, total = int(answer["done"]), int(answer["total"])
        if total:
            on_verified(done, total)
        await api.timing.sleep(1.0)


class HttpChannel:
    """Stands in for `Channel`. Opening it sends nothing."""

    in_order = False

    def __init__(self, api: Api) -> None:
        self.sender = Sender()
        self._api = api
        self._ids: dict[int, str] = {}
        self._answers: asyncio.Queue[m.ServerMessage | Exception] = asyncio.Queue()
        self._requests: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Cancel the requests that are not answered yet."""
        for request in self._requests:
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)

    async def welcome(self) -> None:
        """Requests need no greeting."""

    async def flush(self) -> None:
        """Send the messages that wait in `sender`, other than pieces."""
        for message in self.sender.outgoing():
            self._begin(message)

    async def send(self, message: bytes) -> None:
        """Send one piece, as it is encoded for a WebSocket. Returns at once."""
        self._begin(decode_client(message))

    async def beat(self) -> Never:
        """Requests need no heartbeat."""
        await asyncio.Event().wait()
        raise AssertionError

    async def receive(self) -> m.ServerMessage:
        """The next answer, after `sender` took it. Raises Again or LadingError."""
        answer = await self._answers.get()
        if isinstance(answer, Exception):
            raise judge(answer) if isinstance(answer, LadingError) else answer
        if isinstance(answer, m.Opened):
            window = AT_ONCE * min(answer.chunk_size, MAX_CHUNK_SIZE)
            self.sender.receive(m.Window(window))
        self.sender.receive(answer)
        return answer

    # -- requests

    def _begin(self, message: m.ClientMessage) -> None:
        request = asyncio.create_task(self._carry(message))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def _carry(self, message: m.ClientMessage) -> None:
        try:
            await self._request(message)
        except LadingError as error:
            self._answers.put_nowait(_refusal(message, error))
        except Exception as error:  # a fault of this client: the caller must see it
            self._answers.put_nowait(error)

    async def _request(self, message: m.ClientMessage) -> None:
        match message:
            case m.Create():
                self._opened(message.ref, await create(self._api, message.spec))
            case m.Resume():
                path = f"/v1/uploads/{message.upload_id}"
                self._opened(message.ref, await self._api.json("GET", path))
            case m.Chunk():
                await self._put(message)
            case m.Finish():
                await self._finish(message)
            case _:
                raise TypeError(f"{type(message).__name__} has no request")

    async def _put(self, message: m.Chunk) -> None:
        path = f"/v1/uploads/{self._ids[message.ref]}/chunks/{message.slice_start}"
        headers = {
            "content-type": "application/octet-stream",
            "x-lading-crc32c": str(message.crc32c),
        }
        answer = await self._api.json(
            "PUT", path, content=message.data, headers=headers, silent=True
        )
        with self._api.reading():
            piece = (message.slice_start, int(answer["size"]))
            self._answer(m.Stored(message.ref, (piece,), int(answer["upload_size"])))

    async def _finish(self, message: m.Finish) -> None:
        self._answer(m.Verifying(message.ref, 0, message.size or 0))
        wanted = {"size": message.size, "sha256": message.sha256}
        body = {key: value for key, value in wanted.items() if value is not None}

        def verified(done: int, total: int) -> None:
            self._answer(m.Verifying(message.ref, done, total))

        path = f"/v1/uploads/{self._ids[message.ref]}/finish"
        self._complete(message.ref, await finish(self._api, path, body, verified))

    # -- answers

    def _answer(self, message: m.ServerMessage) -> None:
        self._answers.put_nowait(message)

    def _opened(self, ref: int, raw: Mapping[str, Any]) -> None:
        with self._api.reading():
            found = Upload.of(raw)
            self._ids[ref] = found.id
            self._answer(
                m.Opened(
                    ref=ref,
                    id=found.id,
                    name=found.name,
                    size=found.size,
                    chunk_size=found.chunk_size,
                    upload_size=found.stored,
                    missing=found.missing,
                    expires_at=None,
                    state=raw["state"],
                )
            )
        if raw["state"] == "ready":
            self._complete(ref, raw)

    def _complete(self, ref: int, raw: Mapping[str, Any]) -> None:
        with self._api.reading():
            names = ("size", "mime_type", "sha256", "crc32c")
            facts = {name: raw[name] for name in names}
            url = f"/v1/files/{raw['_id']}"
            self._answer(m.Complete(ref=ref, id=raw["_id"], url=url, **facts))


def _refusal(message: m.ClientMessage, error: LadingError) -> m.ServerMessage | Exception:
    """The error as the message that a WebSocket would have brought."""
    if isinstance(error, NOT_THE_SERVERS):
        return error
    if isinstance(message, m.Chunk):
        return m.Refused(message.ref, message.slice_start, error.problem())
    return m.Problem(getattr(message, "ref", None), error.problem())
