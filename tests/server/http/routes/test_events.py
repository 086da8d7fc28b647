"""`/v1/events`: a stream that a real client reads, by whom, across processes, and until when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.server.limits import USUAL_LIMITS, EventLimits
from tests.support.accounts import accounts_server, add, browser, signed_in
from tests.support.servers import Process, inside, until
from tests.support.users import client, mint, put, refusal, shown, user

QUICK = replace(USUAL_LIMITS, events=EventLimits(poll_seconds=0.02, beat_seconds=0.1))


class Reader:
    """A stream as a browser reads it: events with their data, and the id behind them."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last_id = ""
        self.retry = ""
        self._lines = response.aiter_lines()

    async def mark(self) -> str:
        """The next id."""
        async for line in self._lines:
            if line.startswith("id: "):
                return line
        raise AssertionError("the stream has ended")

    async def next(self) -> tuple[str, Any] | None:
        """The next event; None at the end."""
        event = data = ""
        async for line in self._lines:
            name, _, value = line.partition(": ")
            match name:
                case "event":
                    event = value
                case "data":
                    data = value
                case "id":
                    self.last_id = value
                case "retry":
                    self.retry = value
                case "" if data:
                    return event, json.loads(data)
        return None


@asynccontextmanager
async def reading(http: httpx.AsyncClient, **options: Any) -> AsyncIterator[Reader]:
    async with asyncio.timeout(20), http.stream("GET", "/v1/events", **options) as response:
        if response.status_code != 200:
            await response.aread()
        yield Reader(response)


async def test_pages_hear_of_what_other_processes_do(
    users_server: Process, other_users_server: Process
) -> None:
    """And only of what is theirs; an admin hears of everybody, or of whom it names."""
    async with (
        client(users_server, user("listens")) as mine,
        client(users_server, user("root", "admin")) as root,
        reading(mine) as stream,
        reading(root, params={"user_id": "listens"}) as chosen,
        reading(root) as all_users,
    ):
        kind = stream.response.headers["content-type"]
        assert kind == "text/event-stream"
        assert stream.response.headers["x-accel-buffering"] == "no"
        other = await put(other_users_server, "another")
        file = await put(other_users_server, "listens", name="a.txt")
        for reader in (stream, chosen):
            event = await reader.next()
            assert event is not None
            assert (event[0], event[1]["_id"], event[1]["name"]) == ("file.changed", file, "a.txt")
        heard = {(await all_users.next() or ("", {}))[1]["_id"] for _ in range(2)}
        assert heard == {other, file}
        async with client(other_users_server, user("listens")) as elsewhere:
            await elsewhere.delete(f"/v1/files/{file}")
        gone = {"_id": file, "user_id": "listens", "name": "a.txt", "directory": ""}
        assert await stream.next() == ("file.deleted", gone)
        assert stream.retry == "2000"
        last = stream.last_id
    async with client(other_users_server, user("listens")) as mine:
        missed = await put(users_server, "listens")
        async with reading(mine, headers={"Last-Event-ID": last}) as stream:
            heard = set()
            while missed not in heard:  # what changed shortly before comes again
                heard.add((await stream.next() or ("", {"_id": missed}))[1]["_id"])
            assert heard <= {file, missed}
        async with reading(mine, headers={"Last-Event-ID": "from another server"}) as stream:
            assert await stream.next() == ("resync", {})


async def test_who_may_not(users_server: Process) -> None:
    grant = await mint(users_server)
    async with client(users_server) as nobody:
        assert refusal(await nobody.get("/v1/events"))[0] == 401
        bearer = shown(grant["token"])
        assert refusal(await nobody.get("/v1/events", headers=bearer)) == (403, "forbidden")
    async with client(users_server, user("ann")) as ann:
        for query, told in (({"user_id": "bob"}, 404), ({"user": "x"}, 400)):
            assert refusal(await ann.get("/v1/events", params=query))[0] == told
        head = await ann.head("/v1/events")
        assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream")


async def test_a_quiet_stream_lives_and_its_end_is_noticed(
    tmp_path: Path, database_url: str
) -> None:
    """It shows how far it is, though nothing happens. The server's end ends it."""
    async with (
        inside(tmp_path, database_url, limits=QUICK) as server,
        server.http() as http,
        reading(http) as stream,
    ):
        assert len({await stream.mark() for _ in range(3)}) == 3
        assert "lading_event_streams 1.0" in await _metrics(http)
        await put_small(http)
        assert (await stream.next() or ("",))[0] in ("upload.changed", "file.changed")
        assert 'lading_events_total{event="' in await _metrics(http)
        stopping = asyncio.create_task(server.stop())
        while await stream.next() is not None:
            pass
        await stopping


async def _metrics(http: httpx.AsyncClient) -> str:
    return (await http.get("/metrics")).text


async def put_small(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/files", params={"name": "a"}, content=b"x")).is_success


async def test_streams_of_one_user_are_bounded_and_given_back(
    tmp_path: Path, database_url: str
) -> None:
    few = replace(QUICK, events=replace(QUICK.events, streams_of_user=1))
    async with inside(tmp_path, database_url, limits=few) as server, server.http() as http:
        async with reading(http) as stream:
            assert stream.response.status_code == 200
            answer = await http.get("/v1/events")
            assert refusal(answer) == (429, "too-many-connections")
            assert answer.headers["retry-after"]
        await until(lambda: len(server.services.changes) == 0)
        async with reading(http) as stream:
            assert stream.response.status_code == 200


async def test_a_session_that_ends_ends_its_streams(tmp_path: Path, accounts_url: str) -> None:
    async with accounts_server(tmp_path, accounts_url, limits=QUICK) as server:
        await add(server, "ann")
        async with browser(server) as page:
            await signed_in(page, "ann")
            async with reading(page) as stream:
                assert stream.response.status_code == 200
                assert (await page.delete("/v1/session")).is_success
                assert await stream.next() is None


@pytest.mark.parametrize("origin", ["https://example.org"])
async def test_pages_of_allowed_origins_may_come_back(
    tmp_path: Path, database_url: str, origin: str
) -> None:
    async with (
        inside(tmp_path, database_url, allowed_origins=(origin,)) as server,
        server.http() as http,
    ):
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization, last-event-id",
        }
        assert (await http.options("/v1/events", headers=asked)).status_code == 200
