"""The payload of a long frame, read from the socket into its place.

The usual way copies each byte three times before anyone looks at it: out of the loop's buffer, into
the parser's, and out of that when the frame is whole. Here the socket writes into memory as large
as the payload, and the parser takes it from there.
Source: asyncio.BufferedProtocol; decision 103.
"""

from __future__ import annotations

from asyncio import BaseTransport, BufferedProtocol
from collections.abc import Generator
from typing import Any, Protocol

from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

KIB = 1024
LONG = 64 * KIB
"""What is longer has a place of its own. It begins with what came before the length was known."""

KEPT = 4 * KIB * KIB
"""Bytes of places that wait for their next payload: new memory would have to be cleared first."""


class Places:
    """Memory to read into, for all connections of one event loop."""

    def __init__(self, first: int = LONG + 64) -> None:
        """`first` is how much is read at once where no place is ready, in bytes."""
        self.first = memoryview(bytearray(first))
        self._kept: list[bytearray] = []

    def take(self, size: int) -> bytearray:
        """A place of at least this size."""
        kept = self._kept.pop() if self._kept else bytearray()
        return kept if len(kept) >= size else bytearray(size)

    def give(self, place: bytearray) -> None:
        """Take a place back; nobody reads it any more."""
        if sum(map(len, self._kept)) + len(place) <= KEPT:
            self._kept.append(place)


class PayloadReader(StreamReader):
    """The parser's reader. What `room` returns is written to by the socket."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places
        self._place: bytearray | None = None
        self._filled = 0
        self._wanted = 0

    @property
    def pending(self) -> int:
        """Bytes that came of what is not whole yet."""
        return len(self.buffer) + self._filled

    @property
    def at_rest(self) -> bool:
        """Whether nothing came of a next frame, so that the parser knows nothing of it yet."""
        return self._wanted == 0 and self.pending == 0 and not self.eof

    @property
    def room(self) -> memoryview | None:
        """Where the next bytes of the payload belong; None where there is no place for them."""
        if self._place is None or self._filled == self._wanted:
            return None
        return memoryview(self._place)[self._filled : self._wanted]

    def read_exact(self, n: int) -> Generator[None, None, Any]:
        """What the parser waits for. A place belongs to the parser until `give_back`."""
        self._wanted = n
        while self.pending < n:
            if self.eof:
                raise EOFError(f"stream ends after {self.pending} bytes, expected {n} bytes")
            yield
        self._wanted = 0
        if self._place is not None:
            self._filled = 0
            return memoryview(self._place)[:n]
        found = self.buffer[:n]
        del self.buffer[:n]
        return found

    def make_room(self, most: int) -> None:
        """From now on the payload that is waited for is read into its place, if it is long, but has
        at most so many bytes."""
        began = len(self.buffer)
        if self._place is None and max(LONG, began) < self._wanted <= most:
            self._place = self._places.take(self._wanted)
            self._place[:began] = self.buffer
            self._filled = began
            self.buffer.clear()

    def fill(self, size: int) -> bool:
        """So many bytes were written into `room`. Returns whether the payload is whole."""
        self._filled += size
        return self._filled == self._wanted

    def give_back(self) -> None:
        """The parser is done with the place, or the payload is not wanted any more."""
        place, self._place, self._filled = self._place, None, 0
        if place is not None:
            self._places.give(place)


class Connection(ServerProtocol):
    """The parser of websockets, with a reader of ours."""

    reader: PayloadReader

    def __init__(self, places: Places, **options: Any) -> None:
        self._places = places
        super().__init__(**options)

    def parse(self) -> Generator[None]:
        self.reader = PayloadReader(self._places)  # the one that `__init__` made has read nothing
        return super().parse()

    def forget_handshake(self) -> None:
        """Free the request, which the parser that read it keeps: another one reads what comes.

        Where a frame is half here already, the parser has to go on.
        """
        if self.state is State.OPEN and self.reader.at_rest:
            # That of the class above begins with a request; that of its own base has only frames.
            self.parser = super(ServerProtocol, self).parse()
            next(self.parser)


class Reads(Protocol):
    """A protocol that takes what comes, and may have room for it."""

    def room(self) -> memoryview | None: ...

    def payload_received(self, size: int) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool | None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Intake(BufferedProtocol):
    """Stands between a transport and a protocol, for its reads."""

    __slots__ = ("_direct", "_first", "_protocol")

    def __init__(self, protocol: Reads, places: Places) -> None:
        self._protocol = protocol
        self._first = places.first
        self._direct = False

    def connection_made(self, _transport: BaseTransport) -> None:
        """Never called: the connection was made before."""

    def get_buffer(self, _sizehint: int) -> memoryview:
        room = self._protocol.room()
        self._direct = room is not None
        return self._first if room is None else room

    def buffer_updated(self, nbytes: int) -> None:
        if self._direct:
            self._protocol.payload_received(nbytes)
        else:
            self._protocol.data_received(bytes(self._first[:nbytes]))

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
