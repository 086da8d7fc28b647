"""Who gets a channel, how it ends for those who do not behave, and how a server takes its leave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from lading.protocol.receiver import ReceiverLimits
from lading.server.limits import Limits
from lading.server.net.websocket_protocol import ChannelProtocol
from tests.support.frames import raw
from tests.support.gate import Gate
from tests.support.servers import Process, Running, inside, process, until
from tests.support.wire import (
    CHUNK,
    CREATE,
    FINISH,
    GOAWAY,
    HELLO,
    PING,
    RESUME,
    STORED,
    TOKEN,
    channel,
    dial,
)


async def refusal(server: Running, **options: Any) -> InvalidStatus:
    """The HTTP answer to a connection that is not upgraded."""
    with pytest.raises(InvalidStatus) as refused:
        async with dial(server, **options):
            pass
    response = refused.value.response
    assert response.headers["Content-Type"] == "application/problem+json"
    return refused.value


def code_of(refused: InvalidStatus) -> tuple[int, str]:
    body = json.loads(refused.response.body or b"")
    assert body["status"] == refused.response.status_code
    return refused.response.status_code, body["code"]


# -- before the upgrade


@pytest.mark.parametrize("subprotocols", [None, ["lading.v2"], ["chat", "LADING.V1"]])
async def test_an_unknown_subprotocol_is_refused(
    server: Process, subprotocols: list[str] | None
) -> None:
    refused = await refusal(server, subprotocols=subprotocols)
    assert code_of(refused) == (400, "invalid-argument")


async def test_the_subprotocol_may_be_one_of_several(server: Process) -> None:
    async with dial(server, subprotocols=["lading.v2", "lading.v1"]) as wire:
        assert wire.socket.subprotocol == "lading.v1"
        await wire.hello(server.token)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://",
        "http://[",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:1",
        "x" * 5000,
    ],
)
async def test_a_foreign_origin_is_refused(server: Process, origin: str) -> None:
    refused = await refusal(server, additional_headers={"Origin": origin})
    assert code_of(refused) == (403, "forbidden")


async def test_the_servers_own_pages_and_allowed_ones_may_connect(
    tmp_path: Path, database_url: str
) -> None:
    public, allowed = "https://files.example.org", "https://shop.example"
    async with inside(
        tmp_path, database_url, public_url=public, allowed_origins=allowed
    ) as running:
        local = Running(f"http://127.0.0.1:{running.services.settings.port}", None, tmp_path)
        assert local.port == 0, "the address is that of the listener, not the public one"
        port = running.server.servers[0].sockets[0].getsockname()[1]
        here = Running(f"http://127.0.0.1:{port}", running.token, tmp_path)
        for origin in (public, allowed, here.url):
            async with channel(here, origin=origin):
                pass
        for origin in (allowed + ".evil.example", allowed.upper(), "http://shop.example"):
            refused = await refusal(here, origin=origin)
            assert code_of(refused) == (403, "forbidden")


async def test_when_there_are_too_many_connections_a_proxy_may_try_elsewhere(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url, max_connections=2) as running:
        async with channel(running), channel(running):
            refused = await refusal(running)
            assert code_of(refused) == (503, "too-many-connections")
            assert refused.response.headers["Retry-After"]
        await until(lambda: not running.services.channels)
        async with channel(running):
            pass


async def test_a_plain_request_is_told_what_speaks_here(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/ws")
    assert (response.status_code, response.json()["code"]) == (426, "invalid-argument")
    response = await http.post("/v1/ws")
    assert (response.status_code, response.json()["code"]) == (405, "method-not-allowed")


# -- the first message


@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 60_000])
async def test_a_wrong_or_missing_token_is_unauthorized(server: Process, token: str | None) -> None:
    async with dial(server) as wire:
        await wire.send(HELLO, {} if token is None else {"token": token})
        problem = await wire.problem(None)
        assert problem["code"] == "unauthorized"
        assert not problem["retryable"]
        assert server.token is not None
        assert server.token not in str(problem)
        assert (await wire.closing()).code == 4401


async def test_the_pages_cookie_is_a_credential(server: Process) -> None:
    page = {"Cookie": f"lading_token={server.token}", "Origin": server.url}
    async with dial(server, additional_headers=page) as wire:
        await wire.hello(None)


@pytest.mark.parametrize(
    "first",
    [
        (CHUNK, 1, 0, 0, b""),
        (CREATE, 1, {"name": "a", "size": 1}),
        (RESUME, 1, "0" * 24),
        (FINISH, 1, {}),
        (PING, 1),
        (TOKEN, "x"),
    ],
)
async def test_whatever_comes_before_hello_ends_the_connection(
    server: Process, first: tuple[object, ...]
) -> None:
    async with dial(server) as wire:
        await wire.send(*first)
        assert (await wire.problem(None))["code"] == "invalid-message"
        assert (await wire.closing()).code == 1008


async def test_hello_must_come_in_time(tmp_path: Path, database_url: str) -> None:
    limits = Limits(receiver=ReceiverLimits(hello_seconds=0.05))
    async with inside(tmp_path, database_url, limits=limits) as running, dial(running) as wire:
        assert (await wire.problem(None))["code"] == "unauthorized"
        assert (await wire.closing()).code == 1008


async def test_an_idle_connection_is_closed_and_one_at_work_is_not(
    tmp_path: Path, database_url: str
) -> None:
    limits = Limits(receiver=ReceiverLimits(idle_seconds=0.5))
    async with (
        inside(tmp_path, database_url, limits=limits) as running,
        channel(running) as at_work,
    ):
        await at_work.create(1, 3)
        async with channel(running) as idle:
            assert (await idle.closing()).code == 1001
        await at_work.chunk(1, 0, b"abc")
        await at_work.stored(1)


async def test_a_silent_connection_is_closed_in_mid_upload(
    tmp_path: Path, database_url: str
) -> None:
    limits = Limits(receiver=ReceiverLimits(silent_heartbeats=0.05))
    async with inside(tmp_path, database_url, limits=limits) as running, channel(running) as wire:
        await wire.create(1, 3)
        assert (await wire.closing()).code == 1001


# -- afterwards


async def test_a_second_hello_ends_the_connection(server: Process) -> None:
    async with channel(server) as wire:
        await wire.send(HELLO, {"token": server.token})
        assert (await wire.problem(None))["code"] == "invalid-message"
        assert (await wire.closing()).code == 1002


async def test_a_new_token_replaces_the_old_one_in_mid_upload(server: Process) -> None:
    async with channel(server) as wire:
        await wire.create(1, 3)
        await wire.send(TOKEN, server.token)
        await wire.chunk(1, 0, b"abc")
        await wire.stored(1)
        await wire.send(TOKEN, "wrong")
        assert (await wire.problem(None))["code"] == "unauthorized"
        assert (await wire.closing()).code == 4401


async def test_more_bytes_than_the_window_end_the_connection(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with inside(tmp_path, database_url, chunk_size="64KiB") as running:
        async with channel(running) as wire:
            window, cell = wire.welcome["window"], 64 * 1024
            data = os.urandom(cell)
            upload = await wire.create(1, window + cell)
            for start in range(0, window, cell):
                await wire.chunk(1, start, data)
            await until(lambda: gate.waiting == window // cell)
            await wire.chunk(1, window, data)
            problem = await wire.problem(None)
            assert problem["code"] == "window-exceeded"
            assert problem["window"] == window
            assert (await wire.closing()).code == 1008
            gate.opened.set()
        # What was in flight is stored all the same.
        async with channel(running) as wire:
            await until(lambda: running.services.budget.free == running.services.budget.total)
            again = await wire.resume(1, upload["id"])
            assert again["missing"] == [[window, window + cell]]


# -- draining


async def test_a_draining_server_answers_what_is_in_flight_and_sends_clients_away(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with inside(tmp_path, database_url) as running, channel(running) as wire:
        await wire.create(1, 6)
        await wire.chunk(1, 0, b"abcdef")
        await until(lambda: gate.waiting == 1)
        running.server.should_exit = True
        (goaway,) = await wire.expect(GOAWAY)
        assert goaway["reason"]
        assert goaway["retry_after"] >= 0
        await wire.send(CREATE, 2, {"name": "late", "size": 1})
        assert (await wire.problem(2))["code"] == "shutting-down"
        gate.opened.set()
        assert await wire.expect(STORED) == [1, [[0, 6]], 6]
        assert (await wire.finish(1))["size"] == 6
        assert (await wire.closing()).code == 1012
        await running.served


async def test_a_terminated_server_ends_with_0_and_another_goes_on(
    server: Process, shared_url: str, tmp_path: Path
) -> None:
    data = os.urandom(3 * 2**20)
    with process(tmp_path, shared_url, chunk_size="1MiB") as leaving:
        async with channel(leaving) as wire, channel(leaving) as idle:
            upload = await wire.create(1, len(data))
            await wire.chunk(1, 0, data[: 2**20])
            leaving.child.send_signal(signal.SIGTERM)
            heard, end = await wire.rest()
            assert [STORED, 1, [[0, 2**20]], 2**20] in heard
            assert {message[0] for message in heard} == {STORED, GOAWAY}
            assert end.code == 1012
            assert (await idle.closing()).code == 1012
        await until(lambda: leaving.child.poll() is not None)
        assert leaving.child.returncode == 0
        assert not (tmp_path / "server.json").exists()
    async with channel(server) as wire:
        again = await wire.resume(1, upload["id"])
        assert again["missing"] == [[2**20, len(data)]]


async def test_while_it_drains_a_server_takes_no_new_channel(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url) as running:
        running.services.draining = True
        refused = await refusal(running)
        assert code_of(refused) == (503, "shutting-down")
        assert refused.response.headers["Retry-After"]


async def test_a_client_that_does_not_read_does_not_keep_the_server(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        inside(tmp_path, database_url, drain_seconds="100ms") as running,
        raw(running, narrow=True) as wire,
    ):
        wire.send(CREATE, 0, {"name": "\U0001f6a2" * 1024, "size": 1})
        upload_id = (await wire.message())[2]["id"]
        for ref in range(1, 1000):
            # It asks for 4 MB of answers, and for some that are given beside them.
            wire.send(RESUME, ref, upload_id)
            wire.send(CHUNK, 0, 0, 0, b"x")
        (connection,) = running.server.server_state.connections
        assert isinstance(connection, ChannelProtocol)
        await until(lambda: not connection.writable.is_set(), 60)
        # Uvicorn would wait for five seconds, and what it does not know of for ever.
        running.server.config.timeout_graceful_shutdown = 600
        async with asyncio.timeout(60):
            await running.stop()
