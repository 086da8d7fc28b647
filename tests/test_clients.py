"""Downloads by programs that people use: curl, wget, aria2, ffmpeg, against a real server.

`scripts/install test` installs them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.support.missing import missing
from tests.support.servers import Process
from tests.support.wire import cells, channel

CELL = 64 * 1024
DATA = Random(3).randbytes(5 * 2**20 + 77)


def program(name: str) -> str:
    """The path of a program. Without it the test is skipped, and fails where CI=true."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed: run scripts/install test")
    return found


async def run(name: str, *arguments: str | Path, code: int = 0) -> str:
    """Run a program, without its user's settings; returns what it wrote."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    done = await asyncio.to_thread(
        subprocess.run,
        [program(name), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


async def link(server: Process, http: httpx.AsyncClient, file_id: str) -> str:
    """An address that needs no credential."""
    grant = await http.post("/v1/grants", json={"action": "download", "file_id": file_id})
    return server.url + str(grant.json()["url"])


@pytest.fixture
async def url(server: Process, http: httpx.AsyncClient) -> str:
    made = await http.post("/v1/files?name=film.bin", content=DATA)
    return await link(server, http, made.json()["_id"])


async def test_curl_takes_a_part_and_goes_on(url: str, tmp_path: Path) -> None:
    target = tmp_path / "film.bin"
    await run("curl", "-fsS", "-r", "0-99999", "-o", target, url)
    assert target.read_bytes() == DATA[:100_000]
    await run("curl", "-fsS", "-C", "-", "-o", target, url)
    assert target.read_bytes() == DATA
    await run("curl", "-fsS", "-r", "0-9,100-109", "-o", target, url)
    assert target.read_bytes().count(b"Content-Range: bytes ") == 2


async def test_curl_asks_only_for_what_is_newer(url: str, tmp_path: Path) -> None:
    target, tag = tmp_path / "film.bin", tmp_path / "tag"
    status = ("-sS", "-o", target, "-w", "%{http_code}")
    assert await run("curl", *status, "--etag-save", tag, "-R", url) == "200"
    assert await run("curl", *status, "--etag-compare", tag, url) == "304"
    assert await run("curl", *status, "-z", target, url) == "304"
    assert await run("curl", *status, "-z", "-1 Jan 2001", url) == "412"
    tag.write_text('"another"')
    assert await run("curl", *status, "--etag-compare", tag, url) == "200"


async def test_wget_goes_on(url: str, tmp_path: Path) -> None:
    target = tmp_path / "film.bin"
    target.write_bytes(DATA[:1_000_000])
    await run("wget", "-q", "-c", "-O", target, url)
    assert target.read_bytes() == DATA
    await run("wget", "-q", "-c", "-O", target, url)
    assert target.read_bytes() == DATA


async def test_aria2_takes_four_parts_over_a_network_that_breaks(
    server: Process, url: str, tmp_path: Path
) -> None:
    cuts = 6

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cuts
        onward, back = await asyncio.open_connection("127.0.0.1", server.port)

        async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter, most: int) -> None:
            while most > 0 and (data := await source.read(min(most, 65536))):
                to.write(data)
                await to.drain()
                most -= len(data)

        cuts -= 1
        most = 300_000 if cuts >= 0 else 2**40
        sides = (copy(reader, back, 2**40), copy(onward, writer, most))
        tasks = [asyncio.ensure_future(each) for each in sides]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for end in (writer, back):
            end.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    async with await asyncio.start_server(broken, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        cut = url.replace(f":{server.port}/", f":{port}/")
        options = ("-x4", "-s4", "-k1M", "--no-conf", "--retry-wait=0", "-m20", "--quiet")
        await run("aria2c", *options, "-d", tmp_path, "-o", "film.bin", cut)
    assert cuts < 0
    assert (tmp_path / "film.bin").read_bytes() == DATA


# -- films


async def make(path: Path, *options: str) -> bytes:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=8")
    common = ("-nostdin", "-loglevel", "error", "-y", *picture, "-g", "25")
    await run("ffmpeg", *common, *options, path)
    return await asyncio.to_thread(path.read_bytes)


async def test_ffmpeg_seeks_over_http(
    server: Process, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    for name, options in (("a.mp4", ("-c:v", "libx264", "-b:v", "2M")), ("a.webm", ("-b:v", "2M"))):
        film = await make(tmp_path / name, *options, "-preset", "ultrafast")
        made = await http.post(f"/v1/files?name={name}", content=film)
        address = await link(server, http, made.json()["_id"])
        shown = ("-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0")
        assert float(await run("ffprobe", *shown, address)) == pytest.approx(8, abs=0.2)
        still = ("-nostdin", "-v", "error", "-y", "-ss", "6", "-i", address, "-frames:v", "1")
        await run("ffmpeg", *still, tmp_path / "still.png")
        assert (tmp_path / "still.png").stat().st_size > 1000


async def test_ffmpeg_plays_a_film_while_it_arrives(
    server: Process, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """It asks for `bytes=0-`, and where a range was short it asks for the rest."""
    film = await make(tmp_path / "a.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-movflags",
                      "+faststart")  # fmt: skip
    pieces = cells(film, CELL)
    async with channel(server) as wire:
        upload = await wire.create(1, len(film), name="a.mp4", chunk_size=CELL)
        for start, piece in pieces[:2]:
            await wire.chunk(1, start, piece)
        await wire.stored(2)
        address = await link(server, http, upload["id"]) + "?play=1"
        options = ("-nostdin", "-v", "error", "-reconnect", "1", "-i", address, "-f", "null", "-")
        playing = asyncio.ensure_future(run("ffmpeg", *options, "-progress", "-"))
        for start, piece in pieces[2:]:
            await asyncio.sleep(0.01)
            await wire.chunk(1, start, piece)
        await wire.stored(len(pieces) - 2)
        await wire.finish(1)
        assert "frame=200" in await playing
