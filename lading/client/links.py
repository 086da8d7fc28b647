"""Links: addresses of single files that need no other credential, such as that of a grant.

A link may lead to another server than the client's own. Its requests carry no token: whoever makes
links must not get one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.message import Message
from email.utils import collapse_rfc2231_value
from urllib.parse import urlsplit

from lading.client.address import Address, Credential, origin
from lading.client.api import Api
from lading.client.backoff import Timing
from lading.client.retry import Retry
from lading.client.types import File
from lading.protocol.digests import parse_digest_field
from lading.protocol.errors import Incomplete, InvalidArgument, LadingError

_TAG = re.compile(r'"([0-9a-f]{24})-(?:([0-9a-f]{8})|[0-9a-f]{64})"')
"""The entity tag of a file: its id, and its CRC-32C or SHA-256."""


class Link:
    """A file that is known by its address alone. `path` is the address without the server."""

    def __init__(self, api: Api, path: str) -> None:
        self.api = api
        self.path = path

    async def file(self, patience: float) -> File:
        """What the link leads to. Raises Incomplete for an upload that is still arriving."""
        retry = Retry(patience, self.api.timing, self.api.credential)
        while True:
            try:
                async with self.api.stream("HEAD", self.path) as answer:
                    return self._file(answer.headers)
            except LadingError as failure:
                await retry.wait(await self._reason(failure))

    async def _reason(self, failure: LadingError) -> LadingError:
        """Why a HEAD was refused: its answer has no body that says so, that of a GET does."""
        try:
            async with self.api.stream("GET", self.path, headers={"range": "bytes=0-0"}):
                return failure
        except LadingError as reason:
            return reason

    def _mark(self, tag: str) -> str:
        return hashlib.sha256(f"{self.path} {tag}".encode()).hexdigest()[:24]

    def _file(self, headers: Mapping[str, str]) -> File:
        if headers.get("accept-ranges") != "bytes":
            raise InvalidArgument("This link leads to no file.")
        if "etag" not in headers:
            raise Incomplete("The file of this link is still being uploaded.")
        tag = _TAG.fullmatch(headers["etag"])
        with self.api.reading():
            digest = parse_digest_field(headers.get("repr-digest", ""), "sha-256")
            return File(
                # Without an id of its own, what an earlier run left is known by link and tag.
                id=self._mark(headers["etag"]) if tag is None else tag[1],
                name=_name(headers.get("content-disposition", "")),
                size=int(headers["content-length"]),
                mime_type=headers.get("content-type", ""),
                sha256=None if digest is None else digest.hex(),
                crc32c=None if tag is None or tag[2] is None else int(tag[2], 16),
                url=self.api.address.url + self.path,
            )


@asynccontextmanager
async def opened(link: str, timing: Timing, rate: float | None) -> AsyncIterator[Link]:
    """A link with connections of its own, closed at the end. Raises InvalidArgument."""
    parts = urlsplit(link)
    if not parts.hostname:
        raise InvalidArgument("A link is an address such as https://host/v1/g/….")
    api = Api(Address(origin(link)), Credential(None), timing, rate=rate)
    try:
        yield Link(api, parts.path + (f"?{parts.query}" if parts.query else ""))
    finally:
        await api.close()


def _name(disposition: str) -> str:
    """The name that a `Content-Disposition` gives; `filename*` counts most (RFC 6266, 4.3)."""
    message = Message()
    message["content-disposition"] = disposition
    given = message.get_params([], "content-disposition")
    names = [value for key, value in given if key == "filename"]
    names.sort(key=lambda value: isinstance(value, str))  # those with a character set come first
    return collapse_rfc2231_value(names[0]) if names else "download"
