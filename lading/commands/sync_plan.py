"""What `lading sync` has to do, decided from two lists alone: no file is read, nothing is asked.

A local file and those on the server belong together by their path below the two directories,
compared in NFC: systems differ in how they compose characters. Of several files of one path on the
server the newest counts; where it is replaced, all of them are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from fnmatch import fnmatch
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from lading.client.local import seconds_of, valid
from lading.client.types import path_of
from lading.commands.local_files import LocalFile

if TYPE_CHECKING:
    from lading.client.types import Manifest


class Action(Enum):
    """What is to be done for one path."""

    SAME = "same"
    SEND = "send"
    COMPARE = "compare"
    """The sizes agree and the times do not: the SHA-256 decides."""
    EXTRA = "extra"
    """It is on the server only."""


class Step(NamedTuple):
    """One path: its local file, and those on the server, the newest first."""

    action: Action
    path: str
    local: LocalFile | None
    remote: tuple[Manifest, ...]


def plan(
    local: Sequence[LocalFile],
    remote: Sequence[Manifest],
    directory: str,
    exclude: Sequence[str] = (),
    *,
    checksum: bool = False,
) -> list[Step]:
    """The steps: those of local files in their order, then what is on the server only.

    `remote` is all that is below `directory`, the newest first. What `exclude` matches is left
    alone on the server. With `checksum` the time proves nothing.
    """
    there: dict[str, list[Manifest]] = {}
    for file in remote:
        there.setdefault(_key(file.path), []).append(file)
    steps = []
    for each in local:
        path = path_of(each.directory, valid(PurePath(each.path).name))
        found = tuple(there.pop(_key(path), ()))
        steps.append(Step(_action(each, found, checksum), path, each, found))
    for files in there.values():
        inner = files[0].path[len(directory) :].strip("/")
        if not _is_excluded(inner, exclude):
            steps.append(Step(Action.EXTRA, files[0].path, None, tuple(files)))
    return steps


def _action(local: LocalFile, remote: tuple[Manifest, ...], checksum: bool) -> Action:
    if not remote or local.size != remote[0].size:
        return Action.SEND
    changed = seconds_of(None, local.modified_ns)
    if checksum or changed is None or changed != seconds(remote[0]):
        return Action.COMPARE
    return Action.SAME


def seconds(file: Manifest) -> float | None:
    """When the file was last changed where it came from, as `seconds_of` has it."""
    return None if file.modified_at is None else round(file.modified_at.timestamp(), 3)


def moment(seconds: float) -> datetime:
    """Unix seconds as `Client.change` takes times."""
    return datetime.fromtimestamp(seconds, UTC)


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _is_excluded(inner: str, exclude: Sequence[str]) -> bool:
    """Whether a path, or a directory on its way, is left out, as `local_files.find` does it."""
    parts = inner.split("/")
    for end in range(1, len(parts) + 1):
        name, path = parts[end - 1], "/".join(parts[:end])
        if any(fnmatch(name, each) or fnmatch(path, each) for each in exclude):
            return True
    return False
