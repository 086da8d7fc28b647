"""Direct upload: the bytes go to the bucket where the file will live, past the server.

The server is told what will come, and says where the bucket wants it: as one PUT, or in parts. What
the bucket does not take, or cannot be sent there from here, is sent to the server like any other
upload: the announcement is one. Source: docs/http-api.md, "Media".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx

from lading.client.api import TIMEOUT, Api
from lading.client.http_channel import finish
from lading.client.proxy import proxy_for
from lading.client.retry import Retry
from lading.client.source import Source
from lading.protocol.errors import Unavailable
from lading.protocol.spec import UploadSpec

AT_ONCE = 4
"""Parts that are sent at the same time."""

BLOCK = 2**20
"""Bytes that are read and sent at a time."""

PATIENCE = 30.0
"""Seconds for which a bucket that fails is tried again; after that the server takes the bytes."""

Raw = Mapping[str, Any]


class BucketRefused(Exception):
    """The bucket does not take the bytes: they changed meanwhile, or the address expired."""


async def announce(api: Api, spec: UploadSpec, sha256: str) -> dict[str, Any]:
    """Announce a file; the answer of the server. One attempt."""
    body: dict[str, Any] = {"name": spec.name, "size": spec.size, "sha256": sha256, **api.for_user}
    body |= {"directory": spec.directory, "tags": list(spec.tags)}
    if spec.mime_type is not None:
        body["mime_type"] = spec.mime_type
    return await api.json("POST", "/v1/media", body=body)


async def finalize(api: Api, media_id: str) -> dict[str, Any]:
    """Have what was sent compared and published; the manifest as the server sends it."""
    return await finish(api, f"/v1/media/{media_id}/finalize")


class Bucket:
    """Sends the bytes of one source. `on_sent` is called with the length of each block."""

    def __init__(self, api: Api, source: Source, on_sent: Callable[[int], None]) -> None:
        self._api = api
        self._source = source
        self._on_sent = on_sent

    async def send(self, media_id: str, upload: Raw) -> bool:
        """Send the file as the server said; False where there is no bucket, or it fails.

        Raises what the source raises.
        """
        size = self._source.size
        assert size is not None
        try:
            if upload.get("direct"):
                await self._put(upload, 0, size)
                return True
            if "parts" in upload:
                await self._send_parts(media_id, int(upload["parts"]["count"]))
                return True
        except (BucketRefused, Unavailable):
            await self._source.confirm(lambda _done: None)  # says it, if the file changed
        return False

    async def _send_parts(self, media_id: str, count: int) -> None:
        next_part: int | None = 1
        slots = asyncio.Semaphore(AT_ONCE)
        while next_part is not None and next_part <= count:
            path = f"/v1/media/{media_id}/parts"
            page = await self._api.json("GET", path, {"from": next_part}, patience=PATIENCE)
            with self._api.reading():
                next_part = page["next"]
                parts = [part for part in page["parts"] if not part["stored"]]

            async def one(part: Raw) -> None:
                async with slots:
                    await self._put(part, part["start"], part["start"] + part["size"])

            tasks = [asyncio.ensure_future(one(part)) for part in parts]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _put(self, to: Raw, start: int, end: int) -> None:
        retry = Retry(PATIENCE, self._api.timing, self._api.credential)
        while True:
            try:
                return await self._once(to, start, end)
            except Unavailable as failure:
                await retry.wait(failure)

    async def _once(self, to: Raw, start: int, end: int) -> None:
        url = str(to["url"])
        headers = {**to["headers"], "content-length": str(end - start)}
        # A client of its own: the bucket must not get the token, and has a certificate of its own.
        async with httpx.AsyncClient(
            timeout=TIMEOUT, trust_env=False, proxy=proxy_for(url)
        ) as http:
            try:
                answer = await http.put(url, headers=headers, content=self._blocks(start, end))
            except httpx.TransportError as error:
                raise Unavailable("The bucket cannot be reached.") from error
        if answer.status_code >= 500:
            raise Unavailable(f"The bucket answers with HTTP status {answer.status_code}.")
        if answer.status_code >= 300:
            raise BucketRefused(answer.text[:500])

    async def _blocks(self, start: int, end: int) -> AsyncIterator[bytes]:
        for position in range(start, end, BLOCK):
            stop = min(position + BLOCK, end)
            data = await self._source.read(position, stop, bytes)
            self._on_sent(len(data))
            yield data
