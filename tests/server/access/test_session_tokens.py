"""Tokens of sessions: made by the server's secret, read by nobody else's."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from lading.protocol.errors import Unauthorized
from lading.server.access.kept_secrets import ServerSecret
from lading.server.access.session_tokens import AUDIENCE, SessionTokens
from tests.support.accounts import session
from tests.support.clock import Clock

CLOCK = Clock()
SECRET = ServerSecret("of the tests")
TOKENS = SessionTokens(SECRET, CLOCK)
OTHERS = SessionTokens(ServerSecret("of others"), CLOCK)
MINE = session()


async def test_an_access_token_names_its_session_until_it_expires() -> None:
    token = TOKENS.access(MINE, CLOCK.now + 900)
    assert await TOKENS.read_access(token) == (MINE.id, CLOCK.now + 900)
    late = SessionTokens(SECRET, Clock(CLOCK.now + 901))
    for reader in (late, OTHERS):
        with pytest.raises(Unauthorized):
            await reader.read_access(token)


@pytest.mark.parametrize(
    "claims",
    [
        {"sid": "x"},
        {"sid": None},
        {"sid": 1},
        {"aud": "lading"},
        {"exp": None},
        {"sub": None},
    ],
    ids=str,
)
async def test_a_token_without_what_it_needs_is_refused(claims: dict[str, object]) -> None:
    usual = {"sub": "ann", "sid": MINE.id, "aud": AUDIENCE, "exp": CLOCK.now + 900}
    given = {name: value for name, value in (usual | claims).items() if value is not None}
    token = jwt.encode({"alg": "HS256"}, given, OctKey.import_key(SECRET.mac("session", "")))
    with pytest.raises(Unauthorized):
        await TOKENS.read_access(token)


async def test_no_other_algorithm_is_taken() -> None:
    head, body, _ = TOKENS.access(MINE, CLOCK.now + 900).split(".")
    none = "eyJhbGciOiJub25lIn0"
    for token in (f"{none}.{body}.", f"{head}.{body}.", "a.b.c"):
        with pytest.raises(Unauthorized):
            await TOKENS.read_access(token)


def test_a_refresh_token_is_a_session_and_a_number() -> None:
    token = TOKENS.refresh(session(id=MINE.id, generation=7))
    assert TOKENS.read_refresh(token) == (MINE.id, 7)
    assert TOKENS.refresh(session(id=MINE.id, generation=7)) == token
    assert OTHERS.read_refresh(token) is None


def test_an_invention_is_no_refresh_token() -> None:
    token = TOKENS.refresh(MINE)
    last = "A" if token[-1] != "A" else "B"
    inventions = [
        "",
        "ls_",
        token[:-1] + last,
        token.replace("_1_", "_2_"),
        token.replace("_1_", "_01_"),
        token + "\n",
        token.replace("_1_", "_" + "9" * 500 + "_"),
    ]
    assert [TOKENS.read_refresh(each) for each in inventions] == [None] * len(inventions)


def test_a_device_is_known_to_one_account() -> None:
    token = TOKENS.device("Ann")
    assert TOKENS.read_device(token, "ANN") == token[:32]
    assert TOKENS.read_device(token, "bob") is None
    assert OTHERS.read_device(token, "Ann") is None
    assert TOKENS.read_device("", "Ann") is None
    assert TOKENS.device("Ann") != token
