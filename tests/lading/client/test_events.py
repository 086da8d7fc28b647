"""The client hears of changes, and again after the connection was lost."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from lading import Client, Event, Manifest, SyncClient
from lading.client.backoff import Timing
from lading.protocol.errors import Forbidden
from tests.support.servers import Process


async def next_event(stream: Any) -> Event:
    found: Event = await asyncio.wait_for(anext(stream), 20)
    return found


async def test_it_hears_of_the_life_of_a_file(server: Process, tmp_path: Any) -> None:
    (tmp_path / "heard.txt").write_bytes(b"hello")
    async with Client(server.url, server.token) as client:
        async with aclosing(client.events()) as stream:
            waiting = asyncio.create_task(next_event(stream))
            while not waiting.done():  # what happens before the stream is open is not told
                file = await client.upload(tmp_path / "heard.txt", resume=False)
                await asyncio.wait([waiting], timeout=2)
            heard = await waiting
            while heard.type != "file.changed" or heard.data["_id"] != file.id:
                heard = await next_event(stream)
            assert isinstance(heard.file, Manifest)
            assert heard.file.name == "heard.txt"
        await client.delete(file.id)
        async with aclosing(client.events(after=heard.id)) as stream:
            # Others use the server, too, and an event may come twice.
            while heard.type != "file.deleted" or heard.data["_id"] != file.id:
                heard = await next_event(stream)
            assert heard.file is None
    with SyncClient(server.url, server.token) as blocking:
        events = blocking.events(after="unknown")
        assert next(events).type == "resync"


async def test_a_lost_stream_is_resumed_behind_the_last_event_that_came_whole() -> None:
    asked: list[str] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    answers = [
        b"retry: 2000\n\nid: 1\n\nevent: resync\ndata: {}\n\nevent: file.deleted\ndata: {}",
        b"event: file.deleted\ndata: " + json.dumps({"_id": "x"}).encode() + b"\n\nid: 2\n\n",
        b"event: resync\ndata: {}\n\n",
    ]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(head + answers[len(asked) - 1])
        writer.close()

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        timing = Timing(sleep=at_once)
        async with (
            Client(f"http://127.0.0.1:{port}", "t", timing=timing) as client,
            aclosing(client.events()) as stream,
        ):
            heard = [await next_event(stream) for _ in range(3)]
    assert [(each.type, each.id) for each in heard] == [
        ("resync", "1"),
        ("file.deleted", "1"),
        ("resync", "2"),
    ]
    assert "last-event-id" not in asked[0]
    assert "last-event-id: 1\r\n" in asked[1]
    assert "last-event-id: 2\r\n" in asked[2]


async def test_a_refusal_is_raised(server: Process) -> None:
    async with Client(server.url, server.token) as client:
        grant = await client.grant()
    async with Client(server.url, grant.token) as client:
        with pytest.raises(Forbidden):
            await anext(client.events())


async def test_an_admin_sees_what_all_have_open(server: Process) -> None:
    async with Client(server.url, server.token) as client:
        grant = await client.grant(directory="overview")
        assert grant.id in [each.id async for each in client.all_grants()]
        await client.revoke(grant.id)
        assert (await client.overview())["uploads"]["begun"] >= 0
        assert isinstance(await client.all_uploads(limit=1), tuple)
