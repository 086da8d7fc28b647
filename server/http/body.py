"""Reading request bodies within limits: JSON by a model, and one piece of a file.

A body is taken as it is: one that is encoded, or a part of something, is refused on every route.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from lading.protocol.digests import parse_digest_field
from lading.protocol.errors import (
    InvalidArgument,
    RequestTimeout,
    TooLarge,
    UnsupportedMediaType,
)
from lading.server.validation import sentence, shown

MAX_JSON = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, most: int) -> bytes:
    """The whole body; raises TooLarge as soon as it exceeds `most` bytes."""
    declared = declared_length(request)
    if declared is not None and declared > most:
        raise TooLarge(f"The body may have at most {most} bytes.", limit=most)
    body = bytearray()
    async for data in arriving(request):
        body += data
        if len(body) > most:
            raise TooLarge(f"The body may have at most {most} bytes.", limit=most)
    return bytes(body)


def check_plain(request: Request) -> None:
    """Raise unless the body is what it stands for, whole and not encoded.

    UnsupportedMediaType for a `Content-Encoding` (RFC 9110, 15.5.16), InvalidArgument for a
    `Content-Range` (14.5) and for a transfer coding beside `chunked` (RFC 9112, 6.1).
    """
    headers = request.headers
    codings = [each.strip().lower() for each in _listed(headers.getlist("content-encoding"))]
    if any(coding not in ("", "identity") for coding in codings):
        raise UnsupportedMediaType(
            "The body is encoded; send it as it is, without Content-Encoding.",
            accept_encoding="identity",
        )
    if "content-range" in headers:
        raise InvalidArgument(
            "A body with Content-Range is not taken; send the pieces of a file to "
            "/v1/uploads/{id}/chunks/{slice_start}."
        )
    transfer = [each.strip().lower() for each in _listed(headers.getlist("transfer-encoding"))]
    if any(coding not in ("", "identity", "chunked") for coding in transfer):
        raise InvalidArgument("Of the transfer codings only `chunked` is known.")


def _listed(fields: list[str]) -> list[str]:
    return ",".join(fields).split(",")


def arriving(request: Request, idle_seconds: float | None = None) -> AsyncIterator[bytes]:
    """The body as it arrives; raises at once what `check_plain` raises.

    An empty part says that nothing came for `idle_seconds`. Raises RequestTimeout if the connection
    closes before its end.
    """
    check_plain(request)
    return _arriving(request, idle_seconds)


async def _arriving(request: Request, idle_seconds: float | None) -> AsyncIterator[bytes]:
    more = True
    while more:
        try:
            # Not `request.stream()`: that would end when waiting is given up.
            async with asyncio.timeout(idle_seconds):
                message = await request.receive()
        except TimeoutError:
            yield b""
            continue
        if message["type"] == "http.disconnect":
            raise RequestTimeout("The connection closed before the whole body arrived.")
        yield message.get("body", b"")
        more = message.get("more_body", False)


def declared_length(request: Request) -> int | None:
    """The length of the body from `Content-Length`; None without one."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidArgument("Content-Length must be a number of bytes.")
    return int(text)


def whole_number(what: str, text: str, least: int, most: int) -> int:
    """A number in decimal digits; raises InvalidArgument unless it is within the limits.

    The digits are counted first: the time of `int` grows with the square of their number.
    """
    if text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most:
        return int(text)
    raise InvalidArgument(f"{what} must be a number from {least} to {most}.")


async def read_json(request: Request, model: type[Model]) -> Model:
    """The body as a model; raises InvalidArgument that names the refused field."""
    body = await read_body(request, MAX_JSON)
    try:
        content = json.loads(
            body or b"{}", parse_constant=_refuse_constant, object_pairs_hook=_each_once
        )
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("The body is not JSON.") from error
    if type(content) is not dict:
        raise InvalidArgument("The body must be a JSON object.")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidArgument(sentence(first, content, _known(model, content))) from None


def _known(model: type[BaseModel], content: dict[str, Any]) -> list[str]:
    """The fields that a model takes; of several kinds, those of the kind in `content`."""
    root = model.model_fields.get("root")
    if root is None:
        return list(model.model_fields)
    assert isinstance(root.discriminator, str)
    kind = content.get(root.discriminator)
    for each in get_args(root.annotation):
        if kind in get_args(each.model_fields[root.discriminator].annotation):
            return list(each.model_fields)
    return []


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two values for one name, one would be ignored (RFC 8259, section 4)."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidArgument(f"The field {shown(name)} is given twice.")
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def piece_checksum(request: Request) -> int | None:
    """The CRC-32C that the request declares for its body; None without one.

    `Content-Digest: crc32c=:<4 bytes, big-endian, base64>:` (RFC 9530), or `X-Lading-Crc32c` with
    the number in decimal digits, as in a CHUNK message.
    """
    plain = request.headers.get("x-lading-crc32c")
    if plain is not None:
        return whole_number("X-Lading-Crc32c", plain, 0, 0xFFFFFFFF)
    try:
        digest = parse_digest_field(request.headers.get("content-digest", ""), "crc32c")
    except ValueError as error:
        raise InvalidArgument(f"Content-Digest: {error}.") from error
    return None if digest is None else int.from_bytes(digest, "big")
