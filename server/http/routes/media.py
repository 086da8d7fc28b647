"""`/v1/media`: announce a file, send its bytes to a presigned address, publish it.

Media are ordinary uploads and files, with the same ids. The presigned addresses are grants that
the server creates by itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TypedDict

from starlette.requests import Request

from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    Incomplete,
    LadingError,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)
from lading.protocol.grants import Action, Grant
from lading.protocol.manifest import MISSING_SHOWN, Manifest, State
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import arriving, declared_length, read_json, whole_number
from lading.server.http.endpoints import Answer
from lading.server.http.finishing import FINISHED, PREFER, finish
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.server.uploads.media import store
from lading.server.urls import grant_url, medium_parts_url, medium_url
from lading.storage.blobs.s3_direct import MOST_PARTS
from lading.storage.collections.manifests import new_id

api = Operations("Media")

DOWNLOAD_SECONDS = 15 * 60
LONGEST_SECONDS = 7 * 24 * 3600
"""The longest that a download address may be asked for: that of S3's presigned addresses."""


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
    problems=(NotFound, *common.NO_SPACE, TooLarge, UnsupportedMediaType),
    keyed=True,
)
async def create(request: Request) -> Answer:
    """Announce a file, and get the address to send it to."""
    server = services(request)
    principal = await server.principal(request)
    body = await read_json(request, schemas.media.NewMedia)
    owner = principal.acting_for(body.user_id)
    manifest = (await server.uploads.create(owner, body.spec(), direct=True)).manifest
    record_of(request.scope).note_upload(manifest.id)
    try:
        upload = await _upload(server, manifest)
    except LadingError:
        with suppress(LadingError):  # the janitor removes it later
            await server.uploads.abort(owner, manifest.id)
        raise
    kind = server.uploads.kinds.get(manifest.kind)
    medium = schemas.media.NewMedium(media=schemas.files.manifest_of(manifest), upload=upload)
    if kind is not None:
        medium["kind_rules"] = schemas.kinds.kind_of(kind)
    return Answer(medium, 201, medium_url(server.settings, manifest.id))


async def _upload(server: Services, manifest: Manifest) -> schemas.media.MediaUpload:
    """Where the bytes are sent: to the bucket where the file will live, if it has one, else here.

    A file that goes to the bucket in parts may be sent here as well.
    """
    direct = server.uploads.direct
    address = await direct.address(manifest)
    if address is not None:
        return schemas.media.MediaUpload(
            method="PUT",
            url=address.url,
            headers=dict(address.headers),
            expires_at=schemas.types.moment(direct.valid_until(manifest)),
            direct=True,
        )
    seconds = server.settings.upload_ttl
    token, presigned = await _presigned(server, manifest, Action.MEDIA_UPLOAD, seconds)
    upload = schemas.media.MediaUpload(
        method="PUT",
        url=presigned["url"],
        headers={"Content-Type": manifest.mime_type},
        expires_at=presigned["expires_at"],
    )
    layout = direct.layout(manifest)
    if layout is not None:
        upload["parts"] = schemas.media.MediaParts(
            size=layout.size,
            count=layout.count,
            url=medium_parts_url(server.settings, manifest.id),
            headers={"Authorization": f"Bearer {token}"},
        )
    return upload


async def _presigned(
    server: Services, manifest: Manifest, action: Action, seconds: float
) -> tuple[str, _Presigned]:
    """A token for one action on one file, and its address, the same for half of its `seconds`.

    So browsers and proxies find in their caches what they fetched a moment ago, and whoever gets
    the address can use it for at least half of the time. The token is not stored: it is made of
    the file, the action, the time and the server's secret, and so it can be returned again.
    """
    now = server.clock()
    window = int(now // (seconds / 2))
    token = server.secret.grant_token(f"{manifest.id} {action} {seconds} {window}")
    grant = await server.grants.find(token, now)
    if grant is None:
        fresh = Grant(
            id=new_id(now),
            action=action,
            user_id=manifest.user_id,
            minter="",
            created_at=now,
            expires_at=now + seconds,
            file_id=manifest.id,
        )
        # Of two requests at once one inserts, and both return its grant.
        await server.grants.insert(fresh, token)
        grant = await server.grants.find(token, now) or fresh
    until = schemas.types.moment(grant.expires_at)
    return token, {"url": grant_url(server.settings, token), "expires_at": until}


async def take_media(
    request: Request, server: Services, principal: Principal
) -> schemas.files.Manifest:
    """`PUT /v1/g/{token}` of a medium: store the body, without publishing it."""
    assert principal.grant is not None
    assert principal.grant.file_id is not None
    upload = await server.uploads.join(principal, principal.grant.file_id)
    record_of(request.scope).note_upload(upload.manifest.id)
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
    parameters=(
        Parameter(
            "expires_in",
            "How many seconds the download address is valid; 900 by default.",
            {"type": "integer", "minimum": 1, "maximum": LONGEST_SECONDS},
        ),
    ),
    problems=common.NO_FILE,
)
async def show(request: Request) -> schemas.media.Medium:
    """Return a medium, and an expiring address: to download it once it is published.

    For half of its time the same address is returned, so that caches can keep the file. Before,
    `upload` is where the announced bytes are sent, so that whoever was interrupted can continue.
    """
    server = services(request)
    asked = request.query_params.get("expires_in", str(DOWNLOAD_SECONDS))
    seconds = whole_number("expires_in", asked, 1, LONGEST_SECONDS)
    manifest = await server.uploads.get(await server.principal(request), request.path_params["id"])
    if manifest.state is not State.READY:
        stored = (await server.uploads.coverage(manifest)).upload_size
        announced = manifest.size is not None and manifest.sha256 is not None
        return schemas.media.Medium(
            media=schemas.files.manifest_of(manifest, stored),
            upload=await _upload(server, manifest) if announced else None,
            download=None,
        )
    _, presigned = await _presigned(server, manifest, Action.DOWNLOAD, seconds)
    return schemas.media.Medium(
        media=schemas.files.manifest_of(manifest),
        upload=None,
        download=schemas.media.MediaDownload(**presigned),
    )


@api.operation(
    "GET /v1/media/{id}/parts",
    "getMediumParts",
    common.ok(schemas.media.PartList, "Addresses of parts."),
    parameters=(
        Parameter(
            "from",
            "The number of the first part; 1 by default.",
            {"type": "integer", "minimum": 1, "maximum": MOST_PARTS},
        ),
        Parameter(
            "limit",
            "The number of parts; 100 by default.",
            {"type": "integer", "minimum": 1, "maximum": 1000},
        ),
    ),
    problems=(*common.NO_FILE, AlreadyComplete),
)
async def parts(request: Request) -> schemas.media.PartList:
    """Return the addresses in the bucket of a large medium's parts.

    The token in `upload.parts.headers` allows it. Each request keeps the upload alive.
    """
    server = services(request)
    asked = request.query_params
    first = whole_number("from", asked.get("from", "1"), 1, MOST_PARTS)
    most = whole_number("limit", asked.get("limit", "100"), 1, 1000)
    principal = await server.principal(request, Action.MEDIA_UPLOAD)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    found = await server.uploads.direct.parts(manifest, first, most)
    return schemas.media.PartList(
        parts=[
            schemas.media.MediaPart(
                number=each.number,
                start=each.start,
                size=each.size,
                stored=each.stored,
                url=each.address.url,
                headers=dict(each.address.headers),
            )
            for each in found.parts
        ],
        next=found.next,
        expires_at=schemas.types.moment(found.valid_until),
    )


@api.operation(
    "POST /v1/media/{id}/finalize",
    "finalizeMedium",
    FINISHED,
    parameters=(PREFER,),
    body=common.json_body(schemas.types.NoFields, {}, required=False),
    problems=(*common.NO_FILE, Incomplete, ChecksumMismatch),
)
async def finalize(request: Request) -> schemas.files.Manifest | Answer:
    """Verify size and SHA-256, and publish.

    Repeating the request returns the same answer.
    """
    server = services(request)
    principal = await server.principal(request)
    await read_json(request, schemas.types.NoFields)
    return await finish(request, server, principal)
