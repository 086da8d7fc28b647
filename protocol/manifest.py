"""The manifest of an upload and the arithmetic of what is stored of it.

It defines three words. A *cell* is `[k * chunk_size, (k + 1) * chunk_size)`. A *piece* is a run of
bytes that was stored at once; it lies inside one cell. The pieces of a cell form a chain from the
cell's start: each begins where another ends. Because a piece's identity is the place where it
begins, two writers at the end of one chain meet in one identity, so pieces never overlap and no
lock is needed.
Source: page 2 of the design, "The data"; page 3, rules 2 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from lading.protocol.digests import crc32c_combine
from lading.protocol.errors import Incomplete, InvalidArgument, OutOfBounds

MAX_INTEGER = 2**53 - 1
"""The largest integer on the wire: what a JavaScript number holds exactly."""

MIN_CHUNK_SIZE = 1024
MAX_CHUNK_SIZE = 15 * 1024 * 1024
"""A chunk is one document of at most 16 MiB; the rest is room for its other fields."""

MAX_ATTEMPT = 1000
"""How often the bytes of one upload may be given up for others."""

Range = tuple[int, int]
"""Bytes from `start` up to, not including, `end`."""


class State(StrEnum):
    """Where an upload stands. `deleted` is a tombstone like `expired`, but answers not-found.

    A `trashed` file answers not-found, too; its bytes are kept, and it can become `ready` again.
    An upload that is whole and is to replace the bytes of a file is `replacing`, for a moment.
    """

    UPLOADING = "uploading"
    READY = "ready"
    TRASHED = "trashed"
    REPLACING = "replacing"
    EXPIRED = "expired"
    DELETED = "deleted"


FINISHED = (State.READY, State.TRASHED)
"""Files whose bytes are all there, and are kept."""

WHOLE = (*FINISHED, State.REPLACING)
"""Whatever has all of its bytes, which must stay."""


class Piece(NamedTuple):
    """A stored run of bytes: where it begins, how many bytes, and their CRC-32C."""

    slice_start: int
    size: int
    crc32c: int

    @property
    def end(self) -> int:
        return self.slice_start + self.size


class StoredPicture(NamedTuple):
    """A picture that was made of a file and is stored beside it. Sizes are bytes and pixels."""

    size: int
    width: int
    height: int
    crc32c: int


class PictureDebt(NamedTuple):
    """By how many bytes pictures changed what a file is charged for, and under which claim.

    The owner's account may not say so yet: see `storage/collections/quotas.py`.
    """

    tries: int
    size: int


class Approval(NamedTuple):
    """What was proven of an upload that waits for approval: the file as it will be published.

    `since` is when it was asked for, in Unix seconds. The bytes of another attempt are not meant.
    `etag` is set where they are in a bucket. `left` are other steps, to be done after publication.
    """

    since: float
    attempt: int
    size: int
    crc32c: int | None
    sha256: str | None
    mime_type: str
    blobs: str
    etag: str | None
    left: tuple[str, ...]


class Former(NamedTuple):
    """The bytes that a file had before the upload `by` replaced them: all that is needed to delete
    them, and what they are charged. The fields have the meaning that they have in `Manifest`.
    """

    by: str
    key: str
    size: int
    chunk_size: int
    attempt: int = 0
    blobs: str = "mongo"
    move_to: str | None = None
    etag: str | None = None
    drop_at: tuple[str, ...] = ()
    pictures: Mapping[str, StoredPicture] = {}


class Notice(NamedTuple):
    """An event of a file that webhooks are to hear of, and when it happened."""

    event: str
    at: float


class NoPicture(NamedTuple):
    """Why no picture can be made of a file: the code of an error, and what a reader is told."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of an upload, of constant size however large the file.

    Sizes are bytes, times are Unix seconds. `size` is None while the final length is unknown;
    `upload_size` is a watermark that trails the truth, which is the index of the pieces.
    """

    id: str
    user_id: str
    name: str
    size: int | None
    chunk_size: int
    created_at: float
    updated_at: float
    expires_at: float | None
    """When an idle upload expires; when a finished file is deleted, None for one that stays."""
    trashed_at: float | None = None
    """When a file in the trash came there."""
    own_expires_at: float | None = None
    """Of a file in the trash: the `expires_at` that it had, and has again once it is restored."""
    directory: str = ""
    mime_type: str = "application/octet-stream"
    upload_size: int = 0
    upload_end: bool = False
    state: State = State.UPLOADING
    blobs: str = "mongo"
    """Where its bytes are: `mongo`, or the address of a directory or bucket."""
    sha256: str | None = None
    crc32c: int | None = None
    crc32: int | None = None
    """The CRC-32 of a finished file as ZIP has it, once an archive needed it."""
    tags: tuple[str, ...] = field(default=())
    fingerprint: str | None = None
    grant_id: str | None = None
    """The grant that it was created with; its bearer may go on with it."""
    request_id: str | None = None
    """The grant for request that it was sent for; see `grants.py`."""
    sender: str | None = None
    """The name that its sender gave there."""
    max_size: int | None = None
    """The most bytes that its grant and its kind allow, for as long as the size is not known."""
    kind: str | None = None
    """The kind of files that it was created as; see `kinds.py`."""
    meta: str | None = None
    """The `Upload-Metadata` of tus that it was created with, as it was given."""
    concat: str | None = None
    """The `Upload-Concat` of tus that it was created with, as it was given: it is a part of a file,
    or made of such parts. A part is never published."""
    joined_into: str | None = None
    """The final upload that a part belongs to."""
    turn: int = 0
    """Grows with each request that appends; an earlier one must store nothing more."""
    offset: int = 0
    """Up to here nothing was missing when such a request began last."""
    attempt: int = 0
    """How often its bytes were given up for others; pieces of earlier attempts do not count."""
    revision: int = 0
    """Grows with each change that is made on request; it tells two states of a manifest apart."""
    modified_at: float | None = None
    """When the file was last changed where it comes from, as its sender said."""
    public: bool = False
    """Anyone may fetch it, without a credential."""
    move_to: str | None = None
    """The home that its bytes are on their way to; until they arrived they are at `blobs`."""
    multipart: str | None = None
    """The bucket's name for the upload in parts by which clients send it there, while it lasts."""
    etag: str | None = None
    """Of a file that clients sent to the bucket: the entity tag of its object there. Its pieces are
    not listed, and each read asks for exactly this object."""
    drop_at: tuple[str, ...] = ()
    """Homes where bytes of it may lie that nobody reads any more: it moved away, or never came."""
    kept_as: str | None = None
    """The id under which its bytes and pictures are kept, where that is not its own: see `key`."""
    replaces: str | None = None
    """Of an upload: the file whose bytes it is to replace."""
    replaces_revision: int | None = None
    """The `revision` that this file must have then; None for any."""
    former: Former | None = None
    """What was replaced a moment ago, until the upload that did it has taken it over."""
    kept_until: float | None = None
    """Of a tombstone: until then its bytes stay, for readers that have begun."""
    emptied: bool = False
    """Of a tombstone: its bytes are deleted and its quota is given back."""
    todo: tuple[str, ...] = ()
    """Steps that must follow its last change of state, in order; see `server/uploads/todo.py`."""
    todo_tries: int = 0
    """Grows when `todo` passes to another process, so an earlier holder of it notices."""
    media: Mapping[str, Any] | None = None
    """The facts of an image, video or audio file, once they are known: see `imaging/made.py`."""
    pictures: Mapping[str, StoredPicture] = field(default_factory=dict)
    """The pictures that are stored beside it, by names such as `3` and `3-square`."""
    no_picture: NoPicture | None = None
    """Why none can be made of it, once that is known; it is not tried again."""
    picture_tries: int = 0
    """How often pictures of it were begun since the last time that this came to an end."""
    picture_debt: PictureDebt | None = None
    notices: tuple[Notice, ...] = ()
    """Events that webhooks are still to hear of; see `storage/collections/notices.py`."""
    told: int = 0
    """How many events of it became deliveries, which number the following ones."""
    approval: Approval | None = None
    """What its publication waits for; see `server/uploads/approval.py`."""
    rejected: bool = False
    """Of a tombstone: it was deleted since the site's check refused it."""

    @property
    def key(self) -> str:
        """The id under which its bytes and pictures are kept."""
        return self.kept_as or self.id

    @property
    def stored(self) -> Manifest:
        """The same as the drivers of bytes see it, who know nothing of replacements."""
        return self if self.kept_as is None else replace(self, id=self.kept_as, kept_as=None)

    @property
    def became(self) -> str | None:
        """The file whose bytes were those of this upload, which has ended with that."""
        return self.replaces if self.state is State.DELETED and self.kept_as else None

    @property
    def approving(self) -> bool:
        """Whether it waits for approval."""
        if self.state is not State.UPLOADING or self.approval is None:
            return False
        return self.approval.attempt == self.attempt

    def as_approved(self) -> Manifest:
        """An upload that waits for approval as the file that it will be."""
        proven = self.approval
        assert proven is not None
        return replace(
            self,
            state=State.READY,
            upload_end=True,
            upload_size=proven.size,
            size=proven.size,
            crc32c=proven.crc32c,
            sha256=proven.sha256,
            mime_type=proven.mime_type,
            blobs=proven.blobs,
            etag=proven.etag,
            move_to=self.move_to if proven.blobs == self.blobs else None,
        )

    @property
    def charged(self) -> int:
        """The bytes of a finished file with its pictures: what its owner is charged for."""
        return (self.size or 0) + sum(each.size for each in self.pictures.values())

    @property
    def homes(self) -> tuple[str, ...]:
        """Every home where bytes of it may lie; that of the file itself is the last one."""
        others = (*self.drop_at, self.move_to)
        found = dict.fromkeys(each for each in others if each not in (None, self.blobs))
        return (*(each for each in found if each is not None), self.blobs)


def cell_start(offset: int, chunk_size: int) -> int:
    """Where the cell that holds `offset` begins."""
    return offset - offset % chunk_size


def cell_end(offset: int, chunk_size: int, size: int | None) -> int:
    """Where the cell that holds `offset` ends; the last cell ends with the file."""
    end = cell_start(offset, chunk_size) + chunk_size
    return end if size is None else min(end, size)


def check_bounds(slice_start: int, length: int, chunk_size: int, size: int | None) -> None:
    """Raise OutOfBounds unless the piece is not empty, in one cell, and inside the file."""
    if length <= 0:
        raise OutOfBounds("A piece must hold at least one byte.")
    if slice_start < 0:
        raise OutOfBounds("A piece cannot start before the file.")
    if size is not None and slice_start + length > size:
        raise OutOfBounds(f"The piece ends at {slice_start + length}, the file at {size}.")
    if slice_start + length > MAX_INTEGER:
        raise OutOfBounds("The piece ends beyond the largest offset.")
    end = cell_start(slice_start, chunk_size) + chunk_size
    if slice_start + length > end:
        raise OutOfBounds(f"The piece crosses the cell border at {end}.")


def fills_cell(slice_start: int, length: int, chunk_size: int, size: int | None) -> bool:
    """Whether the piece ends where its cell ends, as channels that send whole cells must.

    While the size is unknown any piece may turn out to be the last one, so each may be short.
    """
    if size is None:
        return True
    return slice_start + length == cell_end(slice_start, chunk_size, size)


def split(slice_start: int, length: int, chunk_size: int) -> Iterator[Range]:
    """Cut `[slice_start, slice_start + length)` at the cell borders."""
    position, end = slice_start, slice_start + length
    while position < end:
        stop = min(end, cell_start(position, chunk_size) + chunk_size)
        yield position, stop
        position = stop


LONG_CHAIN = 128
"""Pieces of one cell from which on they are joined into one."""


def joined(chain: list[Piece]) -> Piece:
    """One piece in the place of pieces that follow one another."""
    crc = 0
    for piece in chain:
        crc = crc32c_combine(crc, piece.crc32c, piece.size)
    return Piece(chain[0].slice_start, chain[-1].end - chain[0].slice_start, crc)


class Coverage(NamedTuple):
    """What the index of an upload's pieces says: bytes stored, where they end, what is missing."""

    upload_size: int
    end: int
    missing: list[Range]


def coverage(pieces: Iterable[Piece], size: int | None) -> Coverage:
    """Sum up pieces sorted by `slice_start`.

    With an unknown size only the holes before the last stored byte are known to be missing.
    """
    stored, end = 0, 0
    missing: list[Range] = []
    for piece in pieces:
        if piece.slice_start > end:
            missing.append((end, piece.slice_start))
        stored += piece.size
        end = piece.end
    if size is not None and end < size:
        missing.append((end, size))
    return Coverage(stored, end, missing)


MISSING_SHOWN = 1000
"""How many missing ranges a refusal carries; the whole list is answered when asked for."""


class Proof:
    """Proves that pieces tile `[0, size)` exactly. Takes one after the other and remembers none."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = self._crc = self._absent = 0
        self._missing: list[list[int]] = []

    def add(self, piece: Piece) -> None:
        """The next piece, by `slice_start`; InvalidArgument when it ends beyond the size."""
        if piece.end > self._size:
            raise InvalidArgument(
                f"Bytes are stored up to {piece.end}, beyond the size {self._size}."
            )
        if piece.slice_start < self._position:
            raise AssertionError(f"pieces overlap at {piece.slice_start}")
        self._advance(piece.slice_start)
        self._crc = crc32c_combine(self._crc, piece.crc32c, piece.size)
        self._position = piece.end

    def _advance(self, position: int) -> None:
        if position > self._position:
            self._absent += position - self._position
            if len(self._missing) < MISSING_SHOWN:
                self._missing.append([self._position, position])
            self._position = position

    def conclude(self) -> int:
        """After the last piece the CRC-32C of the file, combined from those of the pieces.

        Raises Incomplete with `missing` when bytes are not there.
        """
        self._advance(self._size)
        if self._absent:
            raise Incomplete(
                f"{self._absent} bytes are missing; send them, then finish again.",
                missing=self._missing,
            )
        return self._crc


def prove(pieces: Iterable[Piece], size: int) -> int:
    """The proof of pieces that are at hand, sorted by `slice_start`; see `Proof`."""
    proof = Proof(size)
    for piece in pieces:
        proof.add(piece)
    return proof.conclude()
