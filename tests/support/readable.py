"""A server's words for a sender, in short."""

from __future__ import annotations

from lading.protocol import messages as m
from lading.protocol import sender as s
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Range
from lading.protocol.sender import Sender, Wanted
from lading.protocol.spec import UploadSpec


def sender(window: int = 1000) -> Sender:
    made = Sender()
    made.hello("t", "test")
    made.receive(m.Welcome("ann", window, 10, 20, "lading"))
    assert made.outgoing() == [m.Hello("t", "test")]
    assert made.events() == [s.Welcomed("ann", 10)]
    return made


def open_upload(
    at: Sender,
    size: int | None,
    missing: tuple[Range, ...] | None = None,
    *,
    stored: int = 0,
    state: str = "uploading",
) -> int:
    ref = at.create(UploadSpec(name="file", size=size))
    answer(at, ref, size, missing, stored=stored, state=state)
    at.events()
    at.outgoing()
    return ref


def answer(
    at: Sender,
    ref: int,
    size: int | None,
    missing: tuple[Range, ...] | None = None,
    *,
    stored: int = 0,
    state: str = "uploading",
) -> None:
    holes = missing if missing is not None else ((0, size),) if size else ()
    at.receive(m.Opened(ref, "a" * 24, "file", size, 10, stored, holes, None, state))


def everything(at: Sender) -> list[Wanted]:
    found = []
    while (wanted := at.wanted()) is not None:
        found.append(wanted)
    return found


def places(found: list[Wanted]) -> list[Range]:
    return [(wanted.start, wanted.end) for wanted in found]


def stored(at: Sender, ref: int, *pieces: tuple[int, int], total: int = 0) -> None:
    at.receive(m.Stored(ref, pieces, total))


def refused(at: Sender, ref: int, start: int, error: LadingError) -> None:
    at.receive(m.Refused(ref, start, error.problem()))


def problem(at: Sender, ref: int | None, error: LadingError) -> None:
    at.receive(m.Problem(ref, error.problem()))


def failures(at: Sender) -> list[tuple[int | None, str]]:
    return [(event.ref, event.error.code) for event in at.events() if isinstance(event, s.Failed)]
