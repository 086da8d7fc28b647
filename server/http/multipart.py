"""The file part of a `multipart/form-data` body, as a stream (RFC 7578).

Starlette's form parser writes files to disk first; here the bytes go to the store as they arrive.
A form may have one file part and small other fields.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lading.protocol.errors import InvalidArgument

MAX_HEADER_BYTES = 16 * 1024
MAX_PARTS = 32
MAX_FIELD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file that arrives: its declared name and type, and its bytes."""

    name: str | None
    mime_type: str | None
    stream: AsyncIterator[bytes]
    raw: bool = False


class _Form:
    """The state of a form, as the parser's callbacks report it."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.mime_type: str | None = None
        self.found = False
        self.data: list[bytes] = []
        self._parts = 0
        self._in_file = False
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = self._field_bytes = 0

    def on_part_begin(self) -> None:
        self._parts += 1
        self._headers, self._header_bytes = {}, 0
        if self._parts > MAX_PARTS:
            raise InvalidArgument(f"A form may have at most {MAX_PARTS} parts.")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise InvalidArgument(f"A part's headers may have at most {MAX_HEADER_BYTES} bytes.")

    def on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._in_file = b"filename" in options
        if not self._in_file:
            return
        if self.found:
            raise InvalidArgument("A form may have only one file part.")
        self.found = True
        self.name = options[b"filename"].decode("utf-8", "replace") or None
        content_type = self._headers.get(b"content-type")
        self.mime_type = content_type.decode("latin-1") if content_type else None

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.data.append(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise InvalidArgument(f"A form's fields may have at most {MAX_FIELD_BYTES} bytes.")

    def on_part_end(self) -> None:
        self._in_file = False


async def file_part(content_type: str, body: AsyncIterator[bytes]) -> FilePart:
    """The file part of a form; read its stream while the request lasts.

    Raises InvalidArgument for a malformed form, and for none or several file parts. After the
    file's first byte the stream raises it.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidArgument("multipart/form-data needs a boundary.")
    form = _Form()
    names = [name for name in dir(form) if name.startswith("on_")]
    parser = MultipartParser(boundary, {name: getattr(form, name) for name in names})  # type: ignore[arg-type]
    async for data in body:
        _feed(parser, data)
        if form.found:
            break
    else:
        _end(parser)
    if not form.found:
        raise InvalidArgument("The form has no file part.")
    return FilePart(form.name, form.mime_type, _stream(parser, form, body))


async def _stream(
    parser: MultipartParser, form: _Form, body: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    while True:
        pieces, form.data = form.data, []
        for piece in pieces:
            yield piece
        try:
            data = await anext(body)
        except StopAsyncIteration:
            break
        _feed(parser, data)
    _end(parser)


def _feed(parser: MultipartParser, data: bytes) -> None:
    try:
        parser.write(data)
    except FormParserError as error:
        raise InvalidArgument("The form is malformed.") from error


def _end(parser: MultipartParser) -> None:
    try:
        parser.finalize()
    except FormParserError as error:
        raise InvalidArgument("The form ends too early.") from error
    if parser.state.name != "END":
        raise InvalidArgument("The form ends too early.")
