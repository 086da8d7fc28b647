"""The archive of `lading export`: what is written is what is read, also by tar itself."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol import archive
from lading.protocol.archive import ArchivedFile, file_document, parse_file
from lading.protocol.errors import InvalidArgument
from lading.protocol.manifest import MAX_INTEGER

FILE = ArchivedFile(
    id="6b0179176249a43ed26a4b6e",
    user_id="ann",
    name="Größe 1.mp4",
    directory="a/b",
    size=5,
    mime_type="video/mp4",
    sha256="0" * 64,
    crc32c=7,
    tags=("x", "y z"),
    public=True,
    kind="avatar",
    meta="filename YQ==",
    media={"width": 3, "streams": [{"codec": "vp9"}]},
    created_at=1_700_000_000.25,
    sender="Aunt Mia",
)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(
    name=TEXT,
    user_id=TEXT,
    size=st.integers(0, MAX_INTEGER),
    sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    crc32c=st.none() | st.integers(0, 2**32 - 1),
    public=st.booleans(),
    kind=st.none() | st.just("k"),
    created_at=st.floats(0, 4e9),
)
def test_a_manifest_is_read_as_it_was_written(**fields: Any) -> None:
    file = replace(
        FILE, **{**fields, "name": fields["name"][:1024], "user_id": fields["user_id"][:256]}
    )
    line = file_document(file)
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert parse_file(line) == file


def test_what_is_given_is_all_there_is() -> None:
    facts = json.loads(file_document(FILE))
    assert facts["_id"] == FILE.id
    assert {*facts} == {"_id", *ArchivedFile.__slots__} - {"id"}


@pytest.mark.parametrize(
    "changed",
    [
        {"_id": "../../etc/passwd"},
        {"_id": 5},
        {"user_id": ""},
        {"user_id": None},
        {"name": ""},
        {"name": "a\0b"},
        {"name": "x" * 1025},
        {"name": 5},
        {"directory": None},
        {"size": -1},
        {"size": 2**53},
        {"size": 1.0},
        {"size": True},
        {"size": None},
        {"mime_type": "nonsense"},
        {"sha256": "0"},
        {"crc32c": "7"},
        {"crc32c": 2**32},
        {"tags": ["."]},
        {"tags": "x"},
        {"tags": 5},
        {"public": 1},
        {"kind": ""},
        {"meta": 5},
        {"media": []},
        {"created_at": "yesterday"},
        {"created_at": float("nan")},
        {"created_at": 1e300},
        {"created_at": -1},
        {"modified_at": "yesterday"},
        {"expires_at": float("nan")},
        {"expires_at": True},
        {"sender": ""},
        {"sender": "x" * 129},
        {"sender": 5},
        {"todo": ["move"]},
    ],
)
def test_other_manifests_are_refused(changed: dict[str, Any]) -> None:
    facts = json.loads(file_document(FILE)) | changed
    with pytest.raises(InvalidArgument):
        parse_file(json.dumps(facts).encode())


@pytest.mark.parametrize("missing", ["_id", "size", "media"])
def test_a_manifest_that_lacks_something_is_refused(missing: str) -> None:
    facts = json.loads(file_document(FILE))
    del facts[missing]
    with pytest.raises(InvalidArgument):
        parse_file(json.dumps(facts).encode())


def test_a_manifest_of_an_older_version_tells_less() -> None:
    facts = json.loads(file_document(FILE))
    del facts["modified_at"], facts["expires_at"], facts["sender"]
    file = parse_file(json.dumps(facts).encode())
    assert (file.modified_at, file.expires_at, file.sender) == (None, None, None)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
def test_documents_that_are_none_are_refused(data: bytes) -> None:
    for parse in (archive.parse_document, parse_file, archive.check_format):
        with pytest.raises(InvalidArgument):
            parse(data)


def test_the_format_is_known() -> None:
    said = {"format": archive.FORMAT, "version": archive.VERSION}
    assert archive.check_format(archive.document({**said, "files": 3, "bytes": 9})) == (3, 9)
    assert archive.check_format(archive.document({**said, "files": "x"})) == (0, 0)
    for other in ({"format": "x"}, {"version": 2}):
        with pytest.raises(InvalidArgument):
            archive.check_format(archive.document(said | other))


def test_members_are_those_of_a_tar_file() -> None:
    content = bytes(1000)
    name = archive.member_of(FILE.id, archive.CONTENT)
    written = (
        archive.whole_member(archive.FIRST, b"{}\n", 5.5)
        + archive.header(name, len(content))
        + content
        + archive.padding(len(content))
        + archive.CLOSING
    )
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        first, second = tar.getmembers()
        assert (first.name, first.size, first.mtime, first.mode) == (archive.FIRST, 3, 5, 0o600)
        found = tar.extractfile(second)
        assert found is not None
        assert (second.name, found.read()) == (name, content)


@pytest.mark.parametrize("size", [0, 511, 512, 513, 2**33, MAX_INTEGER])
def test_members_have_any_size(size: int) -> None:
    head = archive.header(archive.member_of(FILE.id, archive.CONTENT), size)
    assert len(head) % 512 == 0
    assert (size + len(archive.padding(size))) % 512 == 0
    stream = io.BytesIO(head)
    member = tarfile.TarFile.open(fileobj=stream, mode="r|").next()
    assert member is not None
    assert member.size == size


def test_names_of_members_tell_the_file_and_the_part() -> None:
    assert archive.split_member(archive.member_of(FILE.id, archive.DIGEST)) == (
        FILE.id,
        archive.DIGEST,
    )
    for other in ("end.json", "files/x/content", f"/files/{FILE.id}/content", f"files/{FILE.id}/"):
        assert archive.split_member(other) is None
