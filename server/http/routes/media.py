"""`/v1/media`: announce a file, send its bytes to a presigned address, have it published.

Media are uploads and files like all others, under the same ids; the presigned addresses are grants
that the server mints by itself. Source: page 4 of the design, `/v1/media`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import Incomplete, LadingError, TooLarge
from lading.protocol.grants import Action, Grant
from lading.protocol.manifest import MISSING_SHOWN, Manifest, State
from lading.server.access.grants import new_token
from lading.server.access.principal import Principal
from lading.server.http.body import arriving, declared_length, read_json
from lading.server.http.models import NewMedia
from lading.server.http.shapes import answer, manifest_shape, moment
from lading.server.services import Services, services
from lading.server.uploads.media import store
from lading.server.urls import grant_url, medium_url
from lading.storage.collections.manifests import new_id

DOWNLOAD_SECONDS = 15 * 60.0


async def create(request: Request) -> Response:
    """`POST /v1/media`: a new upload, and where to PUT its bytes without any other credential."""
    server = services(request)
    principal = await server.principal(request)
    spec = (await read_json(request, NewMedia)).spec()
    manifest = (await server.uploads.create(principal, spec)).manifest
    until = server.clock() + server.settings.upload_ttl
    try:
        presigned = await _presign(server, manifest, Action.MEDIA_UPLOAD, until)
    except LadingError:
        with suppress(LadingError):  # the janitor gives back what this does not
            await server.uploads.abort(principal, manifest.id)
        raise
    headers = {"Location": medium_url(server.settings, manifest.id)}
    upload = {"method": "PUT", "headers": {"Content-Type": manifest.mime_type}, **presigned}
    return answer({"media": manifest_shape(manifest), "upload": upload}, 201, headers)


async def _presign(
    server: Services, manifest: Manifest, action: Action, until: float
) -> dict[str, Any]:
    """An address that needs no other credential, for one thing to be done with one file."""
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
    return {"url": grant_url(server.settings, token), "expires_at": moment(until)}


async def take_media(request: Request, server: Services, principal: Principal) -> Response:
    """`PUT /v1/g/{token}` of a medium: store the body. It is not published by this."""
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
            "The body was not all of the file; send it again.",
            missing=[list(gap) for gap in stored.missing[:MISSING_SHOWN]],
        )
    return answer({**manifest_shape(manifest), "upload_size": stored.upload_size})


async def show(request: Request) -> Response:
    """`GET /v1/media/{id}`: the manifest, and an address to download from once it is published."""
    server = services(request)
    manifest = await server.uploads.get(await server.principal(request), request.path_params["id"])
    shape, download = manifest_shape(manifest), None
    if manifest.state is State.READY:
        until = server.clock() + DOWNLOAD_SECONDS
        download = await _presign(server, manifest, Action.DOWNLOAD, until)
    else:
        shape["upload_size"] = (await server.uploads.coverage(manifest)).upload_size
    return answer({"media": shape, "download": download})


async def finalize(request: Request) -> Response:
    """`POST /v1/media/{id}/finalize`: check size and SHA-256, and publish. Again: the same."""
    server = services(request)
    principal = await server.principal(request)
    manifest = await server.uploads.finish(principal, request.path_params["id"])
    return answer(manifest_shape(manifest))
