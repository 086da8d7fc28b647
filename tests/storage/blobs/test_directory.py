"""The folders of a local home: what it refuses at the start, and what it never follows."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lading.protocol.errors import StorageFull, TooLarge, Unavailable
from lading.storage.blobs import directory as module
from lading.storage.blobs.base import Unusable
from lading.storage.blobs.directory import (
    LARGE,
    PRIVATE,
    PUBLIC,
    Directory,
    is_hole,
    translated,
    try_lock,
)

ID = "0123456789abcdef01234567"
NAME = f"{ID}.0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def made(root: Path) -> Iterator[Directory]:
    directory = Directory(str(root), create=True)
    yield directory
    directory.close()


def refused(root: Path, *, create: bool = True) -> str:
    """The one line that says what is wrong."""
    with pytest.raises(Unusable) as caught:
        Directory(str(root), create=create)
    text = str(caught.value)
    assert text.startswith(f"LADING_BLOBS=file://{root}: ")
    assert "\n" not in text
    return text.partition(": ")[2]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_and_found_again(root: Path, made: Directory) -> None:
    assert sorted(each.name for each in root.iterdir()) == ["incoming", "private", "public"]
    assert [mode(root / each) for each in ("incoming", "private", "public")] == [
        0o700,
        0o750,
        0o750,
    ]
    assert all(not list(each.iterdir()) for each in root.iterdir()), "the try-out left something"
    Directory(str(root), create=True).close()
    Directory(str(root), create=False).close()


def test_an_older_home_that_is_not_mounted_is_not_made(root: Path) -> None:
    assert refused(root, create=False) == "does not exist"
    root.mkdir()
    assert refused(root, create=False) == "incoming/ in it does not exist"
    assert list(root.iterdir()) == []


def test_a_parent_is_not_made(root: Path) -> None:
    assert refused(root / "below") == "cannot be made (No such file or directory)"


def test_a_file_is_no_directory(root: Path) -> None:
    root.write_text("")
    assert refused(root) == "is not a directory"


def test_a_link_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    root.symlink_to(tmp_path / "real")
    assert refused(root) == "is a symbolic link; name the directory itself"


@pytest.mark.parametrize("name", ["incoming", "private", "public"])
def test_a_link_or_a_file_in_it_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    root.mkdir()
    (tmp_path / "real").mkdir()
    (root / name).symlink_to(tmp_path / "real")
    assert refused(root) == f"{name}/ in it is a symbolic link; name the directory itself"
    (root / name).unlink()
    (root / name).write_text("")
    assert refused(root) == f"{name}/ in it is not a directory"


@pytest.mark.parametrize(
    ("call", "fails", "reason"),
    [
        ("open", errno.EACCES, "incoming/ in it cannot be written (Permission denied)"),
        ("open", errno.EROFS, "incoming/ in it cannot be written (Read-only file system)"),
        (
            "rename",
            errno.EXDEV,
            "private/ in it is on another file system than incoming; they must be on the same one",
        ),
        ("rename", errno.EACCES, "private/ in it cannot be written (Permission denied)"),
        (
            "lseek",
            errno.EINVAL,
            "incoming/ in it is on a file system without locks or holes (Invalid argument)",
        ),
    ],
)
def test_what_cannot_work_later_is_refused_at_the_start(
    root: Path, monkeypatch: pytest.MonkeyPatch, call: str, fails: int, reason: str
) -> None:
    # Tests run as root, whom no mode stops, so the system's answer is given for it.
    class Failing:
        def __getattr__(self, name: str) -> Any:
            return self._fail if name == call else getattr(os, name)

        def _fail(self, *arguments: Any, **options: Any) -> Any:
            if call == "open" and not str(arguments[0]).startswith(".try-"):
                return os.open(*arguments, **options)
            raise OSError(fails, os.strerror(fails))

    monkeypatch.setattr(module, "os", Failing())
    assert refused(root) == reason
    monkeypatch.undo()
    assert not list((root / "incoming").iterdir()), "the try-out left something"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, TooLarge),
        (errno.EIO, Unavailable),
    ],
)
def test_failures_of_the_disk_are_said_in_words(number: int, kind: type[Exception]) -> None:
    error = translated(OSError(number, os.strerror(number)))
    assert type(error) is kind


def fill(made: Directory, data: bytes = b"hallo") -> None:
    descriptor = made.open_incoming(NAME, create=True)
    assert descriptor is not None
    made.write(descriptor, data, 0)
    os.close(descriptor)


def test_what_a_killed_writer_of_a_picture_left_is_deleted(root: Path, made: Directory) -> None:
    fill(made)
    made.publish(NAME, ID, PRIVATE)
    folder = root / "private" / "67" / ID
    for name, age in ((".3.old", 60), (".3.young", 1), (".4.old", 60)):
        (folder / name).write_bytes(b"half")
        then = time.time() - age
        os.utime(folder / name, (then, then))
    assert made.write_beside(ID, "3", b"whole")
    assert made.read_beside(ID, "3") == b"whole"
    assert {each.name for each in folder.iterdir()} == {"0", "3", ".3.young", ".4.old"}


KEPT = [(ID, ["0"])]


def test_a_file_goes_to_its_final_place_and_back(root: Path, made: Directory) -> None:
    fill(made)
    made.publish(NAME, ID, PRIVATE)
    final = Path("67", ID, "0")
    assert (root / "private" / final).read_bytes() == b"hallo"
    assert (made.finished(ID), list(made.kept(PRIVATE)), made.incoming()) == (PRIVATE, KEPT, [])
    made.change_kind(ID, PRIVATE, PUBLIC)
    assert (root / "public" / final).read_bytes() == b"hallo"
    assert (made.finished(ID), list(made.kept(PRIVATE))) == (PUBLIC, [])
    assert mode(root / "public" / final) & 0o600 == 0o600
    made.delete_finished(ID)
    made.delete_finished(ID)
    assert made.finished(ID) is None
    assert list((root / "public" / "67").iterdir()) == []


def test_a_size_of_an_image_is_deleted_with_its_file(root: Path, made: Directory) -> None:
    fill(made)
    made.publish(NAME, ID, PUBLIC)
    (root / "public" / "67" / ID / "3").write_bytes(b"webp")
    made.delete_finished(ID)
    assert not (root / "public" / "67" / ID).exists()


def test_no_link_is_followed(root: Path, made: Directory, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (root / "incoming" / NAME).symlink_to(secret)
    for create in (False, True):
        with pytest.raises(OSError, match="symbolic links"):
            made.open_incoming(NAME, create=create)
    (tmp_path / ID).mkdir()
    (tmp_path / ID / "0").write_bytes(b"secret")
    (root / "private" / "67").symlink_to(tmp_path)
    assert made.open_finished(ID, PRIVATE) is None
    (root / "private" / "67").unlink()
    (root / "private" / "67").mkdir()
    (root / "private" / "67" / ID).symlink_to(tmp_path / ID)
    with pytest.raises(OSError, match="Not a directory"):
        made.open_finished(ID, PRIVATE)
    with pytest.raises(OSError, match="Not a directory"):
        made.delete_finished(ID)
    (root / "private" / "67" / ID).unlink()
    (root / "private" / "67" / ID).mkdir()
    (root / "private" / "67" / ID / "0").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        made.open_finished(ID, PRIVATE)
    made.delete_finished(ID)
    assert secret.read_bytes() == b"secret"


def test_locks_hold_between_descriptors_and_end_with_them(made: Directory) -> None:
    first, second = (made.open_incoming(NAME, create=True) for _ in range(2))
    assert first is not None
    assert second is not None
    assert try_lock(first, 2**50, 1)
    assert try_lock(second, 2**50 + 1, 1)
    assert not try_lock(second, 2**50, 1)
    assert not try_lock(second, 0, 0), "the whole file"
    os.close(first)
    assert try_lock(second, 0, 0)
    os.close(second)


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, 3 * LARGE + 5])
@pytest.mark.parametrize("knows", [True, False])
def test_only_large_writes_leave_the_cache_where_the_system_knows_how(
    made: Directory, monkeypatch: pytest.MonkeyPatch, size: int, knows: bool
) -> None:
    descriptor, data = made.open_incoming(NAME, create=True), os.urandom(size)
    assert descriptor is not None
    asked: list[int] = []

    def pwritev(file: int, buffers: list[memoryview], offset: int, flags: int) -> int:
        asked.append(flags)
        if flags and not knows:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        # A system may write less than it was asked to.
        return os.pwrite(file, buffers[0][:LARGE], offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", pwritev)
        made.write(descriptor, data, 7)
    assert os.pread(descriptor, size + 1, 7) == data
    large = [0x80] if size >= LARGE else []
    assert asked[:1] == (large or [0])
    if not knows:
        assert asked.count(0x80) == len(large), "an older system is asked once"
    made.write(descriptor, data, 7)
    assert os.pread(descriptor, size + 1, 7) == data, "and the system of this machine"
    os.close(descriptor)


def test_a_hole_is_where_nothing_was_written(made: Directory) -> None:
    descriptor = made.open_incoming(NAME, create=True)
    assert descriptor is not None
    made.write(descriptor, b"x" * 2**16, 2**20)
    assert is_hole(descriptor, 0, 2**20)
    assert not is_hole(descriptor, 2**20, 1)
    assert not is_hole(descriptor, 2**20 - 1, 2)
    assert is_hole(descriptor, 2**21, 5)
    os.close(descriptor)
