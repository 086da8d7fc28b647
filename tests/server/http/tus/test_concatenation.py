"""tus 1.0, Concatenation: files whose parts arrive side by side."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from lading.server.limits import USUAL_LIMITS
from tests.support.raw import Answer, ask
from tests.support.servers import Inside, Process, Running, inside
from tests.support.tus import (
    BYTES,
    TUS,
    content,
    create,
    manifest_of,
    metadata,
    offset_of,
    patch,
    path_of,
)

PARTS = [Random(seed).randbytes(size) for seed, size in enumerate((1_200_000, 1, 700_000))]


async def partial(server: Running, data: bytes, upto: int | None = None) -> str:
    """A partial upload, with its bytes up to `upto`."""
    path = await create(server, len(data), upload_concat="partial")
    if data[:upto]:
        assert (await patch(server, path, 0, data[:upto])).status == 204
    return path


async def final(server: Running, *parts: str, **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    concat = {"upload-concat": f"final;{' '.join(parts)}"}
    return await ask(server, "POST", "/v1/tus", {**TUS, **concat, **given})


@pytest.fixture
async def quick(tmp_path: Path, database_url: str) -> AsyncIterator[Inside]:
    """A server that looks often whether the parts have arrived."""
    uploads = replace(USUAL_LIMITS.uploads, todo_poll_seconds=0.05)
    limits = replace(USUAL_LIMITS, uploads=uploads)
    async with inside(tmp_path, database_url, limits=limits) as running:
        yield running


async def until_so(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `condition` holds, by asking."""
    deadline = time.monotonic() + 30
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def is_whole(server: Running, path: str) -> bool:
    """Whether a final upload is made."""
    told = await ask(server, "HEAD", path, TUS)
    assert told.status == 200, told
    return "upload-offset" in told.headers


async def until_whole(server: Running, path: str) -> None:
    """Wait until a final upload is made."""
    await until_so(lambda: is_whole(server, path))


async def is_gone(server: Running, path: str) -> bool:
    """Whether there is no such upload any more."""
    return (await ask(server, "HEAD", path, TUS)).status == 404


async def usage(server: Running) -> tuple[int, int]:
    """Bytes used and reserved."""
    found = json.loads((await ask(server, "GET", "/v1/usage")).content)
    return found["used"], found["reserved"]


async def test_a_final_upload_is_made_of_its_parts(server: Process) -> None:
    before = await usage(server)
    paths = [await partial(server, data) for data in PARTS]
    for path, data in zip(paths, PARTS, strict=True):
        told = await ask(server, "HEAD", path, TUS)
        assert told["upload-concat"] == "partial"
        assert told["upload-offset"] == str(len(data))
    address = [f"{server.url}{paths[0]}", *paths[1:]]
    made = await final(server, *address, upload_metadata=metadata(filename="whole.bin"))
    assert made.status == 201
    path = path_of(made)
    told = await ask(server, "HEAD", path, TUS)
    size = sum(len(data) for data in PARTS)
    assert told["upload-offset"] == told["upload-length"] == str(size)
    assert told["upload-concat"] == f"final;{' '.join(address)}"
    assert await content(server, path) == b"".join(PARTS)
    assert (await manifest_of(server, path))["name"] == "whole.bin"
    await until_so(lambda: is_gone(server, paths[0]))  # parts are deleted

    async def nothing_is_reserved() -> bool:
        return (await usage(server))[1] == before[1]

    await until_so(nothing_is_reserved)
    assert (await usage(server))[0] - before[0] == size


async def test_the_answer_to_a_final_upload_may_be_asked_for_again(server: Process) -> None:
    parts = [await partial(server, data) for data in PARTS]
    made = path_of(await final(server, *parts))
    await until_so(lambda: is_gone(server, parts[0]))
    again = await final(server, *parts)
    assert (again.status, path_of(again)) == (201, made)
    assert (await final(server, *reversed(parts))).status == 404


async def test_a_part_is_no_file(server: Process) -> None:
    path = await partial(server, b"hello")
    manifest = await manifest_of(server, path)
    assert manifest["state"] == "uploading"
    told = await ask(server, "POST", f"{path.replace('tus', 'uploads')}/finish")
    assert told.status == 400


async def test_parts_may_still_be_arriving(quick: Inside) -> None:
    data = b"hello world"
    first, second = await partial(quick, data, 0), await partial(quick, data, 4)
    made = await final(quick, first, second, first)
    path = path_of(made)
    told = await ask(quick, "HEAD", path, TUS)
    assert "upload-offset" not in told.headers
    assert told["upload-length"] == "33"
    assert (await patch(quick, path, 0, b"x")).status == 403
    await patch(quick, first, 0, data)
    await patch(quick, second, 4, data[4:])
    await until_whole(quick, path)
    assert await content(quick, path) == data * 3
    assert (await patch(quick, path, 33, b"x")).status == 403


async def test_no_transport_adds_to_a_final_upload(server: Process) -> None:
    part = await create(server, 5, upload_concat="partial")
    upload_id = path_of(await final(server, part)).rsplit("/", 1)[1]
    put = await ask(server, "PUT", f"/v1/uploads/{upload_id}/chunks/0", {}, b"hello")
    assert put.status == 403


async def test_the_length_of_a_part_may_follow(quick: Inside) -> None:
    part = await create(quick, None, upload_concat="partial")
    made = await final(quick, part)
    told = await ask(quick, "HEAD", path_of(made), TUS)
    assert "upload-length" not in told.headers
    await patch(quick, part, 0, b"hello", upload_length="5")
    await until_whole(quick, path_of(made))
    assert await content(quick, path_of(made)) == b"hello"


async def test_a_final_upload_without_its_parts_is_gone(quick: Inside) -> None:
    part = await partial(quick, b"hello", 2)
    path = path_of(await final(quick, part))
    await ask(quick, "DELETE", part, TUS)
    await until_so(lambda: is_gone(quick, path))


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        (["/v1/tus/" + "0" * 24], 404),
        (["/v1/tus/x"], 400),
        (["https://[/v1/tus/" + "0" * 24], 400),
        ([""], 400),
    ],
)
async def test_what_is_no_part_is_refused(server: Process, parts: list[str], status: int) -> None:
    assert (await final(server, *parts)).status == status


async def test_an_ordinary_upload_is_no_part(server: Process) -> None:
    path = await create(server, 5)
    assert (await final(server, path)).status == 400


async def test_a_final_upload_has_neither_length_nor_body(server: Process) -> None:
    part = await partial(server, b"hello")
    assert (await final(server, part, upload_length="5")).status == 400
    assert (await final(server, part, upload_defer_length="1")).status == 400
    headers = {**BYTES, "upload-concat": f"final;{part}"}
    assert (await ask(server, "POST", "/v1/tus", headers, b"x")).status == 400
    assert await offset_of(server, part) == 5
