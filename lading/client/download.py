"""One download: by ranges, going on where it stopped, and checked to the last byte.

It owns resuming, in this run and from an earlier one, and the proof that the bytes are the file's.
It refuses to know where the bytes are put: that is `target.py`.
Source: page 4 of the design, `GET /v1/files/{id}`; RFC 9110, sections 13.1.5 and 14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from lading.client.api import Api
from lading.client.backoff import Backoff
from lading.client.errors import LIMITS, Again, Unreachable, judge
from lading.client.progress import Progress, State
from lading.client.target import Target
from lading.protocol.errors import ChecksumMismatch, Internal, LadingError

BLOCK = 1024 * 1024


class Download:
    """The bytes of a finished file, into a target. `resumed_from` is what an earlier run left."""

    def __init__(
        self,
        api: Api,
        manifest: dict[str, Any],
        target: Target,
        *,
        patience: float,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.resumed_from = 0
        self._api = api
        self._id: str = manifest["_id"]
        self._size: int = manifest["size"]
        self._target = target
        self._backoff = Backoff(patience, api.timing)
        self._on_progress = on_progress
        self._etag: str | None = None
        self._doubts = 0

    async def run(self) -> None:
        """Fetch, check and put in place.

        Raises LadingError; what arrived is kept for the next run, unless it is proven wrong.
        """
        try:
            self.resumed_from = await asyncio.to_thread(self._target.open)
            self._tell(State.SENDING)
            await self._fetch()
            if not self._target.matches() and self.resumed_from:
                # What was left of an earlier run belonged to another file.
                await self._restart()
                await self._fetch()
            if not self._target.matches():
                self._target.restart()
                raise ChecksumMismatch("The bytes that arrived are not those of the file.")
            await asyncio.to_thread(self._target.finish)
        finally:
            await asyncio.to_thread(self._target.close)
        self._tell(State.DONE)

    async def _restart(self) -> None:
        self.resumed_from = 0
        if not await asyncio.to_thread(self._target.restart):
            raise ChecksumMismatch("The file changed on the server while it was read.")

    async def _fetch(self) -> None:
        while self._target.offset < self._size:
            try:
                await self._stream()
            except (Again, LadingError) as failure:
                await self._recover(judge(failure))

    async def _stream(self) -> None:
        """One request for all that is missing; ends early when the connection does."""
        start = self._target.offset
        headers = {"range": f"bytes={start}-"} if start else {}
        if start and self._etag is not None:
            headers["if-range"] = self._etag
        path = f"/v1/files/{self._id}"
        async with self._api.stream("GET", path, headers=headers) as response:
            self._etag = response.headers.get("etag")
            if start and response.status_code != 206:
                await self._restart()
            elif start and not response.headers.get("content-range", "").startswith(
                f"bytes {start}-"
            ):
                raise Internal("The server sent another range than it was asked for.")
            try:
                async for data in response.aiter_raw(BLOCK):
                    await asyncio.to_thread(self._target.write, data)
                    self._progressed()
            except httpx.TransportError as error:
                if self._target.offset > start:
                    raise
                # Connections that end before the first byte are a server that cannot read it.
                lost = Unreachable("The server ended the connection before the first byte.")
                raise Again(lost, limit=LIMITS["internal"]) from error

    def _progressed(self) -> None:
        self._backoff.progressed()
        self._doubts = 0
        self._tell(State.SENDING)

    async def _recover(self, again: Again) -> None:
        self._doubts += again.limit is not None
        delay = self._backoff.delay(again.after)
        if delay is None or (again.limit is not None and self._doubts > again.limit):
            raise again.error
        if again.renew and not self._api.credential.renewable:
            raise again.error
        self._tell(State.WAITING, str(again.error))
        await self._api.timing.sleep(delay)

    def _tell(self, state: State, reason: str | None = None) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(state, self._target.offset, self._size, reason=reason))
