"""Direct upload: the bytes go to the bucket where the file will live, past the server.

The server is told what will come, and says where the bucket wants it: as one PUT, or in parts. What
the bucket does not take, or cannot be sent there from here, is sent to the server like any other
upload: the announcement is one, with the fingerprint of the file. So a later run finds it. Then it
sends the parts that the bucket lacks, or all of a file of one PUT, unless the bucket has it.
Source: docs/http-api.md, "Media".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import httpx

from lading.client.api import TIMEOUT, Api, accepted, new_key
from lading.client.http_channel import finish
from lading.client.local import rfc3339
from lading.client.proxy import proxy_for
from lading.client.retry import Retry
from lading.client.source import Source
from lading.protocol.errors import (
    ChecksumMismatch,
    Incomplete,
    NotFound,
    Unavailable,
)
from lading.protocol.spec import UploadSpec

AT_ONCE = 4
"""Parts that are sent at the same time."""

BLOCK = 2**20
"""Bytes that are read and sent at a time."""

PATIENCE = 30.0
"""Seconds for which a bucket that fails is tried again; after that the server takes the bytes."""

TEMPORARY = (408, 429)
"""Statuses below 500 by which a bucket asks to send the same bytes again."""

Raw = Mapping[str, Any]


class BucketRefused(Exception):
    """The bucket does not take the bytes: they changed, the address expired, or it fails."""


class Listener(Protocol):
    """What the way of a file past the server reports."""

    def hashing(self, done: int) -> None: ...

    def announcing(self) -> None:
        """The announcement is sent: from now on the server may know the file."""

    def announced(self, media: Raw) -> None: ...

    def sending(self, size: int) -> None:
        """So many bytes are on their way to the bucket."""

    def in_bucket(self, size: int) -> None:
        """The bucket has so many more of the bytes that were sent."""

    def found(self, total: int) -> None:
        """The bucket has so many bytes in total, some of them perhaps of an earlier run."""

    def moved(self, total: int) -> None:
        """The bucket got so many bytes in total. Less than before where a request failed."""

    def verifying(self, done: int) -> None: ...


class DirectUpload:
    """The way of one file past the server, over as many attempts as it takes.

    `over` says that it ends here: what is announced is an upload like any other, and the rest of
    its bytes goes to the server.
    """

    def __init__(self, api: Api, source: Source, spec: UploadSpec, listener: Listener) -> None:
        self.over = False
        self._api = api
        self._source = source
        self._spec = spec
        self._listener = listener
        self._key = new_key()

    async def attempt(self, upload_id: str | None) -> Raw | None:
        """One attempt: the manifest of the file; None where its bytes are to go to the server.

        `upload_id` is that of an announcement, or of another unfinished upload, of the same file.
        Raises LadingError: what the server refused, and ChecksumMismatch where the announcement is
        of other bytes.
        """
        raw = None if self.over else await self._attempt(upload_id)
        self.over = raw is None
        return raw

    async def _attempt(self, upload_id: str | None) -> Raw | None:
        digest = await self._source.digest(self._listener.hashing)
        if digest is None or self._source.size is None:
            return None
        if upload_id is None:
            media_id, upload = await self._announce(digest)
        else:
            media_id, upload = await self._look(upload_id, digest)
        if upload is None:
            return None
        try:
            if upload_id is not None:
                # An earlier attempt may have sent all of it. Its parts cannot be listed any more
                # once they are joined.
                with suppress(Incomplete):
                    return await self._finalize(media_id)
            return await self._finalize(media_id) if await self._send(media_id, upload) else None
        except (Incomplete, NotFound):
            return None  # the server takes it instead, or says what became of it

    async def _announce(self, sha256: str) -> tuple[str, Raw | None]:
        spec = self._spec
        body: dict[str, Any] = {"name": spec.name, "size": spec.size, "sha256": sha256}
        body |= {"directory": spec.directory, "tags": list(spec.tags), **self._api.for_user}
        more = {name: getattr(spec, name) for name in ("mime_type", "fingerprint", "kind")}
        body |= {name: value for name, value in more.items() if value is not None}
        if spec.modified_at is not None:
            body["modified_at"] = rfc3339(spec.modified_at)
        self._listener.announcing()

        async def send(body: dict[str, Any]) -> dict[str, Any]:
            # The same upload however often it is sent: its fingerprint may not be known there.
            return await self._api.json("POST", "/v1/media", body=body, key=self._key)

        told = await accepted(send, body, "fingerprint", "modified_at")
        media, upload = self._told(told)
        return str(media["_id"]), upload

    async def _look(self, upload_id: str, sha256: str) -> tuple[str, Raw | None]:
        media, upload = self._told(await self._api.json("GET", f"/v1/media/{upload_id}"))
        if media.get("sha256") not in (None, sha256):
            raise ChecksumMismatch("The unfinished upload is of other bytes.")
        # What is at the server already is completed there.
        return upload_id, None if media["upload_size"] else upload

    def _told(self, told: Raw) -> tuple[Raw, Raw | None]:
        with self._api.reading():
            media, upload = told["media"], told.get("upload")
            self._listener.announced(media)
            is_direct = upload is not None and (upload.get("direct") or "parts" in upload)
        return media, upload if is_direct else None

    async def _send(self, media_id: str, upload: Raw) -> bool:
        """Send the bytes; False where the bucket does not take them. Raises LadingError where the
        server fails, and what the source raises."""
        try:
            await Bucket(self._api, self._source, self._listener).send(media_id, upload)
        except BucketRefused:
            await self._source.confirm(lambda _done: None)  # says it, if the file changed
            return False
        return True

    async def _finalize(self, media_id: str) -> Raw:
        self._listener.verifying(0)
        path = f"/v1/media/{media_id}/finalize"
        return await finish(
            self._api, path, on_verified=lambda done, _total: self._listener.verifying(done)
        )


class Bucket:
    """Sends the bytes of one source to where the server said."""

    def __init__(self, api: Api, source: Source, listener: Listener) -> None:
        self._api = api
        self._source = source
        self._listener = listener
        self._there = 0
        self._flying: dict[int, int] = {}

    async def send(self, media_id: str, upload: Raw) -> None:
        """Send the file: whole, or the parts that the bucket lacks.

        Raises BucketRefused, also for a bucket that keeps failing; LadingError where the server
        does not list the parts; what the source raises.
        """
        size = self._source.size
        assert size is not None
        if "parts" in upload:
            await self._send_parts(media_id)
        else:
            await self._put(upload, 0, size)

    async def _send_parts(self, media_id: str) -> None:
        next_part: int | None = 1
        slots = asyncio.Semaphore(AT_ONCE)
        while next_part is not None:
            path = f"/v1/media/{media_id}/parts"
            page = await self._api.json("GET", path, {"from": next_part}, patience=PATIENCE)
            with self._api.reading():
                next_part = page["next"]
                missing = [part for part in page["parts"] if not part["stored"]]
                self._earlier(sum(part["size"] for part in page["parts"] if part["stored"]))

            async def one(part: Raw) -> None:
                async with slots:
                    await self._put(part, part["start"], part["start"] + part["size"])

            tasks = [asyncio.ensure_future(one(part)) for part in missing]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _earlier(self, size: int) -> None:
        self._there += size
        if size:
            self._listener.found(self._there)
            self._moved()

    async def _put(self, to: Raw, start: int, end: int) -> None:
        retry = Retry(PATIENCE, self._api.timing, self._api.credential)
        while True:
            self._flying[start] = 0
            try:
                await self._once(to, start, end)
            except Unavailable as failure:
                self._flying[start] = 0
                self._moved()
                try:
                    await retry.wait(failure)
                except Unavailable as last:
                    # Not to be taken for the same trouble of the server, which the upload outlasts.
                    raise BucketRefused(str(last)) from last
            else:
                del self._flying[start]
                self._there += end - start
                self._listener.in_bucket(end - start)
                self._moved()
                return

    def _moved(self) -> None:
        self._listener.moved(self._there + sum(self._flying.values()))

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
        if _is_temporary(answer):
            raise Unavailable(f"The bucket answers with HTTP status {answer.status_code}.")
        if answer.status_code >= 300:
            raise BucketRefused(answer.text[:500])

    async def _blocks(self, start: int, end: int) -> AsyncIterator[bytes]:
        for position in range(start, end, BLOCK):
            stop = min(position + BLOCK, end)
            data = await self._source.read(position, stop, bytes)
            self._flying[start] += len(data)
            self._listener.sending(len(data))
            self._moved()
            yield data


def _is_temporary(answer: httpx.Response) -> bool:
    """Whether the bucket may take the same bytes later.

    S3 answers 400 with this code where the bytes came too slowly.
    """
    status = answer.status_code
    slow = status == 400 and "<Code>RequestTimeout</Code>" in answer.text
    return status >= 500 or status in TEMPORARY or slow
