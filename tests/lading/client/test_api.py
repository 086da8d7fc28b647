import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.http11 import Response

from lading.client.address import Address, Credential, Token
from lading.client.api import Api, error_of
from lading.client.backoff import Timing
from lading.client.errors import NotALadingServer, Unreachable
from lading.protocol.errors import (
    Forbidden,
    Internal,
    LadingError,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from tests.lading.conftest import Clock
from tests.support.fake_server import Fake, from_proxy, respond
from tests.support.servers import Process


def api(fake: Fake, clock: Clock, token: Token = "secret") -> Api:
    return Api(Address(fake.url), Credential(token), clock.timing())


@pytest.fixture
async def plain(fake: Fake, clock: Clock) -> AsyncIterator[Api]:
    found = api(fake, clock)
    yield found
    await found.close()


async def test_json_comes_back(fake: Fake, plain: Api) -> None:
    fake.on_request = lambda path: respond({"path": path})
    assert await plain.json("GET", "/x", {"a": "b"}) == {"path": "/x"}


async def test_a_body_is_json(server: Process, clock: Clock) -> None:
    real = Api(Address(server.url), Credential(server.token), clock.timing())
    made = await real.json("POST", "/v1/uploads", body={"name": "a", "size": 3})
    assert (made["name"], made["size"]) == ("a", 3)
    await real.json("DELETE", f"/v1/uploads/{made['_id']}")
    await real.close()


async def test_what_is_refused_is_raised(fake: Fake, plain: Api) -> None:
    fake.on_request = lambda _path: respond(QuotaExceeded("Too much.", used=5), 507)
    with pytest.raises(QuotaExceeded, match="Too much") as raised:
        await plain.json("GET", "/x", patience=100)
    assert raised.value.extra == {"used": 5}


async def test_patience(fake: Fake, plain: Api, clock: Clock) -> None:
    answers = [Unavailable(), Unavailable(), {"ok": True}]
    fake.on_request = lambda _path: respond(answers.pop(0), 503 if len(answers) > 0 else 200)
    assert await plain.json("GET", "/x", patience=10) == {"ok": True}
    assert clock.slept == pytest.approx([0.2, 0.4])


async def test_patience_ends(fake: Fake, plain: Api, clock: Clock) -> None:
    await fake.stop()
    with pytest.raises(Unreachable, match="connection refused"):
        await plain.json("GET", "/x", patience=10)
    assert sum(clock.slept) == pytest.approx(10)
    await fake.start()


async def test_without_patience_there_is_one_attempt(fake: Fake, plain: Api, clock: Clock) -> None:
    await fake.stop()
    with pytest.raises(Unreachable):
        await plain.json("GET", "/x")
    assert clock.slept == []
    await fake.start()


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504, 520, 524, 530])
async def test_what_a_proxy_answers_for_a_while_is_waited_for(
    fake: Fake, plain: Api, clock: Clock, status: int
) -> None:
    left = 20

    def answer(_path: str) -> Response:
        nonlocal left
        left -= 1
        return from_proxy(status) if left > 0 else respond({"ok": True})

    fake.on_request = answer
    assert await plain.json("GET", "/x", patience=600) == {"ok": True}
    assert len(clock.slept) == 19


async def test_faults_of_the_server_are_tried_a_few_times(
    fake: Fake, plain: Api, clock: Clock
) -> None:
    fake.on_request = lambda _path: respond(Internal(), 500)
    with pytest.raises(Internal):
        await plain.json("GET", "/x", patience=1000)
    assert len(clock.slept) == 5


async def test_a_refused_token_is_renewed(fake: Fake, clock: Clock) -> None:
    given = iter(["old", "new"])
    answers = [Unauthorized(), {"ok": True}]
    fake.on_request = lambda _path: respond(answers.pop(0), 401 if len(answers) > 0 else 200)
    renewing = api(fake, clock, lambda: next(given))
    assert await renewing.json("GET", "/x", patience=10) == {"ok": True}
    await renewing.close()


async def test_a_fixed_token_is_not(fake: Fake, plain: Api, clock: Clock) -> None:
    fake.on_request = lambda _path: respond(Unauthorized(), 401)
    with pytest.raises(Unauthorized):
        await plain.json("GET", "/x", patience=10)
    assert clock.slept == []


@pytest.mark.parametrize("body", [b"<p>", b"[1]"])
async def test_some_other_server(fake: Fake, plain: Api, body: bytes) -> None:
    answer = respond("x")  # as long as these
    answer.body = body
    fake.on_request = lambda _path: answer
    with pytest.raises(NotFound, match="not answer like a Lading server"):
        await plain.json("GET", "/x")


# -- answers that are lost ----------------------------------------------------------------------


GONE = ("404 Not Found", "application/problem+json", json.dumps(NotFound().problem()))
NO_ROUTE = ("404 Not Found", "text/plain", "default backend")
BAD_GATEWAY = ("502 Bad Gateway", "text/plain", "")
LOST = ("", "", "")
REFUSED = ("401 Unauthorized", "application/problem+json", json.dumps(Unauthorized().problem()))


@asynccontextmanager
async def answering(
    answers: list[tuple[str, str, str]], clock: Clock, *, late: bool = False
) -> AsyncIterator[Api]:
    """An api whose server gives these answers, one a connection. A late one refuses the first."""
    left = iter(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, kind, body = next(left)
        if status:
            head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
            writer.write(f"{head}\r\nConnection: close\r\n\r\n{body}".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, start_serving=not late)

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        await server.start_serving()

    timing = Timing(lambda: clock.now, sleep, lambda: 1.0)
    address = Address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    found = Api(address, Credential(lambda: "secret"), timing)
    try:
        yield found
    finally:
        await found.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("first", [LOST, BAD_GATEWAY])
async def test_a_deletion_that_was_done_and_not_answered_is_done(
    clock: Clock, first: tuple[str, str, str]
) -> None:
    async with answering([first, GONE], clock) as api:
        assert await api.json("DELETE", "/x", patience=10) == {}


async def test_other_requests_are_not_done_by_finding_nothing(clock: Clock) -> None:
    async with answering([LOST, GONE], clock) as api:
        with pytest.raises(NotFound):
            await api.json("GET", "/x", patience=10)


@pytest.mark.parametrize("answers", [[GONE], [REFUSED, GONE], [LOST, NO_ROUTE]])
async def test_a_deletion_that_nothing_says_was_done_is_not(
    clock: Clock, answers: list[tuple[str, str, str]]
) -> None:
    async with answering(answers, clock) as api:
        with pytest.raises(NotFound):
            await api.json("DELETE", "/x", patience=10)


async def test_nor_is_one_that_did_not_reach_the_server(clock: Clock) -> None:
    async with answering([GONE], clock, late=True) as api:
        with pytest.raises(NotFound):
            await api.json("DELETE", "/x", patience=10)
    assert len(clock.slept) == 1


# -- errors ----------------------------------------------------------------------------------------


def problem(error: LadingError) -> bytes:
    return json.dumps(error.problem()).encode()


def test_a_problem_document_tells_the_error() -> None:
    headers = {"content-type": "application/problem+json", "retry-after": "7"}
    error = error_of(503, headers, problem(Unavailable("Down.")))
    assert isinstance(error, Unavailable)
    assert (str(error), error.extra) == ("Down.", {"retry_after": 7})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotALadingServer),
        (429, RateLimited),
        (408, Unavailable),
        (425, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (520, Unavailable),
        (530, Unavailable),
        (531, Internal),
        (500, Internal),
        (418, Internal),
        (302, NotALadingServer),
    ],
)
def test_what_a_proxy_answers(status: int, kind: type[LadingError]) -> None:
    error = error_of(status, {"content-type": "text/html"}, b"<html>")
    assert type(error) is kind
    assert str(status) in str(error)
    assert ("not answer like a Lading server" in str(error)) == (kind is NotALadingServer)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_a_broken_problem_document(body: bytes) -> None:
    error = error_of(503, {"content-type": "application/problem+json"}, body)
    assert isinstance(error, Unavailable)
