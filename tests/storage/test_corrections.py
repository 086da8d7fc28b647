"""Documents of the old form are found after a start, as if they had been written today."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from bson import ObjectId

from lading.protocol.spec import UploadSpec
from lading.storage.collections.manifests import FileFilter
from lading.storage.corrections import NAMES
from lading.storage.database import Database
from tests.support.parts import ANN, Parts

NFC = "Zoë"
NFD = unicodedata.normalize("NFD", NFC)


@pytest.fixture
def parts(database: Database) -> Parts:
    return Parts(database)


async def old(parts: Parts, name: str, directory: str, *tags: str) -> ObjectId:
    """A file as an older version wrote it."""
    upload = await parts.uploads.create(ANN, UploadSpec(name="x", size=0))
    await parts.uploads.finish(ANN, upload.manifest.id)
    found = ObjectId(upload.manifest.id)
    await parts.database.manifests.update_one(
        {"_id": found},
        {"$set": {"name": name, "directory": directory, "tags": list(tags)},
         "$unset": {"name_nfc": "", "name_key": "", "modified_key": ""}},
    )  # fmt: skip
    return found


async def names(parts: Parts, **wanted: Any) -> list[str]:
    files = await parts.library.files(ANN, wanted=FileFilter(**wanted))
    return sorted(file.id for file in files)


async def test_old_documents_are_found_and_keep_their_names(parts: Parts) -> None:
    first = await old(parts, f"{NFD}.txt", f"/{NFD}//b/", NFD, "v")
    second = await old(parts, f"{NFC}.txt", f"{NFC}/b", NFC)
    third = await old(parts, "plain", "")
    for name in (NFD, NFC):
        await parts.database.tags.insert_one(
            {"user_id": "ann", "name": name, "created_at": 0.0, "instead_of": None}
        )
    await parts.storage.corrections.once(pause=0)
    both = sorted([str(first), str(second)])
    for form in (NFC, NFD):
        assert await names(parts, name=form) == both
        assert await names(parts, directory=f"{form}/b") == both
        assert await names(parts, below=form) == both
        assert await names(parts, tags=(form,)) == both
    assert await names(parts, name="Zoe") == []
    assert (await parts.manifests.get(str(first))).name == f"{NFD}.txt"  # type: ignore[union-attr]
    tags = await parts.storage.tags.list("ann", after=None, most=9)
    assert [(tag.name, tag.files) for tag in tags] == [(NFC, 2)]
    assert await names(parts, directory="") == [str(third)]


async def test_it_goes_on_where_it_stopped(parts: Parts, database: Database) -> None:
    await old(parts, NFD, "/a")
    await parts.storage.corrections.once(pause=0)
    mark = await database.marks.find_one({"_id": NAMES})
    later = await old(parts, NFD, "/b")
    await parts.storage.corrections.once(pause=0)
    assert await names(parts, directory="b") == [str(later)]
    assert mark["last"] < (await database.marks.find_one({"_id": NAMES}))["last"]


async def test_what_an_older_server_beside_it_wrote_late_is_found(parts: Parts) -> None:
    """Its id lies before the mark that another document has left."""
    late = await old(parts, NFD, "/late")
    document = await parts.database.manifests.find_one_and_delete({"_id": late})
    await old(parts, NFD, "/a")
    await parts.storage.corrections.once(pause=0)
    await parts.database.manifests.insert_one(document)
    await parts.storage.corrections.once(pause=0)
    assert await names(parts, directory="late") == [str(late)]


async def test_a_change_in_the_meantime_wins(parts: Parts) -> None:
    file = await old(parts, NFD, "/a")
    read = await parts.database.manifests.find_one({"_id": file})
    await parts.library.change(ANN, str(file), name="new", directory="c")
    await parts.manifests._correct(read)
    manifest = await parts.manifests.get(str(file))
    assert manifest is not None
    assert (manifest.name, manifest.directory) == ("new", "c")
    assert await names(parts, name="new", directory="c/") == [str(file)]
