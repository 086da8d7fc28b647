"""`/v1/archive`: a ZIP that is made while it is sent, and can be resumed from any byte."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from random import Random

import httpx
import pytest
from bson import ObjectId

from tests.conftest import Kept, Mongo
from tests.support import metrics
from tests.support.servers import Process

CELL = 1024 * 1024
DATA = {
    "zip/a.txt": b"hello",
    "zip/in/b.bin": Random(7).randbytes(2 * CELL + 100),
    "zip/in/empty": b"",
    "zip/in/../evil.txt": b"up",
}


@pytest.fixture
async def ids(http: httpx.AsyncClient, kept: Kept) -> dict[str, str]:
    """The files of `DATA`, and one beside them that does not belong to them."""
    found = {}
    for path, data in {**DATA, "zip-not/c": b"c"}.items():
        directory, _, name = path.rpartition("/")
        params = {"name": name, "directory": directory, "modified_at": "2020-02-02T02:02:02Z"}
        made = await http.post("/v1/files", params=params, content=data)
        assert made.status_code == 201
        found[path] = made.json()["_id"]
    return found


async def whole(http: httpx.AsyncClient, **params: str | list[str]) -> httpx.Response:
    answer = await http.get("/v1/archive", params=params)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    return answer


def content(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def test_a_directory(http: httpx.AsyncClient, ids: dict[str, str], tmp_path: Path) -> None:
    answer = await whole(http, directory="/zip/")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="zip.zip"'
    assert content(answer.content) == {
        "zip/a.txt": DATA["zip/a.txt"],
        "zip/in/_/evil.txt": b"up",
        "zip/in/b.bin": DATA["zip/in/b.bin"],
        "zip/in/empty": b"",
    }
    inner = await whole(http, directory="zip/in")
    assert sorted(content(inner.content)) == ["in/_/evil.txt", "in/b.bin", "in/empty"]
    top = await whole(http, directory="")
    assert "zip-not/c" in content(top.content)
    if shutil.which("unzip"):
        (tmp_path / "a.zip").write_bytes(answer.content)
        command = ["unzip", "-tq", str(tmp_path / "a.zip")]
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


async def test_some_files(http: httpx.AsyncClient, ids: dict[str, str]) -> None:
    chosen = [ids["zip/a.txt"], ids["zip/in/empty"], ids["zip/a.txt"]]
    answer = await whole(http, id=chosen)
    assert content(answer.content) == {"a.txt": b"hello", "empty": b""}
    both = await whole(http, directory="zip-not", id=[ids["zip/a.txt"], ids["zip-not/c"]])
    assert content(both.content) == {"a.txt": b"hello", "zip-not/c": b"c"}
    assert len(content((await whole(http)).content)) == len(ids)
    assert answer.headers["content-disposition"] == 'attachment; filename="files.zip"'


async def test_files_of_one_name(http: httpx.AsyncClient, kept: Kept) -> None:
    made = [
        (await http.post("/v1/files", params={"name": "x.txt"}, content=data)).json()["_id"]
        for data in (b"one", b"two")
    ]
    found = content((await whole(http, id=made)).content)
    assert found == {"x.txt": b"one", "x (2).txt": b"two"}


async def test_every_range_gives_its_bytes(
    http: httpx.AsyncClient, ids: dict[str, str], mongo: Mongo
) -> None:
    """Also one that begins in the middle of a file whose CRC-32 nobody knows yet."""
    complete = (await whole(http, directory="zip")).content
    with zipfile.ZipFile(io.BytesIO(complete)) as archive:
        heads = [info.header_offset for info in archive.infolist()]
        directory = archive.start_dir
    borders = {0, len(complete), directory}
    for head in heads:
        name = len(complete[head + 26 : head + 28])
        borders |= {head, head + 30 + name}
    places = sorted({p + d for p in borders for d in (-1, 0, 1)} | {head + 45 for head in heads})
    places = [place for place in places if 0 <= place < len(complete)]
    for start in [*places, directory - CELL, directory - 2 * CELL]:
        mongo["shared"]["manifests"].update_many({}, {"$set": {"crc32": None}})
        for end in (start + 1, min(start + 100, len(complete)), len(complete)):
            answer = await http.get(
                "/v1/archive",
                params={"directory": "zip"},
                headers={"range": f"bytes={start}-{end - 1}"},
            )
            assert answer.status_code == 206
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(complete)}"
            assert answer.content == complete[start:end], (start, end)


async def test_the_crc_is_kept(http: httpx.AsyncClient, ids: dict[str, str], mongo: Mongo) -> None:
    await whole(http, directory="zip")
    found = mongo["shared"]["manifests"].find_one({"_id": ObjectId(ids["zip/a.txt"])})
    assert found is not None
    assert found["crc32"] == 0x3610A686  # of "hello"
    assert content((await whole(http, directory="zip")).content)["zip/a.txt"] == b"hello"


async def test_conditions(http: httpx.AsyncClient, ids: dict[str, str]) -> None:
    params = {"directory": "zip"}
    head = await http.head("/v1/archive", params=params)
    tag, size = head.headers["etag"], int(head.headers["content-length"])
    assert (await whole(http, **params)).headers["etag"] == tag
    same = await http.get("/v1/archive", params=params, headers={"if-none-match": tag})
    assert same.status_code == 304
    resumed = {"range": "bytes=10-", "if-range": tag}
    answer = await http.get("/v1/archive", params=params, headers=resumed)
    assert (answer.status_code, len(answer.content)) == (206, size - 10)
    beyond = await http.get("/v1/archive", params=params, headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    # Another name is another archive: what an earlier request sent does not fit any more.
    await http.patch(f"/v1/files/{ids['zip/a.txt']}", json={"name": "renamed.txt"})
    answer = await http.get("/v1/archive", params=params, headers=resumed)
    assert (answer.status_code, answer.headers["etag"] == tag) == (200, False)


async def test_refusals(http: httpx.AsyncClient, ids: dict[str, str], server: Process) -> None:
    async def refused(**params: str | list[str]) -> tuple[int, str]:
        answer = await http.get("/v1/archive", params=params)
        return answer.status_code, answer.json()["code"]

    assert await refused(directory="nothing") == (404, "not-found")
    assert await refused(id="0" * 24) == (404, "not-found")
    assert await refused(id="x") == (400, "invalid-argument")
    assert await refused(id=["0" * 24] * 201) == (400, "invalid-argument")
    upload = (await http.post("/v1/uploads", json={"name": "a", "size": 5})).json()["_id"]
    assert await refused(id=upload) == (409, "incomplete")
    assert await refused(directory="zip", user_id="somebody-else") == (404, "not-found")
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as stranger:
        assert (await stranger.get("/v1/archive", params={"directory": "zip"})).status_code == 401
        file_id = ids["zip/a.txt"]
        body = {"action": "download", "file_id": file_id}
        token = (await http.post("/v1/grants", json=body)).json()["token"]
        stranger.headers["authorization"] = f"Bearer {token}"
        answer = await stranger.get("/v1/archive", params={"id": file_id})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_it_is_counted(http: httpx.AsyncClient, ids: dict[str, str]) -> None:
    before = await metrics.read(http)
    size = len((await whole(http, id=ids["zip/in/b.bin"])).content)

    async def more(name: str, **labels: str) -> float:
        after = await metrics.read(http)
        return after.total(name, **labels) - before.total(name, **labels)

    archive = {"route": "/v1/archive", "status": "200"}
    while not await more("lading_http_requests_total", **archive):
        pass  # counted once all of it is sent, which the reader may know before the server does
    assert await more("lading_http_requests_total", **archive) == 1
    assert await more("lading_sent_bytes_total", transport="http") >= size
