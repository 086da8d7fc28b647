"""`lading export` and `lading import`: one archive out of a Lading or into it, beside servers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lading.protocol.errors import InvalidArgument
from lading.server.assembly import Assembly
from lading.server.process.janitor import DONE, FAILED, USAGE, run
from lading.server.uploads.export import Exported, Exporter, Watch
from lading.server.uploads.restore import CutShort, Restored, Restorer

UNFINISHED = ".part"
"""Behind the name of an archive that is being written."""


def export(path: Path | None, *, as_json: bool, watch: Watch) -> int:
    """Write the archive to `path`, or to standard output; returns the exit code."""
    if path is None and sys.stdout.isatty():
        print("lading: Name a file for the archive, or redirect the output.", file=sys.stderr)
        return USAGE

    async def work(parts: Assembly) -> int:
        with _target(path) as target:

            async def write(data: bytes) -> None:
                await asyncio.to_thread(target.write, data)

            done = await Exporter(parts.storage, parts.uploads, write, watch).run()
            await asyncio.to_thread(target.flush)
        # The archive may be what standard output is for.
        print(_exported(done, as_json), file=sys.stderr if path is None else sys.stdout)
        return FAILED if done.failed else DONE

    return _reported(work)


def restore(path: Path | None, *, as_json: bool, watch: Watch) -> int:
    """Import the archive at `path`, or from standard input; returns the exit code."""
    if path is None and sys.stdin.isatty():
        print("lading: Name the file of the archive, or pipe it in.", file=sys.stderr)
        return USAGE

    async def work(parts: Assembly) -> int:
        restorer = Restorer(
            parts.storage,
            parts.uploads,
            watch,
            chunk_size=parts.settings.chunk_size,
            ttl=parts.settings.upload_ttl,
        )
        with _source(path) as source:
            try:
                done = await restorer.run(TarArchive(source))
            finally:
                await parts.uploads.settle()
        print(_restored(done, as_json))
        return FAILED if done.failed else DONE

    return _reported(work)


def _reported(work: Any) -> int:
    """Do the work; what the file system refuses is reported, too."""
    try:
        return run(work)
    except BrokenPipeError:
        print("lading: The reader of the archive is gone.", file=sys.stderr)
    except OSError as error:
        name = "" if error.filename is None else f"{error.filename}: "
        print(f"lading: {name}{error.strerror}", file=sys.stderr)
    return FAILED


@contextmanager
def _target(path: Path | None) -> Iterator[IO[bytes]]:
    """Where the archive is written. A file has its name only when all of it is durable."""
    if path is None:
        yield sys.stdout.buffer
        return
    unfinished = path.with_name(path.name + UNFINISHED)
    with unfinished.open("wb") as target:
        os.fchmod(target.fileno(), 0o600)
        yield target
        target.flush()
        os.fsync(target.fileno())
    unfinished.replace(path)


@contextmanager
def _source(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
        return
    with path.open("rb") as source:
        yield source


class TarArchive:
    """Reads a tar file from a stream that cannot be rewound, in threads, since reading waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._tar: tarfile.TarFile | None = None
        self._content: IO[bytes] | None = None

    async def next(self) -> tuple[str, int] | None:
        """See `Archive.next`."""
        try:
            member = await asyncio.to_thread(self._next)
        except tarfile.ReadError as error:
            if self._tar is None:
                raise InvalidArgument(f"This is no tar file: {error}.") from error
            raise CutShort from error
        return None if member is None else (member.name, member.size)

    def _next(self) -> tarfile.TarInfo | None:
        if self._tar is None:
            self._tar = tarfile.TarFile.open(fileobj=self._stream, mode="r|")
        member = self._tar.next()
        # Else it would remember every member of the archive.
        self._tar.members = []  # type: ignore[attr-defined]  # not in its stub
        self._content = None if member is None else self._tar.extractfile(member)
        return member

    async def read(self, most: int) -> bytes:
        """See `Archive.read`."""
        if self._content is None or most <= 0:
            return b""
        try:
            return await asyncio.to_thread(self._content.read, most)
        except tarfile.ReadError as error:
            raise CutShort from error


def _exported(done: Exported, as_json: bool) -> str:
    if as_json:
        facts = {"files": done.files, "bytes": done.size, "failed": _failures(done.failed)}
        return json.dumps({"event": "exported", **facts})
    lines = [f"{done.files} files, {done.size} bytes exported"]
    lines += [f"not exported: {file_id}: {reason}" for file_id, reason in done.failed]
    return "\n".join(lines)


def _restored(done: Restored, as_json: bool) -> str:
    if as_json:
        facts = {
            "files": done.files,
            "bytes": done.size,
            "skipped": done.skipped,
            "failed": _failures(done.failed),
        }
        return json.dumps({"event": "imported", **facts})
    lines = [f"{done.files} files, {done.size} bytes imported; {done.skipped} were there already"]
    lines += [f"not imported: {file_id}: {reason}" for file_id, reason in done.failed]
    return "\n".join(lines)


def _failures(failed: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"id": file_id, "reason": reason} for file_id, reason in failed]
