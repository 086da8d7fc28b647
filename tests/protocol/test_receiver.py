"""The receiver's table: each message in each state of the connection and of the upload."""

from __future__ import annotations

import pytest

from lading.protocol.receiver import Connection
from tests.support.transcripts import Desk, message_of

ID = "0123456789abcdef01234567"
OTHER = "76543210fedcba9876543210"

# -- the connection, with no upload open

HELLO = '> HELLO token="t"'
WELCOME = f'{HELLO}\n= authenticated user_id="ann" expires=50'
IN_FLIGHT = f"""
    {WELCOME}
    > CREATE ref=1 name="file" size=20
    = opened ref=1 id="{ID}"
    > CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"
"""

CONNECTIONS = {
    Connection.GREETING: "",
    Connection.KNOCKING: HELLO,
    Connection.OPEN: WELCOME,
    Connection.DRAINING: f'{WELCOME}\n= drain reason="shutdown" retry_after=1',
    Connection.ENDING: f'{IN_FLIGHT}\n= restart reason="shutdown"',
    Connection.CLOSED: f"{WELCOME}\n= text",
}

MESSAGES = {
    "HELLO": '> HELLO token="t"',
    "CREATE": '> CREATE ref=9 name="file" size=5',
    "RESUME": f'> RESUME ref=9 upload_id="{ID}"',
    "CHUNK": '> CHUNK ref=9 slice_start=10 data="bbbbb"',
    "FINISH": "> FINISH ref=9",
    "ABORT": "> ABORT ref=9",
    "DETACH": "> DETACH ref=9",
    "TOKEN": '> TOKEN token="u"',
    "PING": "> PING nonce=7",
}

TOO_SOON = ['< PROBLEM ref=null problem="invalid-message"',
            '! Close code=1008 reason="invalid-message"']  # fmt: skip
AGAIN = ['< PROBLEM ref=null problem="invalid-message"',
         '! Close code=1002 reason="invalid-message"']  # fmt: skip
NOT_FOUND = ['< PROBLEM ref=9 problem="not-found"']
STOPPING = ['< PROBLEM ref=9 problem="shutting-down"']
GOES_ON = {
    "HELLO": AGAIN,
    "CHUNK": ['< PROBLEM ref=9 problem="not-found" slice_start=10'],
    "FINISH": NOT_FOUND,
    "ABORT": ["< CLOSED ref=9"],
    "DETACH": ["< CLOSED ref=9"],
    "TOKEN": ['! Authenticate token="u"'],
    "PING": ["< PONG nonce=7"],
}

NOTHING: list[str] = []

ANSWERS = {
    Connection.GREETING: {
        **dict.fromkeys(MESSAGES, TOO_SOON),
        "HELLO": ['! Authenticate token="t"'],
    },
    Connection.KNOCKING: dict.fromkeys(MESSAGES, TOO_SOON),
    Connection.OPEN: {
        **GOES_ON,
        "CREATE": ['! Create ref=9 name="file" size=5'],
        "RESUME": [f'! Resume ref=9 upload_id="{ID}"'],
    },
    Connection.DRAINING: {**GOES_ON, "CREATE": STOPPING, "RESUME": STOPPING},
    Connection.ENDING: dict.fromkeys(MESSAGES, NOTHING),
    Connection.CLOSED: dict.fromkeys(MESSAGES, NOTHING),
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("state", CONNECTIONS)
def test_a_message_in_a_state_of_the_connection(state: Connection, name: str) -> None:
    desk = Desk()
    desk.play(CONNECTIONS[state])
    assert desk.receiver.state is state
    assert desk.play(MESSAGES[name]) == ANSWERS[state][name]
    if ANSWERS[state][name] in (TOO_SOON, AGAIN):
        assert desk.receiver.state is Connection.CLOSED


# -- one upload

OPENING = f'{WELCOME}\n> CREATE ref=1 name="file" size=20'
OPEN = f'{OPENING}\n= opened ref=1 id="{ID}"'
STORING = f'{OPEN}\n> CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"'
READY = f'{OPEN}\n> FINISH ref=1\n= completed ref=1 id="{ID}" size=20'

UPLOADS = {
    "absent": WELCOME,
    "opening": OPENING,
    "opening, early piece": f'{OPENING}\n> CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"',
    "opening by RESUME": f'{WELCOME}\n> RESUME ref=1 upload_id="{ID}"',
    "opening after a TOKEN": OPENING.replace("> CREATE", '> TOKEN token="t"\n> CREATE'),
    "opening, FINISH waits": f"{OPENING}\n> FINISH ref=1",
    "opening, ABORT waits": f"{OPENING}\n> ABORT ref=1",
    "opening, DETACH waits": f"{OPENING}\n> DETACH ref=1",
    "open": OPEN,
    "storing": STORING,
    "storing, FINISH waits": f"{STORING}\n> FINISH ref=1",
    "storing, ABORT waits": f"{STORING}\n> ABORT ref=1",
    "storing, DETACH waits": f"{STORING}\n> DETACH ref=1",
    "finishing": f"{OPEN}\n> FINISH ref=1",
    "finishing, ABORT waits": f"{OPEN}\n> FINISH ref=1\n> ABORT ref=1",
    "aborting": f"{OPEN}\n> ABORT ref=1",
    "ready": READY,
    "ready, storing": f'{READY}\n> CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"',
    "gone, storing": f'{STORING}\n= lost ref=1 code="gone"',
}

REQUESTS = {
    "CREATE": '> CREATE ref=1 name="next" size=20',
    "RESUME": f'> RESUME ref=1 upload_id="{OTHER}"',
    "CHUNK": '> CHUNK ref=1 slice_start=10 data="bbbbbbbbbb"',
    "FINISH": "> FINISH ref=1",
    "ABORT": "> ABORT ref=1",
    "DETACH": "> DETACH ref=1",
}

RESULTS = {
    "-": [],
    "in use": ['< PROBLEM ref=1 problem="invalid-argument"'],
    "none": ['< PROBLEM ref=1 problem="not-found"'],
    "none at 10": ['< PROBLEM ref=1 problem="not-found" slice_start=10'],
    "closed": ["< CLOSED ref=1"],
    "open": ['! Create ref=1 name="next" size=20'],
    "reopen": [f'! Resume ref=1 upload_id="{OTHER}"'],
    "early": ['! Write ref=1 upload_id="" slice_start=10 data="bbbbbbbbbb"'],
    "store": [f'! Write ref=1 upload_id="{ID}" slice_start=10 data="bbbbbbbbbb"'],
    "complete": [f'! Finish ref=1 upload_id="{ID}" size=null sha256=null'],
    "remove": [f'! Abort ref=1 upload_id="{ID}"'],
}

TABLE = """
    state                  | CREATE | RESUME | CHUNK      | FINISH   | ABORT  | DETACH
    absent                 | open   | reopen | none at 10 | none     | closed | closed
    opening                | in use | in use | early      | -        | -      | -
    opening, FINISH waits  | in use | in use | early      | -        | -      | -
    opening, early piece   | in use | in use | early      | -        | -      | -
    opening by RESUME      | in use | in use | none at 10 | -        | -      | -
    opening after a TOKEN  | in use | in use | none at 10 | -        | -      | -
    opening, ABORT waits   | in use | in use | none at 10 | none     | -      | -
    opening, DETACH waits  | in use | in use | none at 10 | none     | -      | -
    open                   | in use | in use | store      | complete | remove | closed
    storing                | in use | in use | store      | -        | -      | -
    storing, FINISH waits  | in use | in use | store      | -        | -      | -
    storing, ABORT waits   | in use | in use | none at 10 | none     | -      | -
    storing, DETACH waits  | in use | in use | none at 10 | none     | -      | -
    finishing              | in use | in use | store      | -        | -      | -
    finishing, ABORT waits | in use | in use | none at 10 | none     | -      | -
    aborting               | in use | in use | none at 10 | none     | -      | -
    ready                  | open   | reopen | store      | complete | remove | closed
    ready, storing         | -      | -      | store      | -        | -      | -
    gone, storing          | -      | -      | none at 10 | none     | -      | -
"""


def rows() -> list[tuple[str, str, list[str]]]:
    head, *body = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().split("\n")]
    return [
        (state, name, RESULTS[cell])
        for state, *cells in body
        for name, cell in zip(head[1:], cells, strict=True)
    ]


@pytest.mark.parametrize(("state", "name", "expected"), rows())
def test_a_message_in_a_state_of_the_upload(state: str, name: str, expected: list[str]) -> None:
    desk = Desk()
    desk.play(UPLOADS[state])
    assert desk.play(REQUESTS[name]) == expected


def test_the_table_is_whole() -> None:
    table = {(state, name) for state, name, _ in rows()}
    assert table == {(state, name) for state in UPLOADS for name in REQUESTS}
    assert all(message_of(line.removeprefix("> ")) for line in REQUESTS.values())
