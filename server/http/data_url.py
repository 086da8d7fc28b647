"""A file in JSON: `{"data": "data:image/png;base64,…", "name": "cat.png"}` (RFC 2397).

For a page on which nobody has signed in, such as a sign-up form: a script has the image as a data
URL and sends it with a grant. The Base64 is decoded as it arrives, so memory does not grow with the
file. `name` is optional and may stand before or after `data`.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator

from lading.protocol.errors import InvalidArgument
from lading.server.http.multipart import FilePart
from lading.server.validation import hint, shown

KEYS = ("data", "name")

MAX_TEXT = 16 * 1024
"""The most bytes of a key or a name."""
MAX_HEAD = 1024
"""The most characters of a data URL before its Base64."""
MAX_AROUND = 64 * 1024
"""The most bytes beside `data`: spaces would otherwise cost time without end."""

_SPACE = b" \t\r\n"
# Whole characters and whole escapes, up to the closing quote or to an escape that is cut.
_WHOLE = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\u[0-9A-Fa-f]{4}|\\[^u])*+')
_LONGEST_ESCAPE = 6

_NOT_JSON = "The body is not JSON."
_NO_DATA_URL = "`data` must be a data URL in Base64, such as data:image/png;base64,iVBORw0KGgo…"


class DataUrl:
    """One file in a JSON body. Raises InvalidArgument where the body is malformed."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._buffer = b""
        self._around = 0
        self._seen: set[str] = set()
        self._name: str | None = None
        self._ended = False

    async def files(self) -> AsyncGenerator[FilePart, None]:
        """The one file. Its name is known at the latest when its bytes were read."""
        await self._expect(b"{")
        if await self._peek() == b"}":
            raise InvalidArgument("`data` is required.")
        while await self._begin_value() != "data":
            self._name = await self._short_text()
            if await self._separator() == b"}":
                raise InvalidArgument("`data` is required.")
        mime_type, begun = await self._head()
        part = FilePart(self._name, mime_type, self._body)
        part.stream = self._bytes(begun, part)
        yield part

    async def _end(self, part: FilePart) -> None:
        """Read what follows `data`, to the end of the body."""
        while await self._separator() == b",":
            await self._begin_value()
            part.name = await self._short_text()
        if await self._peek():
            raise InvalidArgument(_NOT_JSON)

    # -- the JSON around the data

    async def _begin_value(self) -> str:
        """The next key. Its value is a text, whose opening quote was taken, too."""
        await self._expect(b'"')
        key = await self._short_text()
        if key not in KEYS:
            raise InvalidArgument(
                f"`{shown(key)[1:-1]}` is not a known field; {hint(key, KEYS)} A file that is "
                "JSON itself is sent with PUT."
            )
        if key in self._seen:
            raise InvalidArgument(f'The field "{key}" is given twice.')
        self._seen.add(key)
        await self._expect(b":")
        if await self._peek() != b'"':
            raise InvalidArgument(f"`{key}` must be a string.")
        self._take(1)
        return key

    async def _separator(self) -> bytes:
        found = await self._peek()
        if found not in (b",", b"}") or not found:
            raise InvalidArgument(_NOT_JSON)
        await self._expect(found)
        return found

    async def _expect(self, wanted: bytes) -> None:
        if await self._peek() != wanted:
            raise InvalidArgument(_NOT_JSON)
        self._take(1)

    async def _peek(self) -> bytes:
        """The next byte that is not a space; empty at the end of the body."""
        while True:
            rest = self._buffer.lstrip(_SPACE)
            self._take(len(self._buffer) - len(rest))
            if self._buffer or not await self._more():
                return self._buffer[:1]

    def _take(self, count: int) -> bytes:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        self._around += count
        if self._around > MAX_AROUND:
            raise InvalidArgument(f"The body may have at most {MAX_AROUND} bytes beside `data`.")
        return taken

    async def _more(self) -> bool:
        """Read on; False at the end of the body."""
        async for data in self._body:
            if data:
                self._buffer += data
                return True
        return False

    async def _short_text(self) -> str:
        """A text whose opening quote was taken."""
        while True:
            end = self._whole()
            if self._buffer[end : end + 1] == b'"':
                return _unescaped(self._take(end + 1)[:-1])
            await self._need(end)

    async def _need(self, end: int) -> None:
        """Read on, where a text neither ends at `end` nor is too long."""
        if len(self._buffer) - end >= _LONGEST_ESCAPE or self._buffer[end : end + 1] not in (
            b"",
            b"\\",
        ):
            raise InvalidArgument(_NOT_JSON)
        if end > MAX_TEXT:
            raise InvalidArgument(f"A text beside `data` may have at most {MAX_TEXT} bytes.")
        if not await self._more():
            raise InvalidArgument(_NOT_JSON)

    def _whole(self) -> int:
        """How far the buffer holds whole characters of a text."""
        match = _WHOLE.match(self._buffer)
        return match.end() if match else 0

    # -- the data

    async def _head(self) -> tuple[str | None, str]:
        """The media type of the data URL, None where it has none, and the Base64 that came too."""
        text = ""
        while "," not in text and len(text) <= MAX_HEAD and not self._ended:
            text += await self._text_part()
        head, comma, begun = text.partition(",")
        scheme, _, rest = head.partition(":")
        mime_type, _, coding = rest.rpartition(";")
        if not comma or scheme.lower() != "data" or coding.strip().lower() != "base64":
            raise InvalidArgument(_NO_DATA_URL)
        return mime_type.strip() or None, begun

    async def _text_part(self) -> str:
        """Some of the text of `data`; the last part sets `_ended`."""
        while True:
            end = self._whole()
            part, self._buffer = self._buffer[:end], self._buffer[end:]
            if self._buffer[:1] == b'"':
                self._buffer = self._buffer[1:]
                self._ended = True
                return _unescaped(part)
            if part:
                return _unescaped(part)
            await self._need(0)

    async def _bytes(self, rest: str, part: FilePart) -> AsyncIterator[bytes]:
        """What the Base64 stands for; `rest` is how much of it came already."""
        closed = False
        while True:
            whole = len(rest) // 4 * 4
            if self._ended:
                rest += "=" * (-len(rest) % 4)
                whole = len(rest)
            if whole:
                if closed:
                    raise InvalidArgument("The Base64 in `data` goes on behind its end.")
                yield _decoded(rest[:whole])
                closed = rest[:whole].endswith("=")
                rest = rest[whole:]
            if self._ended:
                break
            rest += await self._text_part()
        await self._end(part)


def _unescaped(text: bytes) -> str:
    try:
        decoded = text.decode()
        unescaped: str = json.loads(f'"{decoded}"') if "\\" in decoded else decoded
    except ValueError:
        raise InvalidArgument(_NOT_JSON) from None
    return unescaped


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise InvalidArgument("`data` is not Base64.") from None
