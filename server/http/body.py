"""Reading request bodies: JSON by a model, and one piece of a file; never more than is allowed.

It owns the limits and the errors of bodies. It refuses to know what they are for.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from lading.protocol.digests import parse_digest_field
from lading.protocol.errors import InvalidArgument, RequestTimeout, TooLarge

MAX_JSON = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


async def _nothing() -> None:
    return None


async def read_body(
    request: Request, most: int, arrived: Callable[[], Awaitable[None]] = _nothing
) -> bytes:
    """The whole body; TooLarge as soon as it is longer than `most` bytes.

    `arrived` is awaited whenever a part of it came.
    """
    declared = declared_length(request)
    if declared is not None and declared > most:
        raise TooLarge(f"The body may have at most {most} bytes.", limit=most)
    body = bytearray()
    async for data in arriving(request):
        body += data
        await arrived()
        if len(body) > most:
            raise TooLarge(f"The body may have at most {most} bytes.", limit=most)
    return bytes(body)


async def arriving(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; RequestTimeout when the connection ends before it does."""
    try:
        async for data in request.stream():
            yield data
    except ClientDisconnect as error:
        raise RequestTimeout("The connection ended before the body did.") from error


def declared_length(request: Request) -> int | None:
    """The body's length as the request declares it; None when it does not."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidArgument("Content-Length must be a number of bytes.")
    return int(text)


def whole_number(what: str, text: str, least: int, most: int) -> int:
    """A number in decimal digits; InvalidArgument when it is none, or not within the limits.

    Its digits are counted first: `int` takes a time that grows with their square, up to its limit.
    """
    if text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most:
        return int(text)
    raise InvalidArgument(f"{what} must be a number from {least} to {most}.")


async def read_json(request: Request, model: type[Model]) -> Model:
    """The body as a model; InvalidArgument that names the field when it does not fit."""
    body = await read_body(request, MAX_JSON)
    try:
        content = json.loads(body or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("The body is not JSON.") from error
    if type(content) is not dict:
        raise InvalidArgument("The body must be a JSON object.")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InvalidArgument(_first(error)) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "The body"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}."


def piece_checksum(request: Request) -> int | None:
    """The CRC-32C that the request declares for its body; None when it declares none.

    `Content-Digest: crc32c=:<4 bytes, big-endian, base64>:` (RFC 9530), or `X-Lading-Crc32c` with
    the number in decimal digits, as it stands in a CHUNK.
    """
    plain = request.headers.get("x-lading-crc32c")
    if plain is not None:
        return whole_number("X-Lading-Crc32c", plain, 0, 0xFFFFFFFF)
    try:
        digest = parse_digest_field(request.headers.get("content-digest", ""), "crc32c")
    except ValueError as error:
        raise InvalidArgument(f"Content-Digest: {error}.") from error
    return None if digest is None else int.from_bytes(digest, "big")
