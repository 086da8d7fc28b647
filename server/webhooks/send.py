"""One request to a webhook: to an address that was judged, within deadlines, and never further.

The connection goes to the chosen address, TLS verifies the name of the URL. Redirects are not
followed, proxies of the environment are not used, and of the answer no more is read than `most`.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lading.protocol.errors import InvalidArgument
from lading.server.limits import WebhookLimits
from lading.server.webhooks.addresses import Refused, Resolve, Target, choose, parse, system
from lading.version import VERSION

if TYPE_CHECKING:
    import httpx

CONTENT_TYPE = "application/json"


class Outcome(NamedTuple):
    """What a request led to: the status of the answer, or why there is none."""

    status: int | None
    error: str | None
    seconds: float

    @property
    def taken(self) -> bool:
        """Whether the receiver took the event."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends requests. `private` allows addresses that are not public.

    `resolve` finds addresses of names, `trust` are the authorities that certificates may have; the
    system's if None.
    """

    def __init__(
        self,
        limits: WebhookLimits,
        *,
        private: bool,
        resolve: Resolve = system,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits
        self._private = private
        self._resolve = resolve
        self._trust = trust

    async def check(self, url: str) -> None:
        """Raise InvalidArgument for an address to which nothing would be sent."""
        target = parse(url, private=self._private)
        try:
            await choose(target, self._resolve, private=self._private)
        except Refused as error:
            raise InvalidArgument(str(error)) from error

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """POST a body once. Never raises: what went wrong is in the outcome."""
        begun = time.perf_counter()
        status, error = None, None
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                status = await self._send(url, headers, body)
        except TimeoutError:
            error = f"No answer came within {self._limits.send_seconds:g} s."
        except (Refused, InvalidArgument) as reason:
            error = str(reason)
        except _failures() as failure:
            error = _explain(failure)
        if status is not None and 300 <= status < 400:
            error = "The answer is a redirect, which is not followed; change the URL."
        elif status is not None and not 200 <= status < 300:
            error = f"The answer has the status {status}."
        return Outcome(status, error, time.perf_counter() - begun)

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        import httpx  # here: most servers have no webhooks, and it takes memory

        target = parse(url, private=self._private)
        address = await choose(target, self._resolve, private=self._private)
        if self._trust is None:
            self._trust = await asyncio.to_thread(ssl.create_default_context)
        # A new connection each time: one that is kept was verified for another name.
        transport = httpx.AsyncHTTPTransport(verify=self._trust, retries=0)
        async with transport:
            answer = await transport.handle_async_request(
                self._request(target, address, headers, body)
            )
            try:
                await self._skim(answer)
            finally:
                await answer.aclose()
            return answer.status_code

    def _request(
        self, target: Target, address: str, headers: Mapping[str, str], body: bytes
    ) -> httpx.Request:
        import httpx

        seconds = self._limits.send_seconds
        return httpx.Request(
            "POST",
            httpx.URL(
                scheme="https" if target.secure else "http",
                host=address,
                port=target.port,
                raw_path=target.path.encode("ascii"),
            ),
            headers={
                "Host": target.authority,
                "Content-Type": CONTENT_TYPE,
                "User-Agent": f"lading/{VERSION}",
                "Accept-Encoding": "identity",
                "Connection": "close",
                **headers,
            },
            content=body,
            extensions={
                "sni_hostname": target.host,
                "timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds),
            },
        )

    async def _skim(self, answer: httpx.Response) -> None:
        """Read the beginning of the body, so that a short one ends as its sender expects."""
        read = 0
        async for part in answer.aiter_raw():
            read += len(part)
            if read >= self._limits.answer_bytes:
                return


def _failures() -> tuple[type[Exception], ...]:
    import httpx

    return (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError)


def _explain(failure: Exception) -> str:
    """What went wrong, in words that are not a library's."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "Its certificate is not valid for this name."
        if isinstance(cause, ssl.SSLError):
            return "It does not speak TLS."
        if isinstance(cause, ConnectionRefusedError):
            return "The connection was refused."
        cause = cause.__cause__ or cause.__context__
    return "The connection failed, or closed without an answer."
