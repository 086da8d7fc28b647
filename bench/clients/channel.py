"""Uploads a file over one WebSocket connection: `{"url", "token", "path", "size"}`.

A plain client: it sends the pieces the server asks for as long as the window has room, else waits
for an answer. No SHA-256, no progress, no resuming.
"""

from __future__ import annotations

import asyncio
import time
from io import RawIOBase
from pathlib import Path

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.clients import Job, work
from lading.memory import keep_freed
from protocol.codec import decode_server, encode
from protocol.messages import SUBPROTOCOL
from protocol.sender import Completed, Failed, Opened, Sender, Welcomed
from protocol.spec import UploadSpec

WRITE_LIMIT = 2**20
"""The next piece is handed over when a quarter of this many bytes is left in the buffer."""


def upload(job: Job) -> float:
    """Store the file; the seconds from CREATE to COMPLETE."""
    keep_freed()  # as the `lading` command does
    # uvloop sends a message without copying what the socket does not take at once, as asyncio does
    # from Python 3.12 on.
    with (
        Path(job["path"]).open("rb", buffering=0) as source,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_upload(job, source))


async def _upload(job: Job, source: RawIOBase) -> float:
    async with connect(
        job["url"].replace("http", "ws", 1) + "/v1/ws",
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        proxy=None,
        max_size=2**20,
        write_limit=WRITE_LIMIT,
        ping_interval=None,
    ) as socket:
        sender = Sender()
        sender.hello(job["token"], "lading-bench")
        await _until(socket, sender, Welcomed)
        begin = time.perf_counter()
        ref = sender.create(UploadSpec(name="file", size=job["size"]))
        await _until(socket, sender, Opened)
        while not sender.settled(ref):
            if wanted := sender.wanted():
                source.seek(wanted.start)
                data = source.read(wanted.end - wanted.start)
                assert data is not None
                await socket.send(encode(sender.piece(wanted, data)))
            else:
                await _receive(socket, sender)
        sender.finish(ref)
        await _until(socket, sender, Completed)
        return time.perf_counter() - begin


async def _until(socket: ClientConnection, sender: Sender, kind: type[object]) -> None:
    """Say what there is to say, and hear until an event of this kind has come."""
    for message in sender.outgoing():
        await socket.send(encode(message))
    while not await _receive(socket, sender, kind):
        pass


async def _receive(
    socket: ClientConnection, sender: Sender, kind: type[object] | None = None
) -> bool:
    """Hear one message; whether it brought an event of this kind."""
    sender.receive(decode_server(await socket.recv(decode=False)))
    found = False
    for event in sender.events():
        if isinstance(event, Failed):
            raise event.error
        found = found or (kind is not None and isinstance(event, kind))
    return found


if __name__ == "__main__":
    work(upload)
