"""Sends a file as clients of other protocols do: by tus 1.0, or by the IETF's resumable uploads.

It is for those who want to know whether these get through a network, and how fast. The upload is
created like any other, with the fingerprint of the file, so that a later run goes on with it by
any protocol. Its bytes go from the offset that the server tells to the end of the file in one
request. When that breaks off, the next attempt asks for the offset again.
Source: tus 1.0.0; draft-ietf-httpbis-resumable-upload, interop 8; docs/interop.md.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from lading.client.api import Api
from lading.client.errors import NotALadingServer
from lading.client.http_channel import FINISHING
from lading.client.source import Source
from lading.protocol import rufh, tus

BLOCK = 2**20
"""Bytes that are read and sent at a time."""

JSON = {"accept": "application/json"}
TUS = {"tus-resumable": tus.VERSION}
INTEROP = {"upload-draft-interop-version": "8"}

Raw = Mapping[str, Any]


class Listener(Protocol):
    """What an upload that is appended to reports."""

    def hashing(self, done: int) -> None: ...

    def sending(self, size: int) -> None:
        """So many bytes are on their way."""

    def acknowledged(self, size: int) -> None:
        """The server has so many more of the bytes that were sent."""

    def found(self, total: int) -> None:
        """So many bytes were stored before this run."""

    def moved(self, total: int) -> None:
        """So many bytes in total went out."""


class Appending:
    """The way of one file into one upload, over as many attempts as it takes."""

    def __init__(
        self, api: Api, source: Source, listener: Listener, *, by_tus: bool, sha256: bool
    ) -> None:
        """`sha256`: the server is to verify it, which the IETF's way alone can ask for."""
        self._api = api
        self._source = source
        self._listener = listener
        self._by_tus = by_tus
        self._sha256 = sha256
        self._offset: int | None = None
        self._complete = False
        """Whether the server said that it is a file already: the last answer was lost then."""

    async def attempt(self, upload_id: str) -> Raw:
        """One attempt; the manifest of the file. Raises LadingError, and what the source raises."""
        size = self._source.size
        assert size is not None
        digest = None
        if self._sha256 and not self._by_tus:
            digest = await self._source.digest(self._listener.hashing)
        offset = await self._look(upload_id)
        if not self._complete:
            await self._send(upload_id, offset, size, digest)
        self._at(size)
        await self._source.confirm(self._listener.hashing)
        return await self._api.json("GET", f"/v1/manifests/{upload_id}")

    async def _send(self, upload_id: str, offset: int, size: int, digest: str | None) -> None:
        """Send all that is missing."""
        headers = {**JSON, "upload-offset": str(offset), "content-length": str(size - offset)}
        if self._by_tus:
            headers |= {**TUS, "content-type": tus.CONTENT_TYPE}
        else:
            headers |= {**INTEROP, "content-type": rufh.CONTENT_TYPE, "upload-complete": "?1"}
        if digest is not None:
            headers["repr-digest"] = f"sha-256=:{b64encode(bytes.fromhex(digest)).decode()}:"
        body = self._blocks(offset, size)
        async with self._api.stream(
            "PATCH", self._path(upload_id), headers=headers, content=body, timeout=FINISHING
        ):
            pass

    async def _look(self, upload_id: str) -> int:
        """The offset that the server tells."""
        headers = TUS if self._by_tus else INTEROP
        try:
            async with self._api.stream("HEAD", self._path(upload_id), headers=headers) as answer:
                with self._api.reading():
                    offset = int(answer.headers["upload-offset"])
                    self._complete = answer.headers.get("upload-complete") == "?1"
        except NotALadingServer:
            # An answer to HEAD has no body that says what is wrong.
            await self._api.json("GET", f"/v1/uploads/{upload_id}")
            raise
        if self._offset is None:
            self._offset = offset
            self._listener.found(offset)
        self._at(offset)
        return offset

    def _at(self, offset: int) -> None:
        before, self._offset = self._offset or 0, offset
        if offset > before:
            self._listener.acknowledged(offset - before)
        self._listener.moved(offset)

    def _path(self, upload_id: str) -> str:
        return f"/v1/{'tus' if self._by_tus else 'resumable'}/{upload_id}"

    async def _blocks(self, start: int, size: int) -> AsyncIterator[bytes]:
        for position in range(start, size, BLOCK):
            data = await self._source.read(position, min(position + BLOCK, size), bytes)
            self._listener.sending(len(data))
            self._listener.moved(position + len(data))
            yield data
