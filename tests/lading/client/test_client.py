import asyncio
import hashlib
import io
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

import lading as package
from lading.client import lookup
from lading.client.client import Client
from lading.client.errors import NoServer, SourceChanged
from lading.client.types import File, Manifest, Progress, State, Upload, Usage
from lading.client.upload import UploadTask
from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    LadingError,
    NotFound,
    QuotaExceeded,
    Unauthorized,
)
from tests.lading.conftest import AT_ONCE
from tests.support.network import network
from tests.support.servers import Process, inside, process, until
from tests.support.wire import channel


@pytest.fixture
async def lading(server: Process) -> AsyncIterator[Client]:
    async with Client(server.url, server.token, timing=AT_ONCE) as client:
        yield client


def test_what_the_package_offers() -> None:
    assert package.Client is Client
    assert package.LadingError is LadingError
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018


def test_the_environment_names_the_server(
    server: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "DATA"):
        monkeypatch.delenv(f"LADING_{name}", raising=False)
    with pytest.raises(NoServer):
        Client()
    monkeypatch.setenv("LADING_DATA", str(server.data))
    assert Client().address.url == server.url
    assert Client().address.token == server.token


async def test_up_and_down_again(lading: Client, tmp_path: Path) -> None:
    body = Random(4).randbytes(9 * 2**20)
    (tmp_path / "a.bin").write_bytes(body)
    file = await lading.upload(tmp_path / "a.bin", directory="d", tags=["x"])
    assert file.sha256 == hashlib.sha256(body).hexdigest()
    await lading.download(file.id, tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == body
    found = await lading.manifest(file.id)
    assert isinstance(found, Manifest)
    assert found.file() == file
    assert (found.directory, found.tags) == ("d", ("x",))
    assert sum(chunk.size for chunk in found.chunks) == len(body)
    assert file.url == lading.address.absolute(f"/v1/files/{file.id}")


async def test_the_same_file_is_not_sent_twice(lading: Client, tmp_path: Path) -> None:
    (tmp_path / "same.bin").write_bytes(b"same" * 1000)
    first = await lading.upload(tmp_path / "same.bin")
    upload = lading.upload(tmp_path / "same.bin")
    assert (await upload).id == first.id
    assert upload.skipped
    assert upload.progress.state is State.DONE
    (tmp_path / "same.bin").write_bytes(b"else" * 1000)
    upload = lading.upload(tmp_path / "same.bin")
    assert (await upload).id != first.id
    assert not upload.skipped


async def test_a_stream(lading: Client) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 100_000

    file = await lading.upload(blocks(), name="recording")
    out = io.BytesIO()
    await lading.download(file.id, out)
    assert out.getvalue() == b"".join(bytes([number]) * 100_000 for number in range(100))


async def test_files_are_listed(lading: Client) -> None:
    made = [
        await lading.upload(io.BytesIO(b"x"), name=f"listed-{number}", directory="l", tags=tags)
        for number, tags in enumerate([["a"], ["a", "b"], []])
    ]
    names = [each.name async for each in lading.list(name="listed-")]
    assert names == ["listed-2", "listed-1", "listed-0"]
    ids = [each.id async for each in lading.list(directory="l", tags=["a", "b"])]
    assert ids == [made[1].id]
    assert [each async for each in lading.list(directory="no such")] == []


async def test_files_are_listed_by_type_and_so_many_at_most(lading: Client) -> None:
    for number, kind in enumerate(["image/png", "image/gif", "text/plain"]):
        await lading.upload(io.BytesIO(b"x"), name=f"kind-{number}", mime_type=kind)

    async def found(**wanted: Any) -> list[str]:
        return [each.name async for each in lading.list(name="kind-", **wanted)]

    assert await found(mime_type="image/*") == ["kind-1", "kind-0"]
    assert await found(mime_type="image/png") == ["kind-0"]
    assert await found(limit=2) == ["kind-2", "kind-1"]
    assert await found(limit=9) == ["kind-2", "kind-1", "kind-0"]
    assert await found(limit=0) == []


async def test_a_limit_is_kept_over_pages(lading: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        await lading.upload(io.BytesIO(b"x"), name=f"paged-{number}", resume=False)
    monkeypatch.setattr(lookup, "PAGE", 2)
    for limit in (1, 2, 3, 5, 9, None):
        found = [each.name async for each in lading.list(name="paged-", limit=limit)]
        assert found == [f"paged-{number}" for number in (4, 3, 2, 1, 0)][:limit]


async def test_a_grant_to_upload(lading: Client, server: Process) -> None:
    minted = await lading.grant(
        name="granted.png", directory="g", max_size=10, mime_types=["image/*"], user_id="ann"
    )
    assert set(minted.raw) == {"id", "token", "url", "ws_url", "expires_at"}
    assert minted.token not in repr(minted)
    assert minted.url == f"{server.url}/v1/g/{minted.token}"
    assert minted.ws_url == server.channel
    async with httpx.AsyncClient(trust_env=False) as browser:
        sent = await browser.put(minted.url, content=b"x", headers={"Content-Type": "image/png"})
        assert (sent.status_code, sent.json()["user_id"]) == (201, "ann")
        assert (sent.json()["name"], sent.json()["directory"]) == ("granted.png", "g")
        assert (await browser.put(minted.url, content=b"x")).status_code == 403
    async with Client(server.url, (await lading.grant(uses=2)).token) as bearer:
        for name in ("a", "b"):
            await bearer.upload(io.BytesIO(b"by grant"), name=name)
        with pytest.raises(Forbidden):
            await bearer.upload(io.BytesIO(b"by grant"), name="c")


async def test_an_upload_by_a_grant_is_gone_on_with_under_the_name_that_the_grant_gave_it(
    lading: Client, server: Process, tmp_path: Path
) -> None:
    path = tmp_path / "mine.bin"
    path.write_bytes(Random(12).randbytes(64 * 2**20))
    minted = await lading.grant(name="theirs.bin", directory="granted")
    async with Client(server.url, minted.token, timing=AT_ONCE) as bearer:
        upload = bearer.upload(path, chunk_size=256 * 1024)
        async for progress in upload:
            if progress.stored >= 2**20:
                break
        await upload.stop()
        again = bearer.upload(path)
        file = await again
    assert (file.id, again.resumed_from >= 2**20) == (upload.id, True)
    assert (await lading.manifest(file.id)).name == "theirs.bin"


async def test_a_grant_to_download(lading: Client) -> None:
    file = await lading.upload(io.BytesIO(b"shown"), name="a")
    minted = await lading.grant(file.id, quality=0, expires_in=60)
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(minted.url)).content == b"shown"
    with pytest.raises(NotFound):
        await lading.grant("0" * 24)


async def test_addresses_of_a_server_that_knows_its_own_are_taken_as_they_are(
    tmp_path: Path, database_url: str
) -> None:
    # The public name is not one that this machine could look up; only what is told is looked at.
    public = "https://lading.test"
    async with inside(tmp_path, database_url, public_url=public) as server:
        port = server.server.servers[0].sockets[0].getsockname()[1]
        async with Client(f"http://127.0.0.1:{port}", server.token) as client:
            minted = await client.grant()
    assert minted.url == f"{public}/v1/g/{minted.token}"
    assert minted.ws_url == "wss://lading.test/v1/ws"


async def test_usage_and_quotas(lading: Client) -> None:
    own = await lading.usage()
    assert own.user_id == "admin"
    assert own == await lading.usage("admin")
    for user in ("jo", "a/b", "..", "jo@example.org", "é"):
        assert await lading.set_quota(user, 77) == Usage(user_id=user, used=0, reserved=0, quota=77)
        assert (await lading.usage(user)).quota == 77
        assert (await lading.set_quota(user, None)).quota is None


async def held(client: Client, name: str) -> list[Upload]:
    return [each for each in await client.uploads() if each.name == name]


async def test_what_is_stored_of_a_file_that_changed_is_kept(
    lading: Client, tmp_path: Path
) -> None:
    path = tmp_path / "changing.bin"
    path.write_bytes(Random(9).randbytes(20 * 2**20))  # more than is sent before the server answers

    def change(progress: Progress) -> None:
        if progress.state is State.SENDING:
            path.write_bytes(b"changed")

    upload = lading.upload(path, on_progress=change)
    with pytest.raises(SourceChanged):
        await upload
    assert upload.id is not None
    assert [each.id for each in await held(lading, path.name)] == [upload.id]
    await lading.delete(upload.id)


async def test_an_upload_that_is_gone_on_with_gets_the_tags_that_it_lacks(
    lading: Client, tmp_path: Path
) -> None:
    path = tmp_path / "tagged.bin"
    with path.open("wb") as file:
        file.truncate(40_000_000)
    first = lading.upload(path, tags=["a"])
    async for progress in first:
        if progress.state is State.SENDING:
            break
    await first.stop()
    assert len(await held(lading, path.name)) == 1
    again = lading.upload(path, tags=["b"])
    done = await again
    assert (done.id, again.tagged) == (first.id, True)
    assert (await lading.manifest(done.id)).tags == ("a", "b")


async def test_a_stream_for_which_there_is_no_room_leaves_nothing(lading: Client) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield bytes(10_000)

    own = await lading.usage()
    await lading.set_quota("admin", own.used + own.reserved + 1000)
    upload = lading.upload(blocks(), name="much.bin")
    try:
        with pytest.raises(QuotaExceeded):
            await upload
    finally:
        await lading.set_quota("admin", None)
    assert upload.id is not None
    assert await held(lading, "much.bin") == []


async def test_a_deletion_whose_answer_is_lost_is_no_failure(
    lading: Client, server: Process
) -> None:
    file = await lading.upload(io.BytesIO(b"x"), name="a")
    async with (
        network(server.port, deaf=[1]) as between,
        Client(between.url, server.token, timing=AT_ONCE) as cut_off,
    ):
        await cut_off.delete(file.id)
        assert between.cut_count == 1
        with pytest.raises(NotFound):
            await cut_off.delete(file.id)


async def test_unfinished_uploads_are_listed(lading: Client, server: Process) -> None:
    async with channel(server) as wire:
        upload = await wire.create(0, 10, fingerprint="f-1")
        (found,) = await lading.uploads("f-1")
        assert (found.id, found.missing, found.stored) == (upload["id"], ((0, 10),), 0)
        assert found.id in [each.id for each in await lading.uploads()]
        for call in (lading.status, lading.manifest):
            again = await call(upload["id"])
            assert isinstance(again, Upload)
            assert again.missing == ((0, 10),)
        await lading.delete(upload["id"])
        assert await lading.uploads("f-1") == ()


async def test_files_are_deleted(lading: Client) -> None:
    file = await lading.upload(io.BytesIO(b"x"), name="a")
    await lading.delete(file.id)
    for call in (lading.delete, lading.manifest, lading.status):
        with pytest.raises(NotFound):
            await call(file.id)
    with pytest.raises(InvalidArgument):
        await lading.delete("everything")


async def test_status(lading: Client) -> None:
    assert (await lading.status()).status == "ok"
    file = await lading.upload(io.BytesIO(b"x"), name="a")
    assert isinstance(await lading.status(file.id), Manifest)


async def test_a_wrong_token(server: Process) -> None:
    async with Client(server.url, "wrong") as client:
        with pytest.raises(Unauthorized):
            await client.uploads()
        with pytest.raises(Unauthorized):
            await client.upload(io.BytesIO(b"x"), name="a")


async def test_a_token_that_is_renewed(server: Process) -> None:
    given = iter(["wrong", server.token or ""])
    async with Client(server.url, lambda: next(given), timing=AT_ONCE) as client:
        await client.upload(io.BytesIO(b"x"), name="a")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _started(context: object) -> Process:
    found: Process = await asyncio.to_thread(context.__enter__)  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("signal", ["kill", "terminate"])
async def test_a_server_that_goes_and_comes_back(
    tmp_path: Path, database_url: str, signal: str
) -> None:
    body = Random(5).randbytes(64 * 2**20)
    (tmp_path / "a.bin").write_bytes(body)
    options = {"port": free_port(), "chunk_size": "256KiB"}
    first = process(tmp_path / "data", database_url, **options)
    second = process(tmp_path / "data", database_url, **options)
    running = await _started(first)
    try:
        async with Client(running.url, running.token) as client:
            upload = client.upload(tmp_path / "a.bin")
            task = asyncio.ensure_future(_wait(upload))
            await until(lambda: upload.progress.stored >= 2**20)
            getattr(running.child, signal)()
            await asyncio.to_thread(running.child.wait)
            assert not task.done()
            (tmp_path / "data" / "server.json").unlink(missing_ok=True)
            await _started(second)
            try:
                file = await task
            finally:
                await asyncio.to_thread(second.__exit__, None, None, None)
    finally:
        await asyncio.to_thread(first.__exit__, None, None, None)
    assert file.sha256 == hashlib.sha256(body).hexdigest()
    assert upload.connections >= 2
    if signal == "terminate":
        assert upload.bytes_sent == len(body)  # what was in flight was acknowledged


async def _wait(upload: UploadTask) -> File:
    return await upload


async def test_two_clients_send_the_same_file_at_once(server: Process, tmp_path: Path) -> None:
    body = Random(10).randbytes(20 * 2**20)
    path = tmp_path / "twice.bin"
    path.write_bytes(body)
    async with (
        Client(server.url, server.token, timing=AT_ONCE) as one,
        Client(server.url, server.token, timing=AT_ONCE) as other,
    ):
        first = one.upload(path, chunk_size=256 * 1024)
        task = asyncio.ensure_future(_wait(first))
        await until(lambda: first.id is not None)
        second = other.upload(path)
        files = await asyncio.gather(task, _wait(second))
    assert files[0] == files[1]  # the second went on with what the first had begun
    assert files[0].sha256 == hashlib.sha256(body).hexdigest()


async def test_an_upload_can_be_stopped_and_gone_on_with(lading: Client, tmp_path: Path) -> None:
    path = tmp_path / "stopped.bin"
    path.write_bytes(Random(11).randbytes(64 * 2**20))
    upload = lading.upload(path, chunk_size=256 * 1024)
    async for progress in upload:
        if progress.stored >= 2**20:
            break
    await upload.stop()
    again = lading.upload(path)
    file = await again
    assert file.id == upload.id
    assert again.resumed_from >= 2**20
    assert again.bytes_sent == 64 * 2**20 - again.resumed_from
