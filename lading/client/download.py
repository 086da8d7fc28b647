"""One download: by ranges, resumed where it stopped, and checked to the last byte.

Source: page 4 of the design, `GET /v1/files/{id}`; RFC 9110, sections 13.1.5 and 14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import httpx

from lading.client.api import Api
from lading.client.errors import Unreachable
from lading.client.retry import LIMITS, Again, Retry
from lading.client.target import FileTarget, PipeTarget, Target, safe_name
from lading.client.types import File, Progress, State
from lading.protocol.errors import ChecksumMismatch, Internal, LadingError

BLOCK = 1024 * 1024


class Download:
    """Writes a finished file into a target. `resumed_from`: bytes that an earlier run left.

    `path` is where it is fetched, if not at its own address.
    """

    def __init__(
        self,
        api: Api,
        file: File,
        target: Target,
        *,
        path: str | None = None,
        patience: float,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.resumed_from = 0
        self._api = api
        self._path = path or f"/v1/files/{file.id}"
        self._size = file.size
        self._target = target
        self._retry = Retry(patience, api.timing, api.credential, self._waiting)
        self._on_progress = on_progress
        self._etag: str | None = None

    async def run(self) -> None:
        """Fetch the file, check it and give it its name.

        Raises LadingError. What arrived is kept for the next run, unless it is proven wrong.
        """
        try:
            self.resumed_from = await asyncio.to_thread(self._target.open)
            self._tell(State.SENDING)
            await self._fetch()
            if not self._target.matches() and self.resumed_from:
                # What an earlier run left belonged to another file.
                await self._restart()
                await self._fetch()
            if not self._target.matches():
                self._target.restart()
                raise ChecksumMismatch("The bytes that arrived differ from the file.")
            await asyncio.to_thread(self._target.finish)
        finally:
            await asyncio.to_thread(self._target.close)
        self._tell(State.DONE)

    async def _restart(self) -> None:
        self.resumed_from = 0
        if not await asyncio.to_thread(self._target.restart):
            raise ChecksumMismatch("The file changed on the server during the download.")

    async def _fetch(self) -> None:
        while self._target.offset < self._size:
            try:
                await self._stream()
            except (Again, LadingError) as failure:
                await self._retry.wait(failure)

    async def _stream(self) -> None:
        """One request for all that is missing. Returns early when the connection ends."""
        start = self._target.offset
        headers = {"range": f"bytes={start}-"} if start else {}
        if self._api.address.is_direct:
            headers["prefer"] = "delivery=self"  # no proxy is there to send the bytes
        if start and self._etag is not None:
            headers["if-range"] = self._etag
        async with self._api.stream("GET", self._path, headers=headers, follow=True) as response:
            if "etag" not in response.headers:
                # Such as the login page of a captive portal; what arrived before must stay.
                raise self._api.not_a_lading_server()
            self._etag = response.headers["etag"]
            if start and response.status_code != 206:
                await self._restart()
            elif start and not response.headers.get("content-range", "").startswith(
                f"bytes {start}-"
            ):
                raise Internal("The server sent another range than requested.")
            try:
                async for data in response.aiter_raw(BLOCK):
                    await asyncio.to_thread(self._target.write, data)
                    await self._api.pace.wait(len(data))
                    self._progressed()
            except httpx.TransportError as error:
                if self._target.offset > start:
                    raise
                # Connections that end before the first byte mean a server that cannot read it.
                lost = Unreachable("The server ended the connection before the first byte.")
                raise Again(lost, limit=LIMITS["internal"]) from error

    def _progressed(self) -> None:
        self._retry.progressed()
        self._tell(State.SENDING)

    def _waiting(self, reason: str) -> None:
        self._tell(State.WAITING, reason)

    def _tell(self, state: State, reason: str | None = None) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(state, self._target.offset, self._size, reason=reason))


def target_for(to: str | PathLike[str] | BinaryIO | None, file: File, overwrite: bool) -> Target:
    """Where a file is written to: see `Client.download`. Blocks."""
    if to is not None and not isinstance(to, str | PathLike):
        return PipeTarget(to, file)
    path = Path() if to is None else Path(to)
    if path.is_dir():
        path /= safe_name(file.name, file.id)
    return FileTarget(path, file, overwrite=overwrite)
