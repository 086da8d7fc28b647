"""The files of a `multipart/form-data` body, as streams (RFC 7578).

Starlette's form parser writes files to disk first; here the bytes go to the store as they arrive.
A form may have several files. Its other fields are read and ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lading.protocol.errors import InvalidArgument, UnsupportedMediaType
from lading.server.http.form_headers import disposition

MAX_HEADER_BYTES = 16 * 1024
MAX_PARTS = 256
MAX_FIELD_BYTES = 64 * 1024
MAX_PREAMBLE = 16 * 1024

_AS_IT_IS = ("", "7bit", "8bit", "binary")


@dataclass(slots=True)
class FilePart:
    """A file that arrives: its declared name and type, and its bytes. `raw`: it is the body.

    In JSON the name may come behind the bytes.
    """

    name: str | None
    mime_type: str | None
    stream: AsyncIterator[bytes]
    raw: bool = False


@dataclass(slots=True)
class _Part:
    """A part as the parser reports it. `name` is None for a field, empty for a file without one."""

    name: str | None
    mime_type: str | None
    data: deque[bytes] = field(default_factory=deque)
    ended: bool = False


class _Parts:
    """The parts of a form, as the parser's callbacks report them."""

    def __init__(self) -> None:
        self.waiting: deque[_Part] = deque()
        self._part: _Part | None = None
        self._count = self._header_bytes = self._field_bytes = 0
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}

    def on_part_begin(self) -> None:
        self._count += 1
        self._headers, self._header_bytes = {}, 0
        if self._count > MAX_PARTS:
            raise InvalidArgument(f"A form may have at most {MAX_PARTS} parts.")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._add_header_bytes(end - start)
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._add_header_bytes(end - start)
        self._value += data[start:end]

    def _add_header_bytes(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise InvalidArgument(f"A part's headers may have at most {MAX_HEADER_BYTES} bytes.")

    def on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def on_headers_finished(self) -> None:
        options = disposition(self._headers.get(b"content-disposition", b""))
        coding = self._headers.get(b"content-transfer-encoding", b"").decode("latin-1")
        if coding.strip().lower() not in _AS_IT_IS or b"content-encoding" in self._headers:
            raise UnsupportedMediaType("A part of the form is encoded; send the file as it is.")
        content_type = self._headers.get(b"content-type")
        self._part = part = _Part(
            options.get("filename"),
            content_type.decode("latin-1").strip() if content_type else None,
        )
        if part.name is not None:
            self.waiting.append(part)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        if self._part.name is not None:
            self._part.data.append(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise InvalidArgument(f"A form's fields may have at most {MAX_FIELD_BYTES} bytes.")

    def on_part_end(self) -> None:
        assert self._part is not None
        self._part.ended = True


class Form:
    """A form that arrives. Raises InvalidArgument where it is malformed."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise InvalidArgument("multipart/form-data needs a boundary.")
        self._parts = _Parts()
        names = [name for name in dir(self._parts) if name.startswith("on_")]
        callbacks = {name: getattr(self._parts, name) for name in names}
        # Its callbacks are a TypedDict; the names here are read from the class that has them all.
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        self._body = _without_preamble(boundary, body)
        self._ended = False

    async def files(self) -> AsyncGenerator[FilePart, None]:
        """The files, one after the other; each must be read before the next is asked for.

        Browsers send a part without name and bytes where nobody chose a file: it is left out.
        Raises InvalidArgument when no file is left.
        """
        found = False
        async with aclosing(self._body):
            while (part := await self._next()) is not None:
                while not (part.data or part.ended):
                    await self._feed()
                if part.name or part.data:
                    found = True
                    yield FilePart(part.name or None, part.mime_type, self._bytes(part))
        if not found:
            raise InvalidArgument("The form has no file: choose one, then send it again.")

    async def _next(self) -> _Part | None:
        """The next file; None at the end of the form."""
        while not self._parts.waiting:
            if self._ended:
                return None
            await self._feed()
        return self._parts.waiting.popleft()

    async def _bytes(self, part: _Part) -> AsyncIterator[bytes]:
        while part.data or not part.ended:
            while part.data:
                yield part.data.popleft()
            if not part.ended:
                await self._feed()

    async def _feed(self) -> None:
        """Parse what arrives next; raises InvalidArgument when the body ends before the form."""
        try:
            self._parser.write(await anext(self._body))
        except StopAsyncIteration:
            self._end()
        except FormParserError as error:
            raise InvalidArgument("The form is malformed.") from error

    def _end(self) -> None:
        self._ended = True
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise InvalidArgument("The form ends too early.") from error
        if self._parser.state.name != "END":
            raise InvalidArgument("The form ends too early.")


async def _without_preamble(
    boundary: bytes, body: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    """The body from its first boundary on: text before it is to be ignored (RFC 2046, 5.1.1)."""
    first, head = b"--" + boundary, b""
    async for data in body:
        head += data
        place = 0 if head.startswith(first) else head.find(b"\r\n" + first)
        if place >= 0:
            yield head[place:].removeprefix(b"\r\n")
            break
        if len(head) > MAX_PREAMBLE:
            raise InvalidArgument("The form is malformed: it does not begin with its boundary.")
    else:
        raise InvalidArgument("The form ends too early.")
    async for data in body:
        yield data
