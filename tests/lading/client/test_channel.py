import asyncio
import math
from typing import Never

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import Close

from lading.client.address import Address
from lading.client.backoff import Timing
from lading.client.channel import Channel, beside, explain
from lading.client.errors import NotALadingServer, Unreachable
from lading.client.retry import Again, NoChannel
from lading.protocol.codec import encode
from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    InvalidMessage,
    LadingError,
    NotFound,
    RateLimited,
    ShuttingDown,
    TooManyConnections,
    Unauthorized,
    WindowExceeded,
)
from lading.protocol.messages import Hello, Ping, Pong, Window
from lading.protocol.sender import Failed
from lading.protocol.spec import UploadSpec
from tests.support.fake_server import Fake, from_proxy, respond
from tests.support.servers import until


async def channel(
    fake: Fake, token: str | None = "secret", timing: Timing | None = None
) -> Channel:
    return await Channel.open(Address(fake.url), token, timing or Timing())


async def listen(opened: Channel) -> Never:
    while True:
        await opened.receive()


# -- opening ---------------------------------------------------------------------------------------


async def test_it_is_welcomed(fake: Fake) -> None:
    opened = await channel(fake)
    assert opened.sender.window == fake.window
    assert opened.sender.heartbeat == fake.heartbeat
    (hello,) = fake.received
    assert isinstance(hello, Hello)
    assert hello.token == "secret"
    assert hello.client is not None
    assert hello.client.startswith("lading-python/")
    await opened.close()


async def test_without_a_token(fake: Fake) -> None:
    opened = await channel(fake, None)
    assert fake.received[0] == Hello(None, fake.received[0].client)  # type: ignore[union-attr]
    await opened.close()


async def test_a_refused_token_wants_another(fake: Fake) -> None:
    fake.on_authenticate = lambda _token: Unauthorized("Not this one.")
    with pytest.raises(Again, match="Not this one") as raised:
        await channel(fake)
    assert raised.value.renew


async def test_a_forbidden_user(fake: Fake) -> None:
    fake.on_authenticate = lambda _token: Forbidden("Not you.")
    with pytest.raises(Forbidden, match="Not you"):
        await channel(fake)


@pytest.mark.parametrize(
    ("status", "problem", "expected"),
    [
        (404, NotFound(), NotFound),
        (403, Forbidden("origin"), Forbidden),
    ],
)
async def test_refused_before_the_upgrade(
    fake: Fake, status: int, problem: LadingError, expected: type[LadingError]
) -> None:
    fake.on_request = lambda _path: respond(problem, status)
    with pytest.raises(expected):
        await channel(fake)


@pytest.mark.parametrize("status", [200, 403, 405, 426, 501])
async def test_a_network_that_blocks_websocket(fake: Fake, status: int) -> None:
    fake.on_request = lambda _path: from_proxy(status)
    with pytest.raises(NoChannel) as raised:
        await channel(fake)
    assert raised.value.blocked


async def test_a_server_that_got_no_upgrade(fake: Fake) -> None:
    fake.on_request = lambda _path: respond(InvalidArgument("Connect with an Upgrade."), 400)
    with pytest.raises(NoChannel) as raised:
        await channel(fake)
    assert raised.value.blocked
    assert isinstance(raised.value.error, InvalidArgument)


async def test_too_many_connections_pass(fake: Fake) -> None:
    fake.on_request = lambda _path: respond(TooManyConnections(), 503, Retry_After="5")
    with pytest.raises(Again) as raised:
        await channel(fake)
    assert (raised.value.error.code, raised.value.after) == ("too-many-connections", 5)


async def test_the_token_stays_with_the_server(fake: Fake) -> None:
    fake.on_request = lambda _path: respond({}, 302, Location="http://127.0.0.1:1/")
    with pytest.raises(NotALadingServer, match="302"):
        await channel(fake)


async def test_nobody_there(fake: Fake) -> None:
    await fake.stop()
    with pytest.raises(Again, match="connection refused"):
        await channel(fake)
    await fake.start()


async def test_something_else_there() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Again) as raised:
        await Channel.open(Address(f"http://127.0.0.1:{port}"), None, Timing())
    assert isinstance(raised.value.error, Unreachable)
    server.close()


# -- liveness --------------------------------------------------------------------------------------


class Beats:
    """A clock that every sleep moves, up to `end`, so that heartbeats come at once."""

    def __init__(self, end: float = math.inf) -> None:
        self.now = 0.0
        self.end = end

    async def sleep(self, seconds: float) -> None:
        if self.now + seconds > self.end:
            await asyncio.Event().wait()
        self.now += seconds
        await asyncio.sleep(0)

    @property
    def timing(self) -> Timing:
        return Timing(lambda: self.now, self.sleep, lambda: 1.0)


async def test_it_pings_when_idle(fake: Fake) -> None:
    beats = Beats(end=45)
    opened = await channel(fake, timing=beats.timing)
    task = asyncio.ensure_future(opened.beat())
    await until(lambda: len([p for p in fake.received if isinstance(p, Ping)]) == 2)
    assert beats.now == 40
    task.cancel()
    await opened.close()


async def test_it_gives_up_on_silence(fake: Fake) -> None:
    beats = Beats()
    opened = await channel(fake, timing=beats.timing)
    with pytest.raises(Again, match="silent for 60 s"):
        await opened.beat()  # nobody calls receive()
    assert beats.now == 60


async def test_an_answer_is_a_sign_of_life(fake: Fake) -> None:
    beats = Beats()
    opened = await channel(fake, timing=beats.timing)
    beats.now = 55
    opened.sender.ping(1)
    await opened.flush()
    assert isinstance(await opened.receive(), Pong)
    with pytest.raises(Again):
        await opened.beat()
    assert beats.now == 115


# -- ends ------------------------------------------------------------------------------------------


def closed(code: int | None) -> ConnectionClosed:
    return ConnectionClosedError(None if code is None else Close(code, ""), None)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1011, 1012, 1013, 4000])
def test_ends_that_another_connection_makes_good(code: int | None) -> None:
    again = explain(closed(code), None)
    assert (again.limit, again.renew) == (None, False)
    assert str(code or 1006) in str(again)


@pytest.mark.parametrize("code", [1002, 1003, 1008, 1009])
def test_ends_that_blame_us_are_tried_a_few_times(code: int) -> None:
    assert explain(closed(code), None).limit == 5
    assert explain(closed(code), InvalidMessage()).limit == 5
    assert explain(closed(code), WindowExceeded()).limit == 5


def test_a_late_hello_is_no_wrong_token() -> None:
    again = explain(closed(1008), Unauthorized("HELLO did not come within 5 seconds."))
    assert (again.limit, again.renew) == (5, False)


def test_what_the_server_said_before_counts() -> None:
    assert explain(closed(1012), ShuttingDown(retry_after=3)).after == 3
    assert isinstance(explain(closed(4429), RateLimited()).error, RateLimited)
    assert explain(closed(4401), Unauthorized()).renew
    assert explain(closed(4401), None).renew
    with pytest.raises(Forbidden):
        explain(closed(4403), None)
    with pytest.raises(Forbidden):
        explain(closed(1008), Forbidden())


async def test_the_problem_before_the_close_is_read(fake: Fake) -> None:
    opened = await channel(fake)
    await fake.expire()
    opened.sender.events()
    with pytest.raises(Again) as raised:
        await listen(opened)
    assert raised.value.error.code == "unauthorized"
    (event,) = opened.sender.events()
    assert isinstance(event, Failed)
    await opened.close()


async def test_a_garbled_message_ends_the_connection(fake: Fake) -> None:
    opened = await channel(fake)
    (socket,) = fake.channels.values()
    await socket.send(b"\x91\xff")
    with pytest.raises(Again) as raised:
        await opened.receive()
    assert raised.value.limit == 5
    await opened.close()


async def test_messages_feed_the_sender(fake: Fake) -> None:
    opened = await channel(fake)
    (socket,) = fake.channels.values()
    await socket.send(encode(Window(5)))
    assert await opened.receive() == Window(5)
    assert opened.sender.window == 5
    opened.sender.create(UploadSpec(name="a", size=1))
    await opened.flush()
    await opened.receive()
    assert fake.only.spec.name == "a"
    await opened.close()


# -- beside ----------------------------------------------------------------------------------------


async def forever() -> Never:
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_listener_s_result_ends_it_all() -> None:
    async def listen() -> str:
        return "done"

    assert await beside(listen(), forever(), forever()) == "done"


async def test_the_first_error_ends_it_all() -> None:
    async def fail() -> Never:
        raise Unreachable

    with pytest.raises(Unreachable):
        await beside(forever(), fail())


async def test_only_the_listener_tells_of_a_closed_connection() -> None:
    heard = asyncio.Event()

    async def say() -> Never:
        heard.set()
        raise closed(1006)

    async def listen() -> Never:
        await heard.wait()
        await asyncio.sleep(0)
        raise Unauthorized

    with pytest.raises(Unauthorized):
        await beside(listen(), say())


async def test_being_cancelled_cancels_all() -> None:
    ended: list[str] = []

    async def watch(name: str) -> Never:
        try:
            await forever()
        finally:
            ended.append(name)

    task = asyncio.ensure_future(beside(watch("listen"), watch("talk")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["listen", "talk"]
