"""The window that follows the line: how far it grows on long lines, and when it does not."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import pytest

from lading.protocol.receiver.growth import Growth
from tests.support.transcripts import Desk

KIB, MIB = 1024, 2**20
PIECE = MIB
FIRST = 16 * MIB


@dataclass
class Line:
    """A client that always has more to send, a line, and a store; sizes in bytes, times in seconds.

    Pieces cross the line one after the other, and are stored one after the other.
    """

    rate: float
    round_trip: float
    store_rate: float = 1e12
    store_seconds: float = 0.005
    most: int = 2**40
    window: int = FIRST
    took: float = 0.0

    def carry(self, pieces: int) -> None:
        """Send so many pieces; notes when the last has arrived."""
        growth = Growth()
        credit, held = self.window, 0
        line_free = store_free = 0.0
        # (when, order, what): the client hears of credit; a piece arrives; a piece is stored.
        events: list[tuple[float, int, str, int]] = [(0.0, 0, "credit", 0)]
        order, sent, arrived = 1, 0, 0
        while arrived < pieces:
            now, _, what, size = heapq.heappop(events)
            if what == "credit":
                credit += size
                while credit >= PIECE and sent < pieces:
                    credit, sent, order = credit - PIECE, sent + 1, order + 1
                    line_free = max(line_free, now) + PIECE / self.rate
                    heapq.heappush(
                        events, (line_free + self.round_trip / 2, order, "arrive", PIECE)
                    )
            elif what == "arrive":
                arrived, held, order = arrived + 1, held + PIECE, order + 1
                store_free = max(store_free, now) + PIECE / self.store_rate
                heapq.heappush(events, (store_free + self.store_seconds, order, "stored", PIECE))
                wanted = growth.arrived(PIECE, now, window=self.window, held=held)
                wanted = max(FIRST, min(wanted, self.most))
                order += 1
                heapq.heappush(
                    events, (now + self.round_trip / 2, order, "credit", wanted - self.window)
                )
                self.window = wanted
                self.took = now
            else:
                held, order = held - PIECE, order + 1
                heapq.heappush(events, (now + self.round_trip / 2, order, "credit", PIECE))


@pytest.mark.parametrize(
    ("rate", "round_trip"),
    [(125e6, 0.2), (125e6, 0.3), (1.25e9, 0.1), (12.5e6, 0.6), (125e6, 1.2)],
)
def test_window_fills_a_long_line_and_stays_near_what_it_holds(
    rate: float, round_trip: float
) -> None:
    line = Line(rate, round_trip)
    line.carry(3000)
    holds = rate * round_trip
    assert holds <= line.window <= max(2 * FIRST, 2.6 * holds)


def test_file_of_a_gibibyte_takes_little_longer_than_the_line_needs_for_it() -> None:
    line = Line(rate=125e6, round_trip=0.2)
    line.carry(1024)
    assert line.took <= 1024 * PIECE / 125e6 + 1.5 * line.round_trip  # half of one is needed
    small = Line(rate=125e6, round_trip=0.2, most=FIRST)
    small.carry(1024)
    assert small.took > 1.4 * line.took


@pytest.mark.parametrize("rate", [125e3, 6.25e6, 125e6, 1e9])
def test_short_line_gets_twice_the_first_window_at_most(rate: float) -> None:
    line = Line(rate, round_trip=0.001)
    line.carry(1000)
    assert line.window <= 2 * FIRST


def test_window_does_not_grow_where_the_store_is_the_limit() -> None:
    line = Line(rate=1e9, round_trip=0.01, store_rate=50e6)
    line.carry(1000)
    assert line.window == FIRST


def test_window_keeps_to_what_the_driver_allows() -> None:
    line = Line(rate=1.25e9, round_trip=0.2, most=48 * MIB)
    line.carry(1000)
    assert line.window == 48 * MIB


OPEN = f"""
    > HELLO
    = authenticated user_id="ann"
    > CREATE ref=1 name="file" size=1000
    = opened ref=1 id="{"a" * 24}" size=1000
"""


def piece(number: int) -> str:
    return f'> CHUNK ref=1 slice_start={10 * number} data="xxxxxxxxxx"'


def stored(number: int) -> str:
    return f"= stored ref=1 slice_start={10 * number} size=10 upload_size=0"


def sent(desk: Desk, first: int, count: int) -> list[str]:
    """So many pieces, each a second after the one before and stored at once; all WINDOWs."""
    heard = []
    for number in range(first, first + count):
        desk.now += 1
        heard += desk.feed(piece(number)) + desk.feed(stored(number))
    return [answer for answer in heard if answer.startswith("< WINDOW")]


def grown(most: int) -> Desk:
    """A receiver whose first window, 40 bytes, has grown as far as it may."""
    desk = Desk(window=40)
    desk.play(OPEN)
    desk.receiver.most = most
    assert sent(desk, 0, 5) == [f"< WINDOW bytes={min(most, 80)}"]
    return desk


def test_receiver_tells_of_a_window_that_grew_and_takes_what_it_allows() -> None:
    desk = grown(most=80)
    assert all(desk.feed(piece(number))[0].startswith("! Write") for number in range(10, 18))
    assert desk.feed(piece(18))[0].startswith("< PROBLEM")


def test_window_shrinks_when_others_need_their_share_but_not_below_the_first() -> None:
    desk = grown(most=80)
    desk.receiver.most = 60
    assert sent(desk, 10, 1) == ["< WINDOW bytes=60"]
    desk.receiver.most = 1
    assert sent(desk, 11, 1) == ["< WINDOW bytes=40"]


def test_client_that_was_idle_begins_with_the_first_window() -> None:
    desk = grown(most=80)
    assert desk.feed("> PING nonce=1") == ["< WINDOW bytes=40", "< PONG nonce=1"]
    assert desk.feed("> PING nonce=2") == ["< PONG nonce=2"]


def test_window_that_the_driver_made_small_does_not_grow() -> None:
    desk = grown(most=80)
    desk.feed("= set_window size=10")
    assert sent(desk, 10, 20) == []


def test_without_leave_the_window_stays_as_it_was() -> None:
    desk = Desk(window=40)
    desk.play(OPEN)
    assert sent(desk, 0, 20) == []
