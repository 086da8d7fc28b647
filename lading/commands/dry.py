"""What an upload would do: for `--dry-run`, and for `lading sync`, which must know before."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from lading.client.errors import SourceFailed
from lading.client.local import valid
from lading.client.types import path_of
from lading.commands.common import DONE, worst
from lading.commands.local_files import LocalFile
from lading.commands.output import Output, printable, size_text
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest


async def has_content(path: str, file: Manifest) -> bool:
    """Whether a local file has the same bytes as one on the server, by their SHA-256.

    Raises SourceFailed.
    """
    return file.sha256 is not None and file.sha256 == await asyncio.to_thread(_digest, path)


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceFailed(f"{path} cannot be read: {error.strerror}.") from error


async def would_put(
    client: Client, output: Output, files: Sequence[LocalFile], name: str | None
) -> int:
    """Print which of the files would be uploaded, and which are stored already."""
    codes = [DONE]
    for file in files:
        given = "stdin" if file.path == "-" else valid(PurePath(file.path).name)
        called = name or given
        try:
            stored = file.size is not None and await _is_stored(client, file, called)
        except LadingError as error:
            codes.append(output.failed(error, file.path))
            continue
        path = path_of(file.directory, called)
        output.data(
            printable(
                f"already stored {path}"
                if stored
                else f"would upload {path} ({size_text(file.size)})"
            ),
            event="already-stored" if stored else "would-upload",
            file=file.path,
            name=path,
            size=file.size,
        )
    return worst(codes)


async def _is_stored(client: Client, file: LocalFile, name: str) -> bool:
    listed = client.list(name=name, directory=file.directory)
    same = [each async for each in listed if (each.name, each.size) == (name, file.size)]
    for each in same:
        if await has_content(file.path, each):
            return True
    return False
