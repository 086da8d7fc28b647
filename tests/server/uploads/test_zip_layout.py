"""The layout of archives, judged by Python's zipfile and Info-ZIP's unzip."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lading.protocol.digests import crc32_combine
from lading.server.uploads.zip_layout import Entry, Layout, is_large

GIB = 2**30
NOW = datetime(2026, 11, 29, 16, 30, 7, tzinfo=UTC).timestamp()


def zeros(size: int) -> int:
    """The CRC-32 of so many zero bytes."""
    block, crc = zlib.crc32(bytes(2**20)), 0
    for _ in range(size >> 20):
        crc = crc32_combine(crc, block, 2**20)
    return zlib.crc32(bytes(size & (2**20 - 1)), crc)


def written(path: Path, entries: Sequence[tuple[Entry, bytes | None]]) -> Layout:
    """An archive as a file; None stands for zero bytes, which take no space on the disk."""
    layout = Layout([entry for entry, _ in entries])
    crcs = [zeros(e.size) if data is None else zlib.crc32(data) for e, data in entries]
    with path.open("wb") as file:
        for index, (entry, data) in enumerate(entries):
            assert file.tell() == layout.heads[index]
            file.write(layout.head(index))
            if data is None:
                file.seek(entry.size, io.SEEK_CUR)
            else:
                file.write(data)
            file.write(layout.descriptor(index, crcs[index]))
        assert file.tell() == layout.directory
        for index, crc in enumerate(crcs):
            file.write(layout.record(index, crc))
        file.write(layout.end())
        assert file.tell() == layout.size
    return layout


def unzip(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["unzip", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_small_files(tmp_path: Path) -> None:
    files = {"a.txt": b"hello", "in/b.bin": bytes(range(256)) * 40, "in/empty": b"", "ü/日本": b"x"}
    entries = [(Entry(name, len(data), NOW), data) for name, data in files.items()]
    written(tmp_path / "a.zip", entries)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
        info = archive.infolist()[0]
        assert info.date_time == (2026, 11, 29, 16, 30, 6)
        assert info.external_attr >> 16 == 0o100644
        assert info.compress_type == zipfile.ZIP_STORED
    if shutil.which("unzip"):
        assert "No errors detected" in unzip("-t", tmp_path / "a.zip").stdout
        unzip("-q", tmp_path / "a.zip", "-d", tmp_path / "out")
        assert (tmp_path / "out" / "in" / "b.bin").read_bytes() == files["in/b.bin"]
        assert (tmp_path / "out" / "a.txt").stat().st_mtime == int(NOW)  # in UTC, by "UT"


def test_files_of_more_than_4_gib_and_what_lies_behind_them(tmp_path: Path) -> None:
    entries: list[tuple[Entry, bytes | None]] = [
        (Entry("just-fits", 0xFFFFFFFE, NOW), None),
        (Entry("behind", 5, NOW), b"12345"),
        (Entry("large", 4 * GIB + 1, NOW), None),
        (Entry("last", 6, NOW), b"abcdef"),
    ]
    layout = written(tmp_path / "a.zip", entries)
    assert [is_large(entry) for entry in layout.entries] == [False, False, True, False]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert [info.file_size for info in archive.infolist()] == [e.size for e, _ in entries]
        assert [info.header_offset for info in archive.infolist()] == layout.heads
        assert (archive.read("behind"), archive.read("last")) == (b"12345", b"abcdef")
    if shutil.which("unzip"):
        assert "No errors detected" in unzip("-t", tmp_path / "a.zip", "behind", "last").stdout


@pytest.mark.parametrize("size", [0xFFFFFFFE, 0xFFFFFFFF, 0x100000000])
def test_the_border_between_the_two_forms(tmp_path: Path, size: int) -> None:
    written(tmp_path / "a.zip", [(Entry("a", size, NOW), None), (Entry("b", 1, NOW), b"b")])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.getinfo("a").file_size == size
        assert archive.read("b") == b"b"


def test_more_files_than_16_bits_count(tmp_path: Path) -> None:
    entries: list[tuple[Entry, bytes | None]] = [
        (Entry(f"{number}", 1, NOW), b"x") for number in range(65_536)
    ]
    written(tmp_path / "a.zip", entries)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert len(archive.infolist()) == 65_536
        assert archive.read("65535") == b"x"


@pytest.mark.parametrize(
    ("seconds", "date"),
    [
        (0.0, (1980, 1, 1, 0, 0, 0)),
        (datetime(2200, 1, 1, tzinfo=UTC).timestamp(), (2107, 12, 31, 0, 0, 0)),
        (datetime(2050, 1, 1, tzinfo=UTC).timestamp(), (2050, 1, 1, 0, 0, 0)),
    ],
)
def test_times_that_the_format_does_not_know(
    tmp_path: Path, seconds: float, date: tuple[int, ...]
) -> None:
    written(tmp_path / "a.zip", [(Entry("a", 1, seconds), b"a")])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.getinfo("a").date_time == date
        assert archive.testzip() is None


def test_an_empty_archive(tmp_path: Path) -> None:
    written(tmp_path / "a.zip", [])
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == []
