"""The client without an event loop is the other one, method by method."""

from __future__ import annotations

import inspect
import threading
import zipfile
from pathlib import Path

import pytest

from lading import Client, LadingError, SyncClient
from lading.client.blocking import SyncWebhooks
from lading.client.types import Manifest
from lading.client.webhooks import Webhooks
from lading.protocol.errors import InvalidArgument
from tests.support.servers import Process


def public(kind: type) -> dict[str, object]:
    found: dict[str, object] = {}
    for each in kind.__mro__:
        found |= {name: value for name, value in vars(each).items() if name not in found}
    return {name: value for name, value in found.items() if not name.startswith("_")}


def test_it_has_every_method_of_the_other_with_the_same_arguments() -> None:
    own, others = public(SyncClient), public(Client)
    assert set(own) - {"address"} == set(others)
    assert isinstance(own["webhooks"], property)
    for name in (set(others) - {"webhooks"}) | {"__init__"}:
        assert_same(SyncClient, Client, name)
    assert set(public(SyncWebhooks)) == set(public(Webhooks))
    for name in public(Webhooks):
        assert_same(SyncWebhooks, Webhooks, name)


def assert_same(kind: type, other: type, name: str) -> None:
    ours, theirs = (inspect.signature(getattr(each, name)) for each in (kind, other))
    assert [*ours.parameters.values()][1:] == [*theirs.parameters.values()][1:], name
    assert getattr(kind, name).__doc__ or name in ("__init__", "close")


@pytest.fixture
def client(server: Process) -> SyncClient:
    return SyncClient(server.url, server.token)


def test_files_go_up_and_come_down(client: SyncClient, tmp_path: Path) -> None:
    seen: list[int] = []
    (tmp_path / "a.bin").write_bytes(b"0123456789" * 300_000)
    with client:
        file = client.upload(
            tmp_path / "a.bin",
            directory="sync-client",
            on_progress=lambda progress: seen.append(progress.stored),
        )
        assert seen[-1] == file.size == 3_000_000
        assert client.download(file.id, tmp_path / "b.bin") == tmp_path / "b.bin"
        assert (tmp_path / "b.bin").read_bytes() == (tmp_path / "a.bin").read_bytes()
        assert b"".join(client.read(file.id, start=5, end=25)) == b"56789012345678901234"
        assert b"".join(client.read(file.id, start=5, end=5)) == b""
        client.rename(file.id, "c.bin")
        client.move(file.id, "sync-client/deep")
        client.tag(file.id, add=["x", "y"])
        changed = client.tag(file.id, remove=["x"])
        assert (changed.path, changed.tags) == ("sync-client/deep/c.bin", ("y",))
        assert [each.id for each in client.list(directory="sync-client", recursive=True)] == [
            file.id
        ]
        assert client.find("sync-client/deep/c.bin").id == file.id
        assert isinstance(client.status(file.id), Manifest)
        assert client.status().status == "ok"
        client.delete(file.id)


def test_bytes_that_a_program_makes(client: SyncClient) -> None:
    with client:
        file = client.upload((bytes([n]) * 100_000 for n in range(20)), name="made.bin")
        assert file.size == 2_000_000
        blocks = client.read(file.id)
        assert next(blocks)[:1] == b"\0"
        client.delete(file.id)


def test_grants_media_and_tags(client: SyncClient, tmp_path: Path) -> None:
    with client:
        file = client.upload([b"hello"], name="hello.txt")
        grant = client.grant(file.id, expires_in=60)
        assert grant.id in [each.id for each in client.grants()]
        assert client.download(grant.url, tmp_path / "by-link.txt") == tmp_path / "by-link.txt"
        client.revoke(grant.id)
        with pytest.raises(LadingError):
            client.download(grant.url, tmp_path / "again.txt")
        medium = client.announce("m.txt", size=5, sha256="0" * 64)
        assert (medium.upload is not None, medium.download) == (True, None)
        assert client.medium(file.id).download is not None
        client.create_tag("sync-client-tag")
        assert client.rename_tag("sync-client-tag", "sync-client-tag-2").files == 0
        assert "sync-client-tag-2" in [each.name for each in client.tags()]
        client.delete_tag("sync-client-tag-2")
        client.delete(medium.file.id)
        client.delete(file.id)


def test_what_an_admin_does(client: SyncClient) -> None:
    with client:
        added = client.webhooks.add("https://1.1.1.1/hook", ["quota.exceeded"])
        assert added["id"] in [each["id"] for each in client.webhooks.all()]
        assert client.webhooks.disable(added["id"])["enabled"] is False
        assert [*client.webhooks.log(added["id"])] == []
        client.webhooks.remove(added["id"])
        assert next(client.audit(act="webhook-removed"))["detail"] == added["id"]


def test_an_archive_is_resumed(client: SyncClient, tmp_path: Path) -> None:
    with client:
        made = [client.upload([b"x" * 50_000], name=f"{n}.txt", directory="arc").id for n in "ab"]
        whole = client.archive(tmp_path / "whole.zip", directory="arc")
        assert whole is not None
        data = whole.read_bytes()
        assert [info.filename for info in zipfile.ZipFile(whole).infolist()] == [
            "arc/a.txt",
            "arc/b.txt",
        ]
        seen: list[int] = []
        (part,) = _parts_of(client, tmp_path, data[:60_000])
        client.archive(
            tmp_path / "again.zip", directory="arc", on_progress=lambda p: seen.append(p.stored)
        )
        assert (seen[0], part.exists()) == (60_000, False)
        assert (tmp_path / "again.zip").read_bytes() == data
        for each in made:
            client.delete(each)


def _parts_of(client: SyncClient, folder: Path, begun: bytes) -> list[Path]:
    """What an interrupted download leaves."""

    def interrupt(_progress: object) -> None:
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        client.archive(folder / "again.zip", directory="arc", on_progress=interrupt)
    parts = list(folder.glob("again.zip.*.part"))
    for each in parts:
        each.write_bytes(begun)
    return parts


def test_errors_are_those_of_the_other(client: SyncClient) -> None:
    with client, pytest.raises(InvalidArgument):
        client.find("nothing of this name")


def test_two_threads_may_use_it(client: SyncClient) -> None:
    ids: list[str] = []

    def work(number: int) -> None:
        ids.append(client.upload([b"x" * 100], name=f"thread-{number}").id)

    with client:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(set(ids)) == 4
        for made in ids:
            client.delete(made)


def test_its_thread_ends_with_it(client: SyncClient) -> None:
    def running() -> int:
        return sum(each.name == "lading-client" for each in threading.enumerate())

    before = running()
    client.close()
    assert running() == before - 1
