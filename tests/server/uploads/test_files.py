"""Finished files as their owner looks after them."""

from __future__ import annotations

from typing import Any

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import Forbidden, InvalidArgument, NotFound
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.storage.collections.manifests import FileFilter, Manifests
from tests.support.parts import ANN, BOB, Parts

DATA = b"some bytes"


async def stored(parts: Parts, name: str, directory: str = "", owner: Principal = ANN) -> str:
    """A finished file; its id."""
    spec = UploadSpec(name=name, directory=directory, size=len(DATA))
    upload = await parts.uploads.create(owner, spec)
    await parts.uploads.write(upload, 0, DATA, crc32c(DATA))
    return (await parts.uploads.finish(owner, upload.manifest.id)).id


async def names(parts: Parts, principal: Principal = ANN, **wanted: Any) -> list[str]:
    found = await parts.library.files(principal, wanted=FileFilter(**wanted))
    return [manifest.name for manifest in found]


async def test_a_list_has_the_owners_finished_files_the_newest_first(parts: Parts) -> None:
    for name in ("one", "two", "three"):
        await stored(parts, name)
    await stored(parts, "not mine", owner=BOB)
    await parts.uploads.create(ANN, UploadSpec(name="not finished", size=1))
    assert await names(parts) == ["three", "two", "one"]
    assert await names(parts, BOB) == ["not mine"]


async def test_a_list_goes_on_where_a_page_ended(parts: Parts) -> None:
    for name in ("one", "two", "three"):
        await stored(parts, name)
    first = await parts.library.files(ANN, most=2)
    rest = await parts.library.files(ANN, before=first[-1].id, most=2)
    assert [[each.name for each in page] for page in (first, rest)] == [["three", "two"], ["one"]]


async def test_what_is_said_of_a_file_is_changed_and_the_rest_stays(parts: Parts) -> None:
    file_id = await stored(parts, "old", "a/b")
    changed = await parts.library.change(ANN, file_id, name="new", tags=("x", "y"))
    assert (changed.name, changed.directory, changed.tags) == ("new", "a/b", ("x", "y"))
    moved = await parts.library.change(ANN, file_id, directory="c")
    assert (moved.name, moved.directory, moved.tags) == ("new", "c", ("x", "y"))
    assert await parts.uploads.get(ANN, file_id) == moved


async def test_a_change_that_is_not_allowed_changes_nothing(parts: Parts) -> None:
    file_id = await stored(parts, "old")
    with pytest.raises(InvalidArgument):
        await parts.library.change(ANN, file_id, name="", directory="c")
    with pytest.raises((NotFound, Forbidden)):
        await parts.library.change(BOB, file_id, name="mine now")
    manifest = await parts.uploads.get(ANN, file_id)
    assert (manifest.name, manifest.directory) == ("old", "")


async def test_a_file_that_is_deleted_meanwhile_is_not_changed(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id, describe = await stored(parts, "old"), Manifests.change

    async def late(manifests: Manifests, *arguments: Any, **options: Any) -> Any:
        await parts.uploads.delete(ANN, file_id)
        return await describe(manifests, *arguments, **options)

    monkeypatch.setattr(Manifests, "change", late)
    with pytest.raises(NotFound):
        await parts.library.change(ANN, file_id, name="new")


async def test_a_directory_is_deleted_with_those_below_and_no_other(parts: Parts) -> None:
    for directory in ("a", "a/b", "a/b/c", "ab", "", "b/a"):
        await stored(parts, f"in {directory}", directory)
    await stored(parts, "not mine", "a", owner=BOB)
    assert await parts.library.remove_directory(ANN, "a") == 3
    assert await names(parts) == ["in b/a", "in ", "in ab"]
    assert await names(parts, BOB) == ["not mine"]
    assert await parts.library.remove_directory(ANN, "a") == 0
    assert await parts.audit() == []


async def test_of_two_who_delete_a_directory_each_counts_what_it_found(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await stored(parts, str(number), "a")
    found = await parts.library.files(ANN)
    await elsewhere.uploads.delete(ANN, found[0].id)
    pages = iter([found, [], []])

    async def files(*_: Any, **__: Any) -> Any:
        return next(pages)

    monkeypatch.setattr(parts.library, "files", files)
    assert await parts.library.remove_directory(ANN, "a") == 2
