"""HTTP requests to one server, and what their answers mean as values and errors.

Source: page 4 of the design.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypedDict, Unpack

import httpx

from lading.client.address import Address, Credential
from lading.client.backoff import Pace, Timing
from lading.client.channels import Channels
from lading.client.errors import (
    PROXY_UNAUTHORIZED,
    NotALadingServer,
    ProxyUnauthorized,
    Unreachable,
    unreachable,
)
from lading.client.proxy import proxy_for
from lading.client.retry import Retry
from lading.client.transport import Transport
from lading.protocol.errors import (
    Forbidden,
    Internal,
    InvalidArgument,
    LadingError,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    from_problem,
)
from lading.version import VERSION

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""Seconds without a byte before a request counts as lost, and to connect."""

SLOW_SECONDS = 3.0
"""`on_slow` is called after so many seconds without an answer."""

Params = Mapping[str, str | int | list[str]]


class Options(TypedDict, total=False):
    """What a request may carry: `body` is sent as JSON, `content` as it is.

    With `silent`, `on_slow` is not called: the caller shows its progress itself. With `follow`, the
    server may name a bucket that sends the bytes instead; the credential is not sent there. With a
    `key`, drawn by `new_key`, the server carries the request out once, however often it is sent.
    """

    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    content: bytes | AsyncIterator[bytes]
    timeout: httpx.Timeout
    silent: bool
    follow: bool
    key: str | None


def new_key() -> str:
    """An `Idempotency-Key` of a new request."""
    return uuid.uuid4().hex


def nothing() -> None:
    """Nobody wants to know."""


class Api:
    """Requests to one server, each with the current credential.

    `on_slow` is called when a request has had no answer for `SLOW_SECONDS`. `for_user` is the
    parameter of lists and new uploads with which an admin acts for another user. `pace` waits where
    more than `rate` bytes a second would be sent or received.
    """

    def __init__(
        self,
        address: Address,
        credential: Credential,
        timing: Timing,
        on_slow: Callable[[], None] = nothing,
        *,
        user: str | None = None,
        rate: float | None = None,
    ) -> None:
        self.address = address
        self.for_user: dict[str, Any] = {} if user is None else {"user_id": user}
        self._on_slow = on_slow
        self.credential = credential
        self.timing = timing
        self.transport = Transport(timing)
        self.channels = Channels(timing)
        self.pace = Pace(rate, timing)
        self.proxy = proxy_for(address.url)
        # The system's certificates, or those of SSL_CERT_FILE and SSL_CERT_DIR; for WebSocket too.
        self.trust = ssl.create_default_context() if address.url.startswith("https:") else None
        self._http = _http(self.trust, self.proxy)
        self._bucket: httpx.AsyncClient | None = None

    async def close(self) -> None:
        await self.channels.close()
        await self._http.aclose()
        if self._bucket is not None:
            await self._bucket.aclose()

    async def json(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        patience: float = 0.0,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """The JSON object of the answer; an empty one for an empty answer.

        With `patience`, in seconds, temporary failures are retried for so long. A DELETE that
        finds nothing succeeds if an earlier attempt may have deleted it. Raises LadingError: what
        the server refused, or Unreachable.
        """
        retry = Retry(patience, self.timing, self.credential)
        perhaps_done = False
        while True:
            try:
                return await self._once(method, path, params, **options)
            except LadingError as failure:
                if perhaps_done and method == "DELETE" and type(failure) is NotFound:
                    return {}
                perhaps_done = perhaps_done or _perhaps_done(failure)
                await retry.wait(failure)

    async def _once(
        self, method: str, path: str, params: Params | None, **options: Unpack[Options]
    ) -> dict[str, Any]:
        async with self.stream(method, path, params, **options) as response:
            received = await _body(response)
        with self.reading():
            answer = response.json() if received else {}
        if not isinstance(answer, dict):
            raise self.not_a_lading_server()
        return answer

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Reads an answer. Raises NotALadingServer where it is malformed or lacks a field."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.not_a_lading_server() from error

    def not_a_lading_server(self) -> LadingError:
        """The error for an answer that no Lading server sends."""
        return NotALadingServer(f"{self.address.url} does not answer like a Lading server.")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, params: Params | None = None, **options: Unpack[Options]
    ) -> AsyncIterator[httpx.Response]:
        """One attempt at a request; its answer is open for reading. Raises LadingError."""
        token = await self.credential.get()
        key = options.get("key")
        own = {"authorization": f"Bearer {token}"} if token else {}
        own |= {"idempotency-key": key} if key else {}
        request = self._http.build_request(
            method,
            self.address.url + path,
            params=params,
            headers={**own, **options.get("headers", {})},
            content=options.get("content"),
            json=options.get("body"),
            timeout=options.get("timeout", TIMEOUT),
        )
        on_slow = nothing if options.get("silent") else self._on_slow
        slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, on_slow)
        try:
            response = await self._http.send(request, stream=True)
            if options.get("follow") and _leads_to_bucket(response):
                response = await self._follow(response, options)
        except httpx.TransportError as error:
            raise unreachable(self.address.url, error) from error
        finally:
            slow.cancel()
        try:
            if response.status_code >= 300:
                raise await self._refusal(response)
            yield response
        except httpx.TransportError as error:
            raise unreachable(self.address.url, error) from error
        finally:
            await response.aclose()

    async def _follow(self, response: httpx.Response, options: Options) -> httpx.Response:
        """The answer of the bucket that the server names."""
        await response.aclose()
        url = response.headers["location"]
        if self._bucket is None:
            self._bucket = _http(ssl.create_default_context(), proxy_for(url))
        headers = options.get("headers", {})
        return await self._bucket.send(
            self._bucket.build_request("GET", url, headers=headers), stream=True
        )

    async def _refusal(self, response: httpx.Response) -> LadingError:
        body = await _body(response)
        error = error_of(response.status_code, response.headers, body)
        if isinstance(error, Unauthorized):
            self.credential.forget()
        return error


def _http(trust: ssl.SSLContext | None, proxy: str | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=TIMEOUT,
        verify=trust or False,
        trust_env=False,
        proxy=proxy,
        headers={"user-agent": f"lading/{VERSION}", "accept-encoding": "identity"},
    )


def _leads_to_bucket(response: httpx.Response) -> bool:
    """Whether a Lading server redirects: the login page of a captive portal names no file's tag."""
    return response.status_code == 307 and {"etag", "location"} <= set(response.headers)


async def accepted(
    send: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
    given: Mapping[str, Any],
    *newer: str,
) -> dict[str, Any]:
    """The answer of `send` to fields or parameters. Those of `newer` that a server of an older
    version does not know are left out, one after the other."""
    left = dict(given)
    while True:
        try:
            return await send(left)
        except InvalidArgument as refused:
            unknown = next((name for name in newer if name in left and _is(refused, name)), None)
            if unknown is None:
                raise
            del left[unknown]


def _is(refused: InvalidArgument, name: str) -> bool:
    """Whether a server refuses a request because it does not know this field or parameter."""
    text = str(refused)
    return f"`{name}` is not a known field" in text or f"query parameter `{name}`" in text


def _perhaps_done(failure: LadingError) -> bool:
    """Whether the server may have carried out the request although its answer was lost."""
    never_sent = httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    if isinstance(failure.__cause__, never_sent):
        return False
    return isinstance(failure, Unreachable | Unavailable | Internal)


async def _body(response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    except httpx.TransportError as error:
        raise Unreachable(f"The connection to {response.url.host} was lost.") from error


_BY_STATUS: dict[int, type[LadingError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotALadingServer,
    PROXY_UNAUTHORIZED: ProxyUnauthorized,
    408: Unavailable,
    425: Unavailable,
    429: RateLimited,
    **dict.fromkeys((502, 503, 504), Unavailable),
    511: NotALadingServer,
    **dict.fromkeys(range(520, 531), Unavailable),
}
"""What a status means that a proxy answered. 520 to 530 are those of large content networks for
"the server behind does not answer"."""

REDIRECTS = (301, 302, 303, 307, 308)
"""None is followed with the token: another address must not get it."""

_ADVICE: dict[type[LadingError], str] = {
    NotALadingServer: "Check LADING_URL or --server.",
    Unavailable: "Try again later.",
}


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> LadingError:
    """The error for a response of status 300 or more.

    A problem document names it; any other body came from a proxy in between.
    """
    error: LadingError
    problem = _problem(headers.get("content-type", ""), body)
    if problem is not None:
        error = from_problem(problem)
    elif status in REDIRECTS:
        to = headers.get("location", "another address")
        error = NotALadingServer(
            f"The server does not answer like a Lading server: HTTP status {status} redirects to "
            f"{to}. Is that its address?"
        )
    else:
        kind = _BY_STATUS.get(status, Internal)
        what = (
            "does not answer like a Lading server:" if kind is NotALadingServer else "answered with"
        )
        more = f" {_ADVICE[kind]}" if kind in _ADVICE else ""
        plain = f"The server {what} HTTP status {status}.{more}"
        error = kind() if kind is ProxyUnauthorized else kind(plain)
    after = _retry_after(headers)
    if after is not None:
        error.extra.setdefault("retry_after", after)
    return error


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """The seconds of `Retry-After`, which is a number or a date (RFC 9110, section 10.2.3).

    A date is compared with the server's own `Date`, where it sends one: clocks differ.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return int(text)
    until = _date(text)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0, math.ceil((until - now).total_seconds()))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _problem(content_type: str, body: bytes) -> dict[str, Any] | None:
    if not content_type.startswith("application/problem+json"):
        return None
    try:
        problem = httpx.Response(200, content=body).json()
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None
