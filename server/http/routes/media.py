"""`/v1/media`: announce a file, send its bytes to a presigned address, publish it.

Media are ordinary uploads and files, with the same ids. The presigned addresses are grants that
the server creates by itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TypedDict

from starlette.requests import Request

from lading.protocol.errors import ChecksumMismatch, Incomplete, LadingError, NotFound, TooLarge
from lading.protocol.grants import Action, Grant
from lading.protocol.manifest import MISSING_SHOWN, Manifest, State
from lading.server.access.grants import new_token
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import arriving, declared_length, read_json
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.services import Services, services
from lading.server.uploads.media import store
from lading.server.urls import grant_url, medium_url
from lading.storage.collections.manifests import new_id

api = Operations("Media")

DOWNLOAD_SECONDS = 15 * 60.0


class _Presigned(TypedDict):
    url: str
    expires_at: str


@api.operation(
    "POST /v1/media",
    "createMedium",
    common.created(
        schemas.media.NewMedium,
        "The medium, and the presigned address for its bytes.",
        "The address of the medium.",
        dict.fromkeys(("getMedium", "finalizeMedium", "getUpload"), "/media/_id"),
    ),
    body=common.json_body(
        schemas.media.NewMedia,
        {
            "name": "cover.png",
            "size": 8893,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    ),
    problems=(NotFound, *common.NO_SPACE),
)
async def create(request: Request) -> Answer:
    """Announce a file, and get the address to send it to."""
    server = services(request)
    principal = await server.principal(request)
    body = await read_json(request, schemas.media.NewMedia)
    owner = principal.acting_for(body.user_id)
    manifest = (await server.uploads.create(owner, body.spec())).manifest
    until = server.clock() + server.settings.upload_ttl
    try:
        presigned = await _presign(server, manifest, Action.MEDIA_UPLOAD, until)
    except LadingError:
        with suppress(LadingError):  # the janitor removes it later
            await server.uploads.abort(owner, manifest.id)
        raise
    upload = schemas.media.MediaUpload(
        method="PUT", headers={"Content-Type": manifest.mime_type}, **presigned
    )
    medium = schemas.media.NewMedium(media=schemas.files.manifest_of(manifest), upload=upload)
    return Answer(medium, 201, medium_url(server.settings, manifest.id))


async def _presign(
    server: Services, manifest: Manifest, action: Action, until: float
) -> _Presigned:
    """An address that allows one action on one file and needs no other credential."""
    now, token = server.clock(), new_token()
    grant = Grant(
        id=new_id(now),
        action=action,
        user_id=manifest.user_id,
        minter="",
        created_at=now,
        expires_at=until,
        file_id=manifest.id,
    )
    await server.grants.insert(grant, token)
    return {"url": grant_url(server.settings, token), "expires_at": schemas.types.moment(until)}


async def take_media(
    request: Request, server: Services, principal: Principal
) -> schemas.files.Manifest:
    """`PUT /v1/g/{token}` of a medium: store the body, without publishing it."""
    assert principal.grant is not None
    assert principal.grant.file_id is not None
    upload = await server.uploads.join(principal, principal.grant.file_id)
    size, length = upload.manifest.size, declared_length(request)
    if size is not None and length is not None and length > size:
        raise TooLarge(f"The file was announced with {size} bytes.", limit=size)
    await store(server.uploads, upload, arriving(request), server.budget)
    manifest = await server.uploads.get(principal, upload.manifest.id)
    stored = await server.uploads.coverage(manifest)
    if stored.missing:
        raise Incomplete(
            "The body was shorter than the file; send all of it again.",
            missing=[list(gap) for gap in stored.missing[:MISSING_SHOWN]],
        )
    return schemas.files.manifest_of(manifest, stored.upload_size)


@api.operation(
    "GET /v1/media/{id}",
    "getMedium",
    common.ok(schemas.media.Medium, "The medium."),
    problems=common.NO_FILE,
)
async def show(request: Request) -> schemas.media.Medium:
    """Return a medium, and an expiring download address once it is published."""
    server = services(request)
    manifest = await server.uploads.get(await server.principal(request), request.path_params["id"])
    if manifest.state is not State.READY:
        stored = (await server.uploads.coverage(manifest)).upload_size
        return schemas.media.Medium(
            media=schemas.files.manifest_of(manifest, stored), download=None
        )
    until = server.clock() + DOWNLOAD_SECONDS
    presigned = await _presign(server, manifest, Action.DOWNLOAD, until)
    return schemas.media.Medium(
        media=schemas.files.manifest_of(manifest), download=schemas.media.MediaDownload(**presigned)
    )


@api.operation(
    "POST /v1/media/{id}/finalize",
    "finalizeMedium",
    common.ok(schemas.files.Manifest, "The file."),
    problems=(*common.NO_FILE, Incomplete, ChecksumMismatch),
)
async def finalize(request: Request) -> schemas.files.Manifest:
    """Verify size and SHA-256, and publish.

    Repeating the request returns the same answer.
    """
    server = services(request)
    principal = await server.principal(request)
    manifest = await server.uploads.finish(principal, request.path_params["id"])
    return schemas.files.manifest_of(manifest)
