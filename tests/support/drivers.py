"""One connection with its wires, and a client that goes on until its files have arrived."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from lading.protocol import messages as m
from lading.protocol import sender as s
from lading.protocol.codec import decode_server
from lading.protocol.receiver import Receiver
from lading.protocol.sender import Sender
from lading.protocol.spec import UploadSpec
from tests.support.memory_store import CELL

WINDOW = 20


# -- a connection


class Link:
    """One connection: both machines, and what is under way between them."""

    def __init__(self, *, early: bool) -> None:
        self.sender = Sender()
        self.early = early
        if early:
            self.sender.agree(m.EarlyPieces(CELL, WINDOW))
        self.ids: dict[int, str | None] = {}
        """What each `ref` stands for on the server; None where it could not be opened."""
        self.receiver = Receiver(0.0, window=WINDOW, max_chunk_size=CELL)
        self.up: deque[bytes] = deque()
        self.down: deque[bytes | None] = deque()
        self.alive = True

    def swap_acknowledgements(self) -> None:
        """Exchange the first two neighbours on the wire that are both acknowledgements."""
        for at in range(len(self.down) - 1):
            if self._is(at, m.Stored, m.Refused) and self._is(at + 1, m.Stored, m.Refused):
                self.down[at], self.down[at + 1] = self.down[at + 1], self.down[at]
                return

    def double_acknowledgement(self) -> None:
        """Let one come twice. Not a REFUSED: a server refuses a piece as often as it is sent."""
        for at in range(len(self.down)):
            if self._is(at, m.Stored):
                self.down.insert(at, self.down[at])
                return

    def _is(self, at: int, *kinds: type[m.Stored | m.Refused]) -> bool:
        data = self.down[at]
        return data is not None and isinstance(decode_server(data), kinds)

    @property
    def has_piece(self) -> bool:
        """Whether `wanted` would give a piece: looked at without asking, for asking takes it."""
        sender = self.sender
        nexts = [upload.next_range() for upload in sender._uploads.values()]
        sizes = [piece[1] - piece[0] for piece in nexts if piece is not None]
        return not sender.draining and any(sender.in_flight + n <= sender.window for n in sizes)

    def cut(self) -> None:
        self.alive = False
        self.up.clear()
        self.down.clear()


# -- a client


@dataclass
class File:
    """A file that one or several clients upload."""

    data: bytes
    known: bool
    id: str | None = None


@dataclass
class Transfer:
    """A client's part in a file."""

    file: File
    ref: int | None = None
    offered: int = 0
    finishing: bool = False
    done: bool = False


class Client:
    """Uploads files over one connection at a time; connects again after each loss."""

    def __init__(self, files: list[File], leads: bool, *, early: bool) -> None:
        self.early = early
        self.transfers = [Transfer(file) for file in files]
        self.leads = leads
        self.link: Link | None = None

    def connect(self) -> None:
        self.link = Link(early=self.early)
        self.link.sender.hello(None, "test")
        for transfer in self.transfers:
            transfer.ref, transfer.offered, transfer.finishing = None, 0, False

    def lose(self) -> None:
        assert self.link is not None
        self.link.cut()
        self.link = None

    @property
    def done(self) -> bool:
        return all(transfer.done for transfer in self.transfers)

    @property
    def may_join(self) -> bool:
        """Whether another client made an upload in which this one has no part yet."""
        return any(t.ref is None and not t.done and t.file.id for t in self.transfers)

    @property
    def reads_on(self) -> bool:
        """Whether a file of unknown length has bytes that are not known yet."""
        return any(
            not t.file.known and t.ref is not None and t.offered < len(t.file.data)
            for t in self.transfers
        )

    def step(self, sender: Sender) -> None:
        """What a driver does whenever something happened, short of sending pieces."""
        for event in sender.events():
            self._notice(event)
            if self.link is None:
                return
        if sender.heartbeat or self.early:
            for transfer in self.transfers:
                self._go_on(sender, transfer)

    def _notice(self, event: s.Event) -> None:
        transfer = next(
            (
                t
                for t in self.transfers
                if t.ref is not None and t.ref == getattr(event, "ref", None)
            ),
            None,
        )
        match event:
            case s.Opened() if transfer is not None:
                transfer.file.id = event.upload.id
            case s.Progress() if transfer is not None:
                assert event.stored <= len(transfer.file.data)
            case s.Completed() if transfer is not None:
                assert event.file.size == len(transfer.file.data)
                transfer.done, transfer.ref = True, None
            case s.Failed():
                assert event.error.code != "window-exceeded"
                self.lose()

    def _go_on(self, sender: Sender, transfer: Transfer) -> None:
        file = transfer.file
        if transfer.done:
            return
        if transfer.ref is None:
            if file.id is not None:
                transfer.ref = sender.resume(file.id)
            elif self.leads:
                size = len(file.data) if file.known else None
                transfer.ref = sender.create(UploadSpec(name="f", size=size))
            return
        if not file.known and transfer.offered == len(file.data):
            sender.end(transfer.ref, transfer.offered)
        settled = sender.settled(transfer.ref)
        complete = file.known or transfer.offered == len(file.data)
        if settled and complete and not transfer.finishing and not sender.draining:
            sender.finish(transfer.ref)
        transfer.finishing = settled and complete

    def read_on(self, sender: Sender, more: int) -> None:
        """Of files of unknown length, let some more bytes be known."""
        for transfer in self.transfers:
            if not transfer.file.known and transfer.ref is not None and not transfer.done:
                transfer.offered = min(transfer.offered + more, len(transfer.file.data))
                sender.offer(transfer.ref, transfer.offered)
