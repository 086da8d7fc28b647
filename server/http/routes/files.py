"""`/v1/files`: small files by REST, lists, downloads, deletion.

A body is stored in pieces of the upload's own cells, so memory does not grow with the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.digests import Sha256, crc32c, parse_digest_field
from lading.protocol.errors import ChecksumMismatch, InvalidArgument, LadingError, TooLarge
from lading.protocol.grants import ORIGINAL, Action
from lading.protocol.manifest import Manifest
from lading.protocol.spec import MAX_NAME, UploadSpec, check_id, check_tags, check_text
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import arriving, declared_length, read_json, whole_number
from lading.server.http.download import respond
from lading.server.http.endpoints import Answer
from lading.server.http.multipart import FilePart, file_part
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter
from lading.server.services import Services, services
from lading.server.uploads.media_type import HEAD_BYTES
from lading.server.uploads.uploads import OpenUpload
from lading.server.urls import file_url
from lading.storage.collections.manifests import FileFilter

api = Operations("Files")

CURL_DEFAULT = "application/x-www-form-urlencoded"
"""The `Content-Type` that curl sends unless it is told otherwise; no file has this type."""

LISTED = 100
MOST_LISTED = 1000


@api.operation(
    "POST /v1/files",
    "createFile",
    common.created(
        schemas.files.Manifest,
        "The file is durable.",
        "The address of the file's bytes.",
        dict.fromkeys(("getFile", "changeFile", "deleteFile", "getManifest"), "/_id"),
    ),
    parameters=common.NEW_FILE,
    body=common.FILE_BODY,
    problems=common.FILE_REFUSED,
)
async def create(request: Request) -> Answer:
    """Store one small file.

    All of it or nothing. Larger files are sent as uploads, or over WebSocket.
    """
    server = services(request)
    return await take(request, server, await server.principal(request, Action.UPLOAD))


async def take(request: Request, server: Services, principal: Principal) -> Answer:
    """Store the body as a file of the principal, all of it or nothing."""
    part = await _body(request)
    length = declared_length(request) if part.raw else None
    if length is not None:
        _check_length(server, principal, length)
    spec = UploadSpec(
        name=request.query_params.get("name") or part.name or "unnamed",
        size=length,
        mime_type=part.mime_type,
        directory=request.query_params.get("directory", ""),
        tags=tuple(request.query_params.getlist("tag")),
    )
    upload = await server.uploads.create(principal, spec)
    try:
        manifest = await _take(request, server, principal, upload, part)
    except BaseException as error:
        # Also when the client disconnects: half of a small file is useless.
        discarding = server.spawn(_discard(server, principal, upload.manifest.id))
        if isinstance(error, LadingError):
            # The client may retry at once: quota and grant must be released before the answer.
            await asyncio.shield(discarding)
        raise
    return Answer(schemas.files.manifest_of(manifest), 201, file_url(server.settings, manifest.id))


def _check_length(server: Services, principal: Principal, length: int) -> None:
    """Raise TooLarge for more bytes than one body may have: the grant's bound, else the setting."""
    limit, hint = server.settings.small_file_limit, "; send larger files to /v1/uploads"
    if principal.grant is not None and principal.grant.limit is not None:
        limit, hint = principal.grant.limit, ""
    if length > limit:
        raise TooLarge(f"A file sent this way may have at most {limit} bytes{hint}.", limit=limit)


def _check_whole(principal: Principal, length: int) -> None:
    """Raise Forbidden when the whole body arrived and a grant is for a file of another size."""
    if principal.grant is not None:
        principal.grant.check_size(length)


async def _body(request: Request) -> FilePart:
    content_type = request.headers.get("content-type", "")
    plain = content_type.partition(";")[0].strip().lower()
    if plain == "multipart/form-data":
        return await file_part(content_type, arriving(request))
    if plain == CURL_DEFAULT:
        content_type = ""
    return FilePart(None, content_type or None, arriving(request), raw=True)


async def _take(
    request: Request, server: Services, principal: Principal, upload: OpenUpload, part: FilePart
) -> Manifest:
    digest, position, head = Sha256(), 0, b""
    check, end = partial(_check_length, server, principal), partial(_check_whole, principal)
    stream = _counted(part.stream, check, end)
    async for piece in cells(server, stream, upload):
        digest.update(piece)
        head = head or piece[:HEAD_BYTES]
        await server.uploads.write(upload, position, piece, crc32c(piece))
        position += len(piece)
    _check_digests(request, part, digest)
    return await server.uploads.finish(
        principal, upload.manifest.id, position, hashed=digest.hexdigest(), head=head
    )


async def _counted(
    stream: AsyncIterator[bytes], check: Callable[[int], None], end: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """The stream; `check` gets the number of bytes after each part, `end` once at the end."""
    arrived = 0
    async for data in stream:
        arrived += len(data)
        check(arrived)
        yield data
    end(arrived)


async def cells(
    server: Services, stream: AsyncIterator[bytes], upload: OpenUpload
) -> AsyncIterator[bytes]:
    """The stream in whole cells, under a share of the byte budget while it lasts.

    Raises TooLarge at the first byte beyond the size of the upload: there is no share for it.
    """
    size = upload.manifest.chunk_size
    expected = upload.manifest.size
    buffer, arrived = bytearray(), 0
    length = size if expected is None else min(size, expected)
    reservation = await server.budget.acquire(length, upload.manifest.user_id)
    try:
        async for data in stream:
            arrived += len(data)
            if expected is not None and arrived > expected:
                raise TooLarge(f"The file was announced with {expected} bytes.", limit=expected)
            buffer += data
            await server.uploads.touch(upload)
            while len(buffer) >= size:
                yield _cut(buffer, size)
        if buffer:
            yield _cut(buffer, len(buffer))
    finally:
        reservation.release()


def _cut(buffer: bytearray, size: int) -> bytes:
    """The first bytes of the buffer, copied once and gone from it."""
    with memoryview(buffer) as whole, whole[:size] as part:
        piece = bytes(part)
    del buffer[:size]
    return piece


def _check_digests(request: Request, part: FilePart, digest: Sha256) -> None:
    """Compare with `Repr-Digest` and `Content-Digest` (RFC 9530) if they have a sha-256.

    In a form, `Content-Digest` is the digest of the form, not of the file.
    """
    for field in ("repr-digest", "content-digest") if part.raw else ("repr-digest",):
        try:
            wanted = parse_digest_field(request.headers.get(field, ""), "sha-256")
        except ValueError as error:
            raise InvalidArgument(f"{field}: {error}.") from error
        if wanted is not None and wanted.hex() != digest.hexdigest():
            raise ChecksumMismatch(
                f"The file has the SHA-256 {digest.hexdigest()}, but {field} has {wanted.hex()}."
            )


async def _discard(server: Services, principal: Principal, upload_id: str) -> None:
    try:
        await server.uploads.withdraw(principal, upload_id)
    except LadingError:
        return  # the janitor removes it later


@api.operation(
    "GET /v1/files/{id}",
    "getFile",
    common.FILE_BYTES,
    parameters=(common.DOWNLOAD, *common.CONDITIONS),
    problems=common.BYTES_REFUSED,
    head=True,
)
async def fetch(request: Request) -> Response:
    """Download a file, or the stored part of an upload.

    Every piece is verified before it is sent: wrong bytes are never sent.
    """
    server = services(request)
    principal = await server.principal(request, Action.DOWNLOAD)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    principal.check_quality(ORIGINAL)
    return await respond(request, server.uploads, manifest)


@api.operation(
    "DELETE /v1/files/{id}",
    "deleteFile",
    common.no_content("It is deleted."),
    problems=common.NO_FILE,
)
async def remove(request: Request) -> None:
    """Delete a file or an unfinished upload."""
    server = services(request)
    await server.uploads.remove(await server.principal(request), request.path_params["id"])


@api.operation(
    "PATCH /v1/files/{id}",
    "changeFile",
    common.ok(schemas.files.Manifest, "The changed file."),
    body=common.json_body(
        schemas.files.ChangeFile, {"name": "sea.jpg", "tags": ["holiday"]}, required=False
    ),
    problems=common.NO_FILE,
)
async def change(request: Request) -> schemas.files.Manifest:
    """Change a file's name, directory or tags.

    Fields that are left out keep their values.
    """
    server = services(request)
    principal = await server.principal(request)
    body = await read_json(request, schemas.files.ChangeFile)
    manifest = await server.library.change(
        principal,
        request.path_params["id"],
        name=body.name,
        directory=body.directory,
        tags=None if body.tags is None else tuple(body.tags),
    )
    return schemas.files.manifest_of(manifest)


@api.operation(
    "DELETE /v1/files",
    "deleteDirectory",
    common.ok(schemas.files.DeletedDirectory, "The number of deleted files."),
    parameters=(
        Parameter(
            "directory",
            "The directory.",
            {**common.TEXT, "minLength": 1},
            required=True,
            example="2025",
        ),
    ),
)
async def remove_directory(request: Request) -> schemas.files.DeletedDirectory:
    """Delete the finished files of a directory and of its subdirectories."""
    server = services(request)
    principal = await server.principal(request)
    directory = request.query_params.get("directory")
    if not directory:
        raise InvalidArgument("Name the directory: DELETE /v1/files?directory=a/b.")
    check_text("directory", directory, MAX_NAME)
    deleted = await server.library.remove_directory(principal, directory)
    return schemas.files.DeletedDirectory(directory=directory, deleted=deleted)


@api.operation(
    "GET /v1/files",
    "listFiles",
    common.ok(schemas.files.FileList, "One page of files."),
    parameters=(
        Parameter("name", "Only names that start with this.", common.TEXT, example="photo"),
        Parameter("directory", "Only this directory, without its subdirectories.", common.TEXT),
        Parameter(
            "tag", "Only files with this tag. Repeat it to require several tags.", common.TAGS
        ),
        Parameter("mime_type", "Only this type, such as `image/png` or `image/*`.", common.TEXT),
        common.LIMIT,
        common.CURSOR,
    ),
)
async def listing(request: Request) -> schemas.files.FileList:
    """List files, the newest first."""
    server = services(request)
    principal = await server.principal(request)
    query = request.query_params
    cursor = query.get("cursor")
    most = page_size(query.get("limit"))
    found = await server.library.files(
        principal,
        wanted=_filter(query),
        before=None if cursor is None else check_id(cursor),
        most=most + 1,
    )
    files = found[:most]
    return schemas.files.FileList(
        files=[schemas.files.manifest_of(manifest) for manifest in files],
        cursor=files[-1].id if len(found) > most else None,
    )


def _filter(query: QueryParams) -> FileFilter:
    tags = tuple(query.getlist("tag"))
    check_tags(tags)
    for what in ("name", "directory", "mime_type"):
        check_text(what, query.get(what, ""), MAX_NAME)
    return FileFilter(
        name=query.get("name"),
        directory=query.get("directory"),
        mime_type=query.get("mime_type"),
        tags=tags,
    )


def page_size(value: str | None) -> int:
    """The number of entries of a page, from the `limit` parameter."""
    if value is None:
        return LISTED
    return whole_number("limit", value, 1, MOST_LISTED)
