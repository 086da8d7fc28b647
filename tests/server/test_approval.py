"""The approval hook over every transport, with a test virus: nobody but the asker ever reads it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from lading.client.client import Client
from lading.client.types import File
from lading.protocol import errors
from lading.protocol.errors import LadingError
from lading.server.limits import Limits, UploadLimits
from tests.support.direct import put, site_with_bucket
from tests.support.raw import Answer, ask
from tests.support.receivers import Got, receiving, status
from tests.support.seaweedfs import SeaweedFS
from tests.support.servers import Inside, inside, until
from tests.support.tus import BYTES, TUS, path_of
from tests.support.wire import COMPLETE, FINISH, PROBLEM, channel

# In parts, so that no scanner takes this file for what it is about.
VIRUS = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!" + b"$H+H*"
CLEAN = b"nothing but plain words, as many as there are in the other file".ljust(len(VIRUS), b".")

UPLOADS = UploadLimits(todo_poll_seconds=0.02, approve_wait=10.0)


@dataclass
class Site:
    """A server whose files are approved first; whoever is asked reads them, and knows the virus."""

    server: Inside
    undecided: set[str] = field(default_factory=set)
    """Names of files about which nothing is said yet."""
    asked: list[Got] = field(default_factory=list)
    read: list[bytes] = field(default_factory=list)

    async def answer(self, got: Got) -> bytes:
        self.asked.append(got)
        found = await self.fetch(got)
        assert found.status_code == 200, found.text
        self.read.append(found.content)
        if got.content["data"]["name"] in self.undecided:
            return status(503)
        return status(403 if found.content == VIRUS else 200)

    async def fetch(self, got: Got, path: str = "") -> httpx.Response:
        """What the grant that came along gives, without any other credential."""
        async with httpx.AsyncClient(base_url=self.server.url) as asker:
            return await asker.get(got.content["data"]["download"] + path)


@pytest.fixture
def limits() -> UploadLimits:
    return UPLOADS


@pytest.fixture
async def site(tmp_path: Path, database_url: str, limits: UploadLimits) -> AsyncIterator[Site]:
    async with receiving() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/check"
        chosen = Limits(uploads=limits)
        async with inside(tmp_path, database_url, limits=chosen, approve_url=url) as server:
            found = Site(server)
            receiver.answer = found.answer
            yield found


def outcome(answer: httpx.Response | Answer) -> str:
    """`ready`, or the code of the problem."""
    if isinstance(answer, Answer):
        code, content = answer.status, answer.content
    else:
        code, content = answer.status_code, answer.content
    return "ready" if code < 300 else f"{code} {json.loads(content)['code']}"


# -- the transports


async def by_raw(site: Site, data: bytes) -> str:
    async with site.server.http() as http:
        return outcome(await http.post("/v1/files", params={"name": "raw"}, content=data))


async def by_form(site: Site, data: bytes) -> str:
    async with site.server.http() as http:
        return outcome(await http.post("/v1/files", files={"file": ("form", data)}))


async def by_grant(site: Site, data: bytes) -> str:
    async with site.server.http() as http:
        minted = (await http.post("/v1/grants", json={"action": "upload", "name": "g"})).json()
    async with httpx.AsyncClient(base_url=site.server.url) as bearer:
        return outcome(await bearer.put(minted["url"], content=data))


async def by_pieces(site: Site, data: bytes) -> str:
    async with site.server.http() as http:
        made = (await http.post("/v1/uploads", json={"name": "p", "size": len(data)})).json()
        path = f"/v1/uploads/{made['_id']}"
        await http.put(f"{path}/chunks/0", content=data)
        return outcome(await http.post(f"{path}/finish"))


async def by_socket(site: Site, data: bytes) -> str:
    async with channel(site.server) as wire:
        await wire.create(1, len(data))
        await wire.chunk(1, 0, data)
        await wire.stored(1)
        await wire.send(FINISH, 1, {})
        while True:
            message = await wire.receive()
            if message[0] == COMPLETE:
                return "ready"
            if message[0] == PROBLEM:
                return f"403 {message[2]['code']}"


async def by_tus(site: Site, data: bytes) -> str:
    headers = {**TUS, "upload-length": str(len(data)), "accept": "application/json"}
    made = await ask(site.server, "POST", "/v1/tus", headers)
    patch = {**BYTES, "upload-offset": "0", "accept": "application/json"}
    return outcome(await ask(site.server, "PATCH", path_of(made), patch, data))


async def by_resumable(site: Site, data: bytes) -> str:
    headers = {"upload-complete": "?1", "upload-draft-interop-version": "8"}
    return outcome(await ask(site.server, "POST", "/v1/resumable", headers, data))


async def by_media(site: Site, data: bytes) -> str:
    async with site.server.http() as http:
        digest = hashlib.sha256(data).hexdigest()
        body = {"name": "m", "size": len(data), "sha256": digest}
        made = (await http.post("/v1/media", json=body)).json()
        upload = made["upload"]
        await http.put(upload["url"], headers=upload["headers"], content=data)
        return outcome(await http.post(f"/v1/media/{made['media']['_id']}/finalize"))


TRANSPORTS: list[Callable[[Site, bytes], Awaitable[str]]] = [
    by_raw,
    by_form,
    by_grant,
    by_pieces,
    by_socket,
    by_tus,
    by_resumable,
    by_media,
]


async def test_every_transport_learns_the_decision(site: Site) -> None:
    for send in TRANSPORTS:
        assert await send(site, VIRUS) == "403 rejected", send
        assert await send(site, CLEAN) == "ready", send
    assert site.read == [VIRUS, CLEAN] * len(TRANSPORTS)
    async with site.server.http() as http:
        files = (await http.get("/v1/files")).json()["files"]
        assert len(files) == len(TRANSPORTS)
        for each in files:
            assert (await http.get(f"/v1/files/{each['_id']}")).content == CLEAN
        assert (await http.get("/v1/uploads")).json()["uploads"] == []
        usage = (await http.get("/v1/usage")).json()
        assert usage["used"] == len(CLEAN) * len(TRANSPORTS)
        assert usage["reserved"] == 0


class TestUndecided:
    """Nothing is said about the virus for a while."""

    @pytest.fixture
    def limits(self) -> UploadLimits:
        return replace(UPLOADS, approve_wait=0.0)

    async def test_nobody_but_the_asker_reads_it(self, site: Site) -> None:
        site.undecided.add("slow.bin")
        async with site.server.http() as http:
            query = {"name": "slow.bin", "public": "true"}
            made = await http.post("/v1/files", params=query, content=VIRUS)
            assert (made.status_code, made.json()["state"]) == (202, "approving")
            file_id = made.json()["_id"]
            grant = {"action": "download", "file_id": file_id}
            token = (await http.post("/v1/grants", json=grant)).json()["token"]
            unfinished = await http.post("/v1/uploads", json={"name": "u", "size": len(VIRUS) + 1})
            unfinished_id = unfinished.json()["_id"]
            piece = f"/v1/uploads/{unfinished_id}/chunks/0"
            # The last cell is not whole, so this is refused; nothing of it may be read either way.
            await http.put(piece, content=VIRUS)
            for each in (file_id, unfinished_id):
                await _nobody_reads(http, each)
            for path in (f"/v1/g/{token}", f"/v1/g/{token}/0", f"/v1/g/{token}/3"):
                await _is_not_there(http, path)
            assert (await http.get(f"/v1/g/{token}/check")).status_code != 204
            await _is_not_there(http, f"/public/{file_id}")
            shown = (await http.get(f"/v1/manifests/{file_id}")).json()
            assert shown["state"] == "approving"
            upload = (await http.get(f"/v1/uploads/{file_id}")).json()
            assert (upload["state"], upload["approving"]) == ("uploading", True)
            assert (await http.get("/v1/files")).json()["files"] == []
            await _is_not_there(http, "/v1/archive")
            await until(lambda: bool(site.read))
            assert set(site.read) == {VIRUS}
            # What the asker got is for these bytes, and for nothing else.
            first = site.asked[0]
            assert (await site.fetch(first, "/3")).status_code == 403
            bearer = {"Authorization": f"Bearer {first.content['data']['token']}"}
            other = await http.get(f"/v1/files/{unfinished_id}", headers=bearer)
            assert other.status_code == 403
            assert VIRUS not in other.content

            site.undecided.clear()
            while (await http.get(f"/v1/manifests/{file_id}")).status_code == 200:
                pass
            refused = await http.get(f"/v1/files/{file_id}")
            assert outcome(refused) == "403 rejected"
            assert (await site.fetch(first)).status_code in (403, 404)

    @pytest.mark.parametrize("send", [by_pieces, by_tus, by_resumable, by_media, by_socket])
    async def test_a_client_that_asks_again_meets_the_decision(
        self, site: Site, send: Callable[[Site, bytes], Awaitable[str]]
    ) -> None:
        """They are told what clients of every age try again; a channel just waits."""
        if send is by_socket:
            assert await send(site, CLEAN) == "ready"
        else:
            assert await send(site, CLEAN) in ("503 unavailable", "ready")

    async def test_a_small_file_is_waited_for(self, site: Site, tmp_path: Path) -> None:
        """The answer to its one request is no promise that it will be a file."""
        path = tmp_path / "small.bin"
        async with Client(site.server.url, site.server.token) as client:
            for data in (CLEAN, VIRUS):
                path.write_bytes(data)
                site.undecided.add("small.bin")
                before = len(site.read)
                uploading = asyncio.create_task(_whole(client, path, one_request=True))
                await _asked_twice(site, before)
                assert not uploading.done()
                site.undecided.clear()
                if data == CLEAN:
                    assert (await uploading).size == len(CLEAN)
                else:
                    with pytest.raises(LadingError) as refused:
                        await uploading
                    assert refused.value.code == "rejected"

    async def test_a_client_of_yesterday_uploads(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It knows nothing of approval, nor of the code `rejected`: it waits, or gives up."""
        monkeypatch.delitem(cast(Any, errors.CATALOGUE), "rejected")
        path = tmp_path / "a.bin"
        path.write_bytes(CLEAN * 50_000)
        site.undecided.add("a.bin")
        async with Client(site.server.url, site.server.token) as client:
            uploading = asyncio.create_task(_whole(client, path))
            await until(lambda: len(site.asked) > 2)
            site.undecided.clear()
            assert (await uploading).size == path.stat().st_size
            path.write_bytes(VIRUS)
            with pytest.raises(LadingError) as refused:
                await client.upload(path)
        assert refused.value.extra["unknown_code"] == "rejected"


async def _asked_twice(site: Site, before: int) -> None:
    await until(lambda: len(site.read) > before + 1)


async def _whole(client: Client, path: Path, **options: Any) -> File:
    return await client.upload(path, **options)


async def _nobody_reads(http: httpx.AsyncClient, file_id: str) -> None:
    path = f"/v1/files/{file_id}"
    archive = await http.get("/v1/archive", params={"id": file_id})
    assert outcome(archive) == "503 unavailable"
    await _is_not_there(http, f"/v1/archive?id={file_id}", headers={"Range": "bytes=0-99"})
    for method, more, headers in (
        ("GET", "", {}),
        ("HEAD", "", {}),
        ("GET", "?play=1", {}),
        ("GET", "?download=1", {}),
        ("GET", "", {"Range": "bytes=0-9"}),
        ("GET", "", {"Range": "bytes=0-9", "Prefer": "wait=1"}),
        ("GET", "", {"Range": "bytes=-9"}),
        ("GET", "", {"Prefer": "delivery=self"}),
        ("GET", "/0", {}),
        ("GET", "/3", {}),
    ):
        await _is_not_there(http, path + more, method, headers)


async def _is_not_there(
    http: httpx.AsyncClient, path: str, method: str = "GET", headers: Any = None
) -> None:
    answer = await http.request(method, path, headers=headers or {})
    assert answer.status_code >= 400, (path, headers)
    assert VIRUS[:10] not in answer.content


async def test_bytes_that_went_to_a_bucket_are_approved_too(
    tmp_path: Path,
    database_url: str,
    seaweed: SeaweedFS,
    s3_home: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with receiving() as receiver:
        more = {"approve_url": f"http://127.0.0.1:{receiver.port}/", "s3_redirect": True}
        async with site_with_bucket(
            tmp_path, database_url, seaweed, s3_home, monkeypatch, **more
        ) as server:
            site = Site(server)
            receiver.answer = site.answer
            for data, expected in ((VIRUS, "403 rejected"), (CLEAN, "ready")):
                async with server.http() as http:
                    digest = hashlib.sha256(data).hexdigest()
                    body = {"name": "m", "size": len(data), "sha256": digest}
                    made = (await http.post("/v1/media", json=body)).json()
                    assert made["upload"]["direct"]
                    assert (await put(made["upload"], data)).status_code == 200
                    path = f"/v1/media/{made['media']['_id']}"
                    early = await http.get(f"/v1/files/{made['media']['_id']}")
                    assert outcome(early) == "503 unavailable"
                    assert outcome(await http.post(f"{path}/finalize")) == expected
            assert site.read == [VIRUS, CLEAN]


async def test_a_final_upload_of_parts_is_approved(site: Site) -> None:
    """Its parts stay until it is published, and nobody reads these either."""
    halves, paths = (CLEAN[:40], CLEAN[40:]), []
    for half in halves:
        partial = {**BYTES, "upload-length": str(len(half)), "upload-concat": "partial"}
        made = await ask(site.server, "POST", "/v1/tus", partial, half)
        paths.append(path_of(made))
        read = await ask(site.server, "GET", f"/v1/files/{paths[-1].rsplit('/', 1)[1]}")
        assert outcome(read) == "503 unavailable"
    final = {**TUS, "upload-concat": f"final;{' '.join(paths)}"}
    made = await ask(site.server, "POST", "/v1/tus", final)
    assert made.status == 201
    file_id = path_of(made).rsplit("/", 1)[1]
    async with site.server.http() as http:
        while (await http.get(f"/v1/files/{file_id}")).status_code != 200:
            pass
        assert (await http.get(f"/v1/files/{file_id}")).content == CLEAN
        while (await http.get("/v1/uploads")).json()["uploads"]:
            pass
    assert site.read == [CLEAN]
