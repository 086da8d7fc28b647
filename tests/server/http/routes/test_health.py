"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from pymongo import AsyncMongoClient

from tests.support.servers import Process, inside


async def answers(http: httpx.AsyncClient) -> dict[str, httpx.Response]:
    return {path: await http.get(f"/{path}") for path in ("livez", "readyz", "healthz")}


@pytest.mark.parametrize("path", ["livez", "readyz", "healthz"])
async def test_a_server_at_work_is_well_and_says_so_to_everyone(server: Process, path: str) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as stranger:
        response = await stranger.get(f"/{path}")
    assert response.status_code == 200
    assert response.json()["status"] == "ok"
    assert response.headers["cache-control"] == "no-store"


async def test_a_server_that_goes_away_is_alive_and_not_ready(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url) as running, running.http() as http:
        running.services.draining = True
        found = await answers(http)
    assert found["livez"].status_code == 200
    assert found["readyz"].status_code == 503
    assert found["readyz"].json()["code"] == "shutting-down"
    assert found["readyz"].headers["retry-after"]
    assert found["healthz"].status_code == 503
    assert found["healthz"].json()["draining"] is True


class Bridge:
    """A socket that leads to another one, until it is cut."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._cut = False

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        to, back = await asyncio.open_unix_connection(self._target)
        self._writers += [writer, back]
        await asyncio.gather(_pump(reader, back), _pump(to, writer), return_exceptions=True)

    def cut(self) -> None:
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def test_without_its_database_a_server_is_alive_and_not_ready(
    tmp_path: Path, database_url: str
) -> None:
    real = unquote(database_url.removeprefix("mongodb://").partition("/")[0])
    bridge = Bridge(real)
    # The path of a unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="lt-") as folder:
        address = f"{folder}/mongod.sock"
        url = database_url.replace(quote(real, safe=""), quote(address, safe=""))
        client: AsyncMongoClient[Any] = AsyncMongoClient(url, serverSelectionTimeoutMS=1500)
        async with (
            await asyncio.start_unix_server(bridge.connect, address),
            inside(tmp_path, client=client) as running,
            running.http() as http,
        ):
            assert (await http.get("/readyz")).status_code == 200
            bridge.cut()
            found = await answers(http)
    assert found["livez"].status_code == 200
    assert found["readyz"].status_code == 503
    assert found["readyz"].json()["code"] == "unavailable"
    assert found["healthz"].status_code == 503
    assert found["healthz"].json()["database"] == "unavailable"
