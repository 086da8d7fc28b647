from __future__ import annotations

import errno
import hashlib
import io
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lading.client.target as target_module
from lading.client.errors import TargetExists, TargetFailed
from lading.client.target import LONGEST_NAME, Check, FileTarget, PipeTarget, safe_name
from lading.client.types import File
from lading.protocol.digests import crc32c

if TYPE_CHECKING:
    from typing_extensions import Buffer

BODY = b"0123456789" * 100


def expected(body: bytes = BODY, *, sha256: bool = True, file_id: str = "0" * 24) -> File:
    digest = hashlib.sha256(body).hexdigest() if sha256 else None
    return File(
        id=file_id,
        name="a.bin",
        size=len(body),
        mime_type="application/octet-stream",
        sha256=digest,
        crc32c=crc32c(body),
        url=f"http://localhost/v1/files/{file_id}",
    )


@pytest.fixture
def target(tmp_path: Path) -> FileTarget:
    return FileTarget(tmp_path / "a.bin", expected(), overwrite=False)


# -- files -----------------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_whole(target: FileTarget) -> None:
    assert target.open() == 0
    target.write(BODY[:400])
    assert not target.path.exists()
    target.write(BODY[400:])
    assert target.matches()
    target.finish()
    target.close()
    assert target.path.read_bytes() == BODY
    assert not target.part.exists()


def test_what_an_earlier_run_left_counts(target: FileTarget) -> None:
    target.part.write_bytes(BODY[:300])
    assert target.open() == 300
    target.write(BODY[300:])
    assert target.matches()
    target.finish()
    target.close()
    assert target.path.read_bytes() == BODY


def test_what_is_longer_than_the_file_does_not(target: FileTarget) -> None:
    target.part.write_bytes(BODY + b"x")
    assert target.open() == 0
    target.close()


def test_beginning_anew(target: FileTarget) -> None:
    target.part.write_bytes(b"x" * 300)
    target.open()
    assert target.restart()
    assert target.offset == 0
    target.write(BODY)
    assert target.matches()
    target.finish()
    target.close()
    assert target.path.read_bytes() == BODY


def test_a_file_is_not_replaced(target: FileTarget) -> None:
    target.path.write_bytes(b"mine")
    with pytest.raises(TargetExists, match=r"a\.bin already exists"):
        target.open()
    assert target.path.read_bytes() == b"mine"
    assert not target.part.exists()


def test_nor_one_that_came_meanwhile(target: FileTarget) -> None:
    target.open()
    target.write(BODY)
    target.path.write_bytes(b"mine")
    with pytest.raises(TargetExists):
        target.finish()
    target.close()
    assert target.path.read_bytes() == b"mine"


def test_unless_that_is_wished(tmp_path: Path) -> None:
    target = FileTarget(tmp_path / "a.bin", expected(), overwrite=True)
    target.path.write_bytes(b"mine")
    target.open()
    target.write(BODY)
    target.finish()
    target.close()
    assert target.path.read_bytes() == BODY


def test_nor_one_that_came_in_the_last_moment(
    target: FileTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.open()
    target.write(BODY)
    looked = target._refuse_existing

    def look_before_it_comes() -> None:
        looked()
        target.path.write_bytes(b"mine")

    monkeypatch.setattr(target, "_refuse_existing", look_before_it_comes)
    with pytest.raises(TargetExists):
        target.finish()
    target.close()
    assert target.path.read_bytes() == b"mine"


def test_a_disk_without_hard_links(target: FileTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object, **_options: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    target.open()
    target.write(BODY)
    target.finish()
    target.close()
    assert target.path.read_bytes() == BODY
    assert not target.part.exists()


def test_files_of_one_name_do_not_share_a_part(target: FileTarget) -> None:
    other_body = BODY[::-1]
    other = FileTarget(target.path, expected(other_body, file_id="1" * 24), overwrite=False)
    for each, body in [(target, BODY), (other, other_body)]:
        assert each.open() == 0
        each.write(body[:500])
    target.write(BODY[500:])
    target.finish()
    target.close()
    other.write(other_body[500:])
    with pytest.raises(TargetExists):
        other.finish()
    other.close()
    assert target.path.read_bytes() == BODY


def test_one_run_writes_a_file_at_a_time(target: FileTarget) -> None:
    target.open()
    target.write(BODY[:500])
    other = FileTarget(target.path, expected(), overwrite=True)
    with pytest.raises(TargetFailed, match=r"a\.bin is being written by another run"):
        other.open()
    other.close()
    target.close()
    assert other.open() == 500
    other.write(BODY[500:])
    other.finish()
    other.close()
    assert target.path.read_bytes() == BODY


@pytest.mark.parametrize("number", sorted(target_module.UNLOCKABLE))
def test_a_disk_without_locks(
    target: FileTarget, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    target.open()
    target.write(BODY[:500])
    other = FileTarget(target.path, expected(), overwrite=False)
    assert other.open() == 500
    other.write(BODY[500:600])
    target.write(BODY[500:])
    with pytest.raises(TargetFailed, match="was also written by another run"):
        target.finish()
    for each in (target, other):
        each.close()
    assert target.open() == 0
    target.write(BODY)
    target.finish()
    target.close()
    assert target.path.read_bytes() == BODY


def test_a_disk_that_fails_to_lock(target: FileTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(TargetFailed, match="Input/output error"):
        target.open()
    target.close()


def test_what_another_run_finished_meanwhile_is_left_alone(
    target: FileTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.open()
    target.write(BODY)
    lock = target_module._lock

    def finish_first(file: BinaryIO) -> bool:
        monkeypatch.undo()
        target.finish()
        target.close()
        return lock(file)

    monkeypatch.setattr(target_module, "_lock", finish_first)
    other = FileTarget(target.path, expected(), overwrite=True)
    assert other.open() == 0
    other.write(b"x")
    other.close()
    assert target.path.read_bytes() == BODY


def test_a_part_that_has_its_last_name_already_is_left_alone(target: FileTarget) -> None:
    target.path.write_bytes(BODY[:500])
    target.part.hardlink_to(target.path)  # as a run leaves it that is killed between the two
    other = FileTarget(target.path, expected(), overwrite=True)
    assert other.open() == 0
    other.write(b"x")
    other.close()
    assert target.path.read_bytes() == BODY[:500]


def test_a_part_that_was_taken_away(target: FileTarget) -> None:
    target.open()
    target.write(BODY)
    target.part.unlink()
    target.part.write_bytes(BODY[:500])
    with pytest.raises(TargetFailed, match="was removed"):
        target.finish()
    target.close()
    assert not target.path.exists()


def test_a_name_that_leaves_no_room_for_the_id(tmp_path: Path) -> None:
    target = FileTarget(tmp_path / ("é" * 127), expected(), overwrite=False)
    target.open()
    target.write(BODY)
    target.finish()
    target.close()
    assert target.path.read_bytes() == BODY


def test_a_directory_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(TargetExists, match="directory"):
        FileTarget(tmp_path, expected(), overwrite=True).open()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    target = FileTarget(tmp_path / "missing" / "a.bin", expected(), overwrite=False)
    with pytest.raises(TargetFailed, match="cannot be written: No such file"):
        target.open()
    target.close()


def test_a_full_disk() -> None:
    target = FileTarget(Path("/dev/full.bin"), expected(), overwrite=False)
    target._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123
    with pytest.raises(TargetFailed, match="No space left"):
        target.write(BODY)
    target.close()


# -- pipes -----------------------------------------------------------------------------------------


def test_a_pipe_takes_bytes_as_they_come() -> None:
    file = io.BytesIO()
    target = PipeTarget(file, expected())
    assert target.open() == 0
    target.write(BODY)
    assert target.matches()
    assert not target.restart()
    target.finish()
    target.close()
    assert file.getvalue() == BODY


def test_a_pipe_that_nobody_reads() -> None:
    read, write = os.pipe()
    os.close(read)
    with io.FileIO(write, "wb") as file, pytest.raises(TargetFailed, match="Broken pipe"):
        PipeTarget(file, expected()).write(BODY)


class Raw(io.RawIOBase):
    """Takes `at_once` bytes of what it is given and `room` in all, as raw files and pipes may."""

    def __init__(self, at_once: int, room: int) -> None:
        self.at_once = at_once
        self.room = room
        self.taken = bytearray()

    def write(self, data: Buffer, /) -> int | None:
        some = bytes(data)[: min(self.at_once, self.room - len(self.taken))]
        self.taken += some
        return len(some) or None


def test_a_pipe_that_takes_a_part_of_what_it_is_given() -> None:
    file = Raw(at_once=7, room=len(BODY))
    target = PipeTarget(cast(BinaryIO, file), expected())
    target.write(BODY)
    target.finish()
    assert file.taken == BODY
    assert target.matches()


def test_a_pipe_that_takes_no_more() -> None:
    target = PipeTarget(cast(BinaryIO, Raw(at_once=7, room=100)), expected())
    with pytest.raises(TargetFailed, match="accepts no more"):
        target.write(BODY)


def test_what_is_like_a_file_and_gives_no_number() -> None:
    class Plain:
        def __init__(self) -> None:
            self.taken = b""

        def write(self, data: bytes) -> None:
            self.taken += data

    file = Plain()
    PipeTarget(cast(BinaryIO, file), expected()).write(BODY)
    assert file.taken == BODY


def test_a_disk_that_is_full_at_the_end() -> None:
    with ExitStack() as stack:
        file = stack.enter_context(Path("/dev/full").open("wb"))
        target = PipeTarget(file, expected())
        target.write(BODY)
        with pytest.raises(TargetFailed, match="No space left"):
            target.finish()
        with pytest.raises(OSError, match="No space left"):
            file.close()


# -- checks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sha256", [True, False])
def test_bytes_are_checked(sha256: bool) -> None:
    for body, matches in [(BODY, True), (BODY[:-1], False), (BODY[:-1] + b"x", False)]:
        check = Check(expected(sha256=sha256))
        check.update(body[:7])
        check.update(body[7:])
        assert check.matches() is matches


def test_an_empty_file_is_checked() -> None:
    assert Check(expected(b"")).matches()
    assert Check(expected(b"", sha256=False)).matches()


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("movie.mp4", "movie.mp4"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/shadow", "shadow"),
        ("C:evil.exe", "C_evil.exe"),
        (".bashrc", "_bashrc"),
        ("a\r\nb\x1b[31m.txt", "a__b_[31m.txt"),
        ("gpj.\u202eexe", "gpj._exe"),
        ("ünïcode 🎬.mp4", "ünïcode 🎬.mp4"),
        ("..", "otherwise"),
        ("a/", "otherwise"),
        ("   ", "otherwise"),
        ("\x00\x00", "otherwise"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name, "otherwise") == safe


def test_a_long_name_keeps_its_ending() -> None:
    safe = safe_name("é" * 300 + ".mp4", "otherwise")
    assert safe.endswith("é.mp4")
    assert len(safe.encode()) <= LONGEST_NAME


@given(st.text(min_size=1, max_size=400))
@example("." * 300)
@example("a." + "b" * 300)
def test_any_name_is_safe(name: str) -> None:
    safe = safe_name(name, "0" * 24)
    assert safe
    assert safe.isprintable()
    assert safe not in (".", "..")
    assert not set(safe) & set("/\\\0")
    assert not safe.startswith(".")
    assert len(safe.encode("utf-8", "surrogateescape")) <= LONGEST_NAME
