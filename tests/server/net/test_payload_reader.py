"""The place of a long payload: messages are those of the parser's own reader."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from lading.server.net import payload_reader
from lading.server.net.payload_reader import KEPT, LONG, Connection, Intake, Places

MASK = b"\x01\x02\x03\x04"
MOST = 4 * LONG


def connection(places: Places | None = None) -> Connection:
    return Connection(places or Places(), state=OPEN, max_size=MOST)


def frame(data: bytes, opcode: Opcode = Opcode.BINARY, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def read(reading: Connection, data: bytes, steps: Sequence[int]) -> tuple[list[bytes], int]:
    """Deliver bytes as a socket does, so many at a time; returns the payloads, and how many bytes
    came into a place."""
    found: list[bytes] = []
    at = placed = 0
    step = 0
    while at < len(data):
        size, step = steps[step % len(steps)], step + 1
        room = reading.reader.room
        if room is None:
            part = data[at : at + size]
            reading.receive_data(part)
        else:
            part = data[at : at + min(size, len(room))]
            room[: len(part)] = part
            placed += len(part)
            if reading.reader.fill(len(part)):
                reading.receive_data(b"")
        at += len(part)
        for event in reading.events_received():
            assert isinstance(event, Frame)
            found.append(bytes(event.data))
        if reading.reader.room is None:
            reading.reader.give_back()
        reading.reader.make_room(MOST)
    return found, placed


@given(
    payloads=st.lists(st.binary(max_size=2 * 40), min_size=1, max_size=5),
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=9),
)
def test_messages_are_those_of_the_parsers_own_reader(
    payloads: list[bytes], steps: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload_reader, "LONG", 16)
        data = b"".join(frame(each) for each in payloads)
        usual = ServerProtocol(state=OPEN, max_size=MOST)
        usual.receive_data(data)
        expected = [
            bytes(event.data) for event in usual.events_received() if isinstance(event, Frame)
        ]
        assert read(connection(), data, steps)[0] == expected == payloads


def test_a_long_payload_is_read_into_its_place() -> None:
    payload = bytes(range(256)) * (LONG // 128)
    found, placed = read(connection(), frame(payload) + frame(b"end"), [1000])
    assert found == [payload, b"end"]
    assert placed >= len(payload) - 1000


def test_a_short_payload_needs_no_place() -> None:
    assert read(connection(), frame(bytes(LONG)), [1000]) == ([bytes(LONG)], 0)


def test_what_is_longer_than_allowed_gets_no_place() -> None:
    reading = connection()
    reading.receive_data(frame(bytes(2 * LONG))[:1000])
    reading.reader.make_room(2 * LONG - 1)
    assert reading.reader.room is None
    reading.reader.make_room(2 * LONG)
    assert reading.reader.room is not None
    assert reading.reader.pending == 1000 - 14


def test_a_stream_that_ends_in_a_payload() -> None:
    reading = connection()
    read(reading, frame(bytes(2 * LONG))[:-1], [70_000])
    reading.receive_eof()
    assert isinstance(reading.parser_exc, EOFError)
    assert (
        str(reading.parser_exc)
        == f"stream ends after {2 * LONG - 1} bytes, expected {2 * LONG} bytes"
    )


def test_places_are_used_again_within_a_bound() -> None:
    places = Places()
    place = places.take(100)
    places.give(place)
    assert places.take(50) is place
    places.give(place)
    assert len(places.take(101)) == 101
    half = [bytearray(KEPT // 2) for _ in range(3)]
    for each in half:
        places.give(each)
    taken = [places.take(KEPT // 2) for _ in range(3)]
    assert [any(each is one for each in half) for one in taken] == [True, True, False]


class Noted:
    """A protocol that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.place = bytearray(4)
        self.has_room = False

    def room(self) -> memoryview | None:
        return memoryview(self.place) if self.has_room else None

    def payload_received(self, size: int) -> None:
        self.told.append(size)

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> bool | None:
        self.told.append("eof")
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


def test_the_protocol_hears_what_the_transport_says() -> None:
    noted = Noted()
    intake = Intake(noted, Places())
    intake.get_buffer(-1)[:2] = b"hi"
    intake.buffer_updated(2)
    noted.has_room = True
    intake.get_buffer(-1)[:3] = b"ple"
    intake.buffer_updated(3)
    intake.pause_writing()
    intake.resume_writing()
    intake.eof_received()
    intake.connection_lost(None)
    assert noted.told == [b"hi", 3, "pause", "resume", "eof", None]
    assert noted.place == b"ple\0"
