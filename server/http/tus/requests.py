"""The requests of tus: create, look, append, terminate.

Each gets who asks; all end in `server/uploads/`. `address` makes the URL of an upload from its id:
an upload begun at the address of a grant is continued below it.
Source: tus 1.0.0; page 11 of the design.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext, suppress

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol import tus
from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    MethodNotAllowed,
    OffsetMismatch,
    TooLarge,
    UnsupportedMediaType,
)
from lading.protocol.manifest import Manifest
from lading.protocol.media_types import essence
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.http.addresses import Address, discarded_if_refused, upload_id
from lading.server.http.body import arriving, declared_length
from lading.server.http.interim import trailer
from lading.server.http.new_file import file_spec
from lading.server.http.tus.answers import always, answer, expires
from lading.server.net.record import record_of
from lading.server.services import Services
from lading.server.uploads.append import Append
from lading.server.uploads.approval import Undecided
from lading.server.uploads.concat import part_id
from lading.server.uploads.resume import is_joining

NOTHING = ("", "null", "undefined")
"""What clients in browsers send for a value that they do not have."""


def check_version(request: Request) -> None:
    """Raise WrongVersion unless the client speaks our version."""
    tus.check_version(request.headers.get("tus-resumable"))


# -- create


async def create(
    request: Request, server: Services, principal: Principal, address: Address
) -> Response:
    """POST: a new upload, perhaps with its first bytes; or a final one, made of others."""
    check_version(request)
    meant = request.headers.get(tus.OVERRIDE, "POST")
    if meant.upper() != "POST":
        raise MethodNotAllowed(f"{meant} is for the address of an upload, not for this one.")
    concat = request.headers.get("upload-concat")
    parts = None if concat is None else tus.parse_concat(concat)
    if parts is not None:
        return await _create_final(request, server, principal, address, parts)
    size = tus.parse_length(
        request.headers.get("upload-length"), request.headers.get("upload-defer-length")
    )
    has_body = _has_body(request)
    if has_body:
        _check_type(request)
    upload = await server.uploads.create(principal, _spec(request, size))
    made = upload.manifest.id
    record_of(request.scope).note_upload(made)
    headers = {"Location": address(made)}
    async with (
        discarded_if_refused(server, principal, made),
        server.appends.take(principal, made) as append,
    ):
        if has_body:
            await _store(request, server, append)
            headers["Upload-Offset"] = str(append.offset)
        with suppress(Undecided):  # every other request about it waits for the decision
            await _complete(server, append)
        return answer(201, headers | _expires(append))


async def _create_final(
    request: Request, server: Services, principal: Principal, address: Address, parts: list[str]
) -> Response:
    for name in ("Upload-Length", "Upload-Defer-Length"):
        if name.lower() in request.headers:
            raise InvalidArgument(f"A final upload has no {name}: it is that of its parts.")
    if _has_body(request):
        raise InvalidArgument("A final upload is made of its parts; send no body.")
    ids = [part_id(each) for each in parts]
    final = await server.concatenation.create(principal, _spec(request, None), ids)
    record_of(request.scope).note_upload(final.id)
    return answer(201, {"Location": address(final.id)} | expires(final))


def _spec(request: Request, size: int | None) -> UploadSpec:
    """The upload that the metadata and the query ask for."""
    raw = request.headers.get("upload-metadata")
    metadata = tus.parse_metadata(raw)
    said = {key: value for key, value in metadata.items() if value not in NOTHING}
    directory, name = tus.split_path(said.get("relativePath", ""))
    return file_spec(
        request,
        name=said.get("filename") or said.get("name") or name,
        size=size,
        mime_type=said.get("filetype") or said.get("type"),
        directory=directory,
        meta=raw,
        concat=request.headers.get("upload-concat"),
    )


def _has_body(request: Request) -> bool:
    length = declared_length(request)
    return "transfer-encoding" in request.headers if length is None else length > 0


def _check_type(request: Request) -> None:
    if essence(request.headers.get("content-type", "")) != tus.CONTENT_TYPE:
        raise UnsupportedMediaType(f"The bytes of an upload have the type {tus.CONTENT_TYPE}.")


def _expires(append: Append) -> dict[str, str]:
    return expires(append.upload.manifest)


# -- look


async def look(request: Request, server: Services, principal: Principal) -> Response:
    """HEAD: how far the upload is. A request that still appends ends, so the answer is exact."""
    manifest = await server.uploads.get(principal, upload_id(request))
    if is_joining(manifest):
        return answer(200, _state(manifest))  # the server itself appends to it
    async with server.appends.take(principal, manifest.id) as append:
        await _complete(server, append)
        offset = {"Upload-Offset": str(append.offset)}
        return answer(200, offset | _state(append.upload.manifest))


def _state(manifest: Manifest) -> dict[str, str]:
    """What is known of an upload, beside its offset."""
    headers = expires(manifest)
    if manifest.size is not None:
        headers["Upload-Length"] = str(manifest.size)
    elif not is_joining(manifest):
        headers["Upload-Defer-Length"] = "1"
    if manifest.meta is not None:
        headers["Upload-Metadata"] = manifest.meta
    if manifest.concat is not None:
        headers["Upload-Concat"] = manifest.concat
    return headers


def _is_final(append: Append) -> bool:
    return (append.upload.manifest.concat or "").startswith(tus.FINAL)


# -- append


async def append(request: Request, server: Services, principal: Principal) -> Response:
    """PATCH: the next bytes."""
    _check_type(request)
    given = request.headers.get("upload-offset")
    if given is None:
        raise InvalidArgument("A PATCH needs Upload-Offset.")
    offset = tus.parse_number("Upload-Offset", given)
    length = request.headers.get("upload-length")
    size = None if length is None else tus.parse_number("Upload-Length", length)
    async with server.appends.take(principal, upload_id(request)) as append:
        always(request, _expires(append))
        if _is_final(append):
            raise Forbidden("A final upload is made of its parts; nothing can be added to it.")
        if offset != append.offset:
            raise OffsetMismatch(
                f"The upload is at {append.offset}, not at {offset}; ask with HEAD, then go on.",
                offset=append.offset,
            )
        if size is not None:
            await server.appends.declare(append, size)
        if append.finished:
            if _has_body(request):
                raise TooLarge("The upload is complete; nothing can be added to it.")
        else:
            await _store(request, server, append)
            await _complete(server, append)
        return answer(204, {"Upload-Offset": str(append.offset)} | _expires(append))


async def _store(request: Request, server: Services, append: Append) -> None:
    arrives = arriving(request, server.limits.http.idle_seconds)
    async with _checked(request, server, append, arrives) as body:
        await server.appends.store(append, body, server.budget)


def _checked(
    request: Request, server: Services, append: Append, body: AsyncIterator[bytes]
) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
    """The body; one with a checksum only when all of it arrived and is what was sent."""
    given = request.headers.get("upload-checksum")
    announced = [each.strip().lower() for each in request.headers.get("trailer", "").split(",")]
    in_trailer = given is None and "upload-checksum" in announced
    if given is None and not in_trailer:
        return nullcontext(body)
    digest = _Digests() if given is None else tus.new_digest(tus.parse_checksum(given).algorithm)

    def wanted() -> bytes:
        said = given if given is not None else trailer(request, "upload-checksum")
        if said is None:
            raise InvalidArgument("The trailer Upload-Checksum was announced, but did not come.")
        checksum = tus.parse_checksum(said)
        if isinstance(digest, _Digests):
            digest.choose(checksum.algorithm)
        return checksum.digest

    return server.appends.verified(append, body, digest, wanted, folder=server.settings.data)


class _Digests:
    """All checksums at once, for a client that names its algorithm at the end."""

    def __init__(self) -> None:
        self._all = {name: tus.new_digest(name) for name in tus.ALGORITHMS}
        self._chosen = tus.ALGORITHMS[0]

    def choose(self, algorithm: str) -> None:
        self._chosen = algorithm

    def update(self, data: bytes, /) -> None:
        for each in self._all.values():
            each.update(data)

    def digest(self) -> bytes:
        return self._all[self._chosen].digest()


async def _complete(server: Services, append: Append) -> None:
    """Publish an upload of which every byte is there, unless it is a part of another one."""
    if append.full and not append.finished and append.upload.manifest.concat != tus.PARTIAL:
        await server.uploads.finish(
            append.principal, append.upload.manifest.id, hashed=append.sha256
        )


# -- terminate


async def terminate(request: Request, server: Services, principal: Principal) -> Response:
    """DELETE: the upload, or the file that it became, is gone."""
    manifest = await server.uploads.get(principal, upload_id(request))
    async with server.appends.take(principal, manifest.id, final=is_joining(manifest)):
        await server.uploads.abort(principal, manifest.id)
    return answer(204)
