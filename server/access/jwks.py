"""The keys of a JWKS address. A fetch never delays a request whose key is known.

At most one fetch runs at a time, in a task of its own. A known `kid` is answered at once, from the
keys of the last fetch; when these are old, a fetch starts beside it. An unknown `kid` waits for one
fetch, for a limited time. Failed fetches are repeated after growing pauses, and the last good keys
stay good.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
import structlog
from joserfc.jwk import Key

from lading.protocol.errors import Unavailable
from lading.server.access.keys import FixedKeys, parse_jwks

log = structlog.get_logger()

KEYS_SECONDS = 600.0
"""The age at which keys are fetched again."""

UNKNOWN_KEY_SECONDS = 30.0
"""The pause after a fetch before an unknown `kid` may cause another: a rotated key is found soon,
and nobody can make the server fetch for every request."""

RETRY_SECONDS = 1.0
"""The pause after a failed fetch. It doubles with each failure, up to UNKNOWN_KEY_SECONDS."""

WAIT_SECONDS = 5.0
"""How long a request with an unknown `kid` waits for a fetch."""

FETCH_SECONDS = 15.0
"""The longest that one fetch may take."""


class FetchedKeys:
    """Keys of a JWKS address. `fetch` returns the text of the set."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[str]],
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._keys: FixedKeys | None = None
        self._running: asyncio.Task[None] | None = None
        self._fetched_at = 0.0
        self._failures = 0
        self._next_at: float | None = None

    async def find(self, kid: str | None) -> Key | None:
        """The key of that id; raises Unavailable while no fetch can tell."""
        found = self._known(kid)
        if found is not None:
            if self._clock() - self._fetched_at > KEYS_SECONDS:
                self._start()
            return found
        task = self._start()
        if task is not None:
            await asyncio.wait({task}, timeout=self._wait_seconds)
            found = self._known(kid)
        if found is None and (self._keys is None or (task is not None and not task.done())):
            raise Unavailable("The keys of tokens cannot be fetched right now; try again.")
        return found

    def _known(self, kid: str | None) -> Key | None:
        return None if self._keys is None else self._keys.get(kid)

    def _start(self) -> asyncio.Task[None] | None:
        """The fetch that runs, or a new one; None during the pause after the last one."""
        if self._running is not None:
            return self._running
        if self._next_at is not None and self._clock() < self._next_at:
            return None
        self._running = asyncio.create_task(self._refresh())
        return self._running

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = FixedKeys(parse_jwks(await self._fetch()))
        except Exception as error:  # whatever is wrong at the other end must not end requests here
            self._failures += 1
            pause = min(RETRY_SECONDS * 2.0 ** min(self._failures - 1, 10), UNKNOWN_KEY_SECONDS)
            cause = str(error).partition("\n")[0][:200]
            log.warning("jwks-not-fetched", kind=type(error).__name__, error=cause)
        else:
            self._failures, pause = 0, UNKNOWN_KEY_SECONDS
            self._fetched_at = self._clock()
        finally:
            self._running = None
        self._next_at = self._clock() + pause


def jwks_fetcher(url: str) -> Callable[[], Awaitable[str]]:
    """Fetches the keys of an address; redirects are not followed.

    The proxy is that of `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, and certificates are those of
    `SSL_CERT_FILE` or `SSL_CERT_DIR`, where these are set.
    """

    async def fetch() -> str:
        # Reading the system's certificates takes long enough to hold up the event loop.
        context = await asyncio.to_thread(httpx.create_ssl_context)
        async with httpx.AsyncClient(
            verify=context, timeout=FETCH_SECONDS, follow_redirects=False
        ) as client:
            response = await client.get(url)
            response.raise_for_status()
            return response.text

    return fetch
