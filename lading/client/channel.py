"""One `lading.v1` connection over a WebSocket: handshake, heartbeat, and why it ended.

The protocol's `Sender` decides what to send next. Source: page 3 of the design, "Connection" and
rules 8 to 10.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from socket import gaierror
from typing import Any, Never, Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
)
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from lading.client.address import Address
from lading.client.api import error_of
from lading.client.backoff import Timing
from lading.client.errors import (
    PROXY_UNAUTHORIZED,
    ProxyUnauthorized,
    Unreachable,
    unreachable,
)
from lading.client.retry import LIMITS, Again, NoChannel, asked_wait, judge
from lading.protocol import messages as m
from lading.protocol.codec import decode_server, encode
from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    InvalidMessage,
    LadingError,
    NotFound,
    Unauthorized,
    from_problem,
)
from lading.protocol.sender import Sender
from lading.version import VERSION

CLOSE_SECONDS = 2.0
MAX_ANSWER = 64 * 1024 * 1024
"""The longest message accepted, in bytes: the missing ranges of an upload with many gaps."""
WRITE_LIMIT = 1024 * 1024
"""The socket asks for the next piece when a quarter of this many bytes is left in its buffer."""
OFFERED = [Subprotocol(each) for each in (m.USUAL.subprotocol, m.SUBPROTOCOL)]
SILENT_HEARTBEATS = 3
OUR_FAULT = (1002, 1003, 1008, 1009)
"""Close codes that blame the client; a network that changed bytes may be the cause."""


Result = TypeVar("Result")


class _Dial(connect):
    """A connect that follows no redirect: HELLO must not carry the token to another server."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Channel:
    """An open connection. `sender` decides what to send; `receive` feeds it."""

    in_order = True
    """What is sent is also read in that order."""

    def __init__(self, socket: ClientConnection, timing: Timing, url: str) -> None:
        self.sender = Sender()
        early = m.EarlyPieces.of(socket.subprotocol)
        if early is not None:
            self.sender.agree(early)
        self._url = url
        self._socket = socket
        self._timing = timing
        self._heard = self._said = timing.clock()
        self._sending = False
        self._pings = 0
        self._parting: LadingError | None = None
        self.welcomed = False

    @classmethod
    async def open(
        cls,
        address: Address,
        token: str | None,
        timing: Timing,
        *,
        proxy: str | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect and wait for WELCOME. Raises Again, or LadingError when retrying cannot help."""
        channel = await cls.dial(address, token, timing, proxy=proxy, trust=trust)
        await channel.welcome()
        return channel

    @classmethod
    async def dial(
        cls,
        address: Address,
        token: str | None,
        timing: Timing,
        *,
        proxy: str | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect and say HELLO. CREATE may follow before `welcome`. Raises what `open` does."""
        channel = cls(await _dial(address, timing, proxy, trust), timing, address.url)
        channel.sender.hello(token, f"lading-python/{VERSION}")
        try:
            await channel.flush()
        except BaseException:
            channel.abort()
            raise
        return channel

    async def welcome(self) -> None:
        """Wait for WELCOME, unless it came already. Raises like `open`."""
        if self.welcomed:
            return
        try:
            async with asyncio.timeout(self._timing.open_seconds):
                while not isinstance(await self.receive(), m.Welcome):
                    pass
        except TimeoutError as error:
            self.abort()
            raise NoChannel(unreachable(self._url, error)) from error
        except BaseException:
            self.abort()
            raise
        self.welcomed = True
        self.sender.events()

    @property
    def usable(self) -> bool:
        """Whether another upload may begin on it."""
        fit = not self.sender.draining and self.sender.in_flight == 0
        return fit and self._parting is None and self._socket.state is State.OPEN

    async def close(self) -> None:
        """Close the connection, within `CLOSE_SECONDS` even without an answer."""
        try:
            await self._socket.close()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        self._socket.transport.abort()

    # -- sending

    async def flush(self) -> None:
        """Send the messages that wait in `sender`, other than pieces. Why the connection is closed,
        if it is, `receive` says."""
        with contextlib.suppress(ConnectionClosed):
            for message in self.sender.outgoing():
                await self.send(encode(message))

    async def send(self, message: bytes) -> None:
        """Send one message. Returns when the socket's buffer has space for the next.

        Raises ConnectionClosed. `receive` raises the reason, since the server may have sent one
        before it closed.
        """
        self._sending = True
        try:
            await self._socket.send(message)
        finally:
            self._sending = False
            self._said = self._timing.clock()

    async def beat(self) -> Never:
        """Send PING when idle. Raises Again when the server was silent for too long."""
        rhythm = self.sender.heartbeat or 20
        while True:
            now = self._timing.clock()
            dead = self._heard + SILENT_HEARTBEATS * rhythm
            idle = self._said + rhythm
            if now >= dead:
                self.abort()
                raise Again(Unreachable(f"The server was silent for {now - self._heard:.0f} s."))
            if now >= idle and not self._sending:
                self._pings += 1
                self.sender.ping(self._pings)
                await self.flush()
            elif now >= idle:
                # A piece is being sent over a slow line: the connection is not idle.
                await self._timing.sleep(min(1.0, dead - now))
            else:
                await self._timing.sleep(min(idle, dead) - now)

    # -- receiving

    async def receive(self) -> m.ServerMessage:
        """The next message, after `sender` took it.

        Raises Again when the connection ended and another one may help, else LadingError.
        """
        try:
            data = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise explain(closed, self._parting) from closed
        self._heard = self._timing.clock()
        try:
            message = decode_server(data)
        except InvalidMessage as error:
            raise Again(error, limit=LIMITS[error.code]) from error
        if isinstance(message, m.Problem) and message.ref is None:
            # The connection is about to close; the close code says whether to retry.
            self._parting = from_problem(message.problem)
        self.sender.receive(message)
        return message


async def beside(
    listen: Coroutine[Any, Any, Result], *others: Coroutine[Any, Any, Never]
) -> Result:
    """Run `listen` to its end, and the others until then. The first error ends them all.

    Only `listen` reports a closed connection, since it reads what came before the end.
    """
    first = asyncio.ensure_future(listen)
    tasks: set[asyncio.Future[Any]] = {first, *map(asyncio.ensure_future, others)}
    waiting = set(tasks)
    try:
        while not first.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {first}:
                error = task.exception()
                if error is not None and not isinstance(error, ConnectionClosed):
                    raise error
        return first.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- why a connection ended -----------------------------------------------------------------------


async def _dial(
    address: Address, timing: Timing, proxy: str | None, trust: ssl.SSLContext | None
) -> ClientConnection:
    try:
        socket = await _Dial(
            address.socket_url,
            subprotocols=OFFERED,
            compression=None,
            proxy=proxy,
            user_agent_header=f"lading/{VERSION}",
            max_size=MAX_ANSWER,
            write_limit=WRITE_LIMIT,
            open_timeout=timing.open_seconds,
            ssl=trust,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,
        )
    except InvalidProxy as error:
        raise InvalidArgument("The proxy that the environment names is not usable.") from error
    except InvalidURI as error:
        raise InvalidArgument(f"{address.url} is not a usable address.") from error
    except InvalidStatus as error:
        raise _not_upgraded(error.response) from error
    except (ConnectionRefusedError, gaierror) as error:
        raise judge(unreachable(address.url, error)) from error  # HTTP would not help
    except InvalidProxyStatus as error:
        if error.response.status_code == PROXY_UNAUTHORIZED:
            raise ProxyUnauthorized from error
        raise NoChannel(unreachable(address.url, error), blocked=True) from error
    except (OSError, EOFError, InvalidHandshake) as error:
        lost = judge(unreachable(address.url, error))
        raise NoChannel(lost.error) from error
    if socket.subprotocol not in OFFERED:
        socket.transport.abort()
        raise NotFound(f"{address.url} does not speak {m.SUBPROTOCOL}. Is it a Lading server?")
    return socket


def _not_upgraded(response: Response) -> Again:
    """Why the handshake was refused. Raises LadingError when the server itself refused it."""
    status = response.status_code
    error = error_of(status, response.headers, bytes(response.body or b""))
    # The server answers 400 when a proxy removed the upgrade from the request.
    from_proxy = "problem+json" not in response.headers.get("content-type", "")
    if status in (400, 426) or (from_proxy and (status < 300 or status in (403, 405, 501))):
        return NoChannel(error, blocked=True)
    return judge(error)


def explain(closed: ConnectionClosed, parting: LadingError | None) -> Again:
    """Why a connection ended, as a reason to try again. Raises LadingError when there is none.

    `parting` is the problem that the server sent before it closed, if any. An end without a close
    code, or by our own complaint about garbled bytes, counts as 1006.
    """
    code = 1006 if closed.rcvd is None else closed.rcvd.code
    lost = Unreachable(f"The connection was closed ({code}).")
    if code == 4401:
        return judge(parting or Unauthorized())
    if code == 4403:
        raise parting or Forbidden()
    if code not in OUR_FAULT:
        return Again(parting or lost, after=0.0 if parting is None else asked_wait(parting))
    if parting is None or isinstance(parting, Unauthorized):
        # 1008 with `unauthorized` means that HELLO came too late over a slow network.
        return Again(lost, limit=LIMITS["invalid-message"])
    return judge(parting)
