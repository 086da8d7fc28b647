"""The address of a grant speaks tus and the IETF's draft: a client needs nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.raw import Answer, ask
from tests.support.servers import Process, Running
from tests.support.tus import BYTES, TUS, metadata, path_of
from tests.support.users import mint, user

DATA = b"hello world"
PARTIAL = {"content-type": "application/partial-upload"}


def anyone(server: Running) -> Running:
    """The server for a client without a credential."""
    return Running(server.url, None, server.data)


async def grant(server: Running, **fields: Any) -> str:
    """The path of a grant for an upload of ann's."""
    return "/v1/g/" + str((await mint(server, **fields))["token"])


async def manifest(server: Running, path: str) -> tuple[int, dict[str, Any]]:
    """What ann sees of her file."""
    ann = Running(server.url, user("ann"), server.data)
    found = await ask(ann, "GET", f"/v1/manifests/{path.rsplit('/', 1)[1]}")
    return found.status, json.loads(found.content)


async def test_tus_with_a_grant(users_server: Process) -> None:
    server = anyone(users_server)
    address = await grant(users_server, max_size=100, directory="in")
    told = await ask(server, "OPTIONS", address)
    assert (told.status, told["tus-max-size"]) == (204, "100")
    assert told["upload-limit"] == "max-size=100"
    headers = {**TUS, "upload-length": "11", "upload-metadata": metadata(filename="a.txt")}
    made = await ask(server, "POST", address, headers)
    assert made.status == 201
    assert made["location"].startswith(f"{server.url}{address}/uploads/")
    path = path_of(made)
    assert (
        await ask(server, "PATCH", path, {**BYTES, "upload-offset": "0"}, DATA[:5])
    ).status == 204
    assert (await ask(server, "HEAD", path, TUS))["upload-offset"] == "5"
    override = {**BYTES, "upload-offset": "5", "x-http-method-override": "PATCH"}
    assert (await ask(server, "POST", path, override, DATA[5:])).status == 204
    status, found = await manifest(users_server, path)
    assert (status, found["state"], found["name"], found["directory"]) == (
        200,
        "ready",
        "a.txt",
        "in",
    )
    assert (await ask(server, "DELETE", path, TUS)).status == 403  # it is a file


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_draft_with_a_grant(users_server: Process, method: str) -> None:
    server, address = anyone(users_server), await grant(users_server)
    draft = {"upload-draft-interop-version": "8"}
    made = await ask(server, method, address, {**draft, "upload-complete": "?0"}, DATA[:5])
    assert (made.status, made.interim[0]["location"]) == (201, made["location"])
    path = path_of(made)
    assert path.startswith(f"{address}/uploads/")
    assert (await ask(server, "HEAD", path, draft))["upload-offset"] == "5"
    headers = {**draft, **PARTIAL, "upload-complete": "?1", "upload-offset": "5"}
    assert (await ask(server, "PATCH", path, headers, DATA[5:])).status == 201
    assert (await manifest(users_server, path))[1]["size"] == 11


async def test_an_upload_with_a_grant_can_be_cancelled(users_server: Process) -> None:
    server = anyone(users_server)
    for said in (TUS, {"upload-draft-interop-version": "8"}):
        address = await grant(users_server)
        made = await ask(server, "POST", address, {**TUS, "upload-length": "11"})
        path = path_of(made)
        assert (await ask(server, "DELETE", path, said)).status == 204
        assert (await ask(server, "HEAD", path, said)).status == 404


async def test_the_bounds_of_a_grant_hold(users_server: Process) -> None:
    server = anyone(users_server)

    async def create(address: str, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(server, "POST", address, {**TUS, **given})

    address = await grant(users_server, max_size=10)
    assert (await create(address, upload_length="11")).status == 413
    deferred = await create(address, upload_defer_length="1")
    path = path_of(deferred)
    told = await ask(server, "PATCH", path, {**BYTES, "upload-offset": "0"}, DATA)
    assert told.status == 413
    headers = {**BYTES, "upload-offset": "0", "upload-length": "11"}
    assert (await ask(server, "PATCH", path, headers, b"")).status == 413
    assert (await create(address, upload_length="1")).status == 403  # it is used
    images = await grant(users_server, mime_types=["image/*"])
    told = await create(images, upload_length="1", upload_metadata=metadata(filetype="text/plain"))
    assert (told.status, told["content-type"]) == (415, "text/plain; charset=utf-8")


async def test_a_creation_that_is_refused_leaves_nothing_behind(users_server: Process) -> None:
    server = anyone(users_server)
    address = await grant(users_server, max_size=20, mime_types=["image/*"])
    for headers, data, status in (
        ({"upload-checksum": "md5 YQ=="}, DATA, 400),
        ({"upload-checksum": "sha1 " + "A" * 27 + "="}, DATA, 460),
        ({}, DATA + b"!", 413),
        ({}, DATA, 415),
    ):
        said = {**BYTES, "upload-length": "11", **headers}
        told = await ask(server, "POST", address, said, data)
        assert (told.status, "location" in told.headers) == (status, False)
    whole = {"upload-complete": "?1"}  # the draft, where nothing tells the address either
    no_interim = {"upload-draft-interop-version": "8", "x-lading-interim": "off"}
    told = await ask(server, "POST", address, {**whole, **no_interim}, DATA)
    assert told.status == 415
    any_type = await grant(users_server)
    wrong = {"repr-digest": f"sha-256=:{'A' * 43}=:"}
    told = await ask(server, "POST", any_type, {**whole, **no_interim, **wrong}, DATA)
    assert told.status == 422
    for each in (address, any_type):  # the one use of each is left
        made = await ask(server, "POST", each, {**TUS, "upload-length": "11"})
        assert made.status == 201


async def test_another_grants_upload_is_not_there(users_server: Process) -> None:
    server = anyone(users_server)
    mine, theirs = await grant(users_server), await grant(users_server)
    made = await ask(server, "POST", mine, {**TUS, "upload-length": "11"})
    upload_id = path_of(made).rsplit("/", 1)[1]
    for address in (theirs, "/v1/g/lg_" + "x" * 43):
        told = await ask(server, "HEAD", f"{address}/uploads/{upload_id}", TUS)
        assert told.status == (404 if address == theirs else 401)
        assert told["tus-resumable"] == "1.0.0"


async def test_a_grant_for_a_download_has_no_uploads(users_server: Process) -> None:
    told = await ask(anyone(users_server), "OPTIONS", "/v1/g/lg_" + "x" * 43)
    assert told.status == 204
    refused = await ask(anyone(users_server), "POST", "/v1/g/lg_" + "x" * 43, TUS)
    assert refused.status == 401


async def test_a_grant_that_is_too_small_tells_its_limit(users_server: Process) -> None:
    server, address = anyone(users_server), await grant(users_server, max_size=5)
    draft = {"upload-draft-interop-version": "8", "upload-complete": "?1"}
    told = await ask(server, "POST", address, draft, DATA)
    assert (told.status, told["upload-limit"]) == (413, "max-size=5")
    assert told["upload-complete"] == "?0"


async def test_access_is_checked_by_the_request_that_completes_the_upload(
    users_server: Process,
) -> None:
    minted = await mint(users_server)
    server = anyone(users_server)
    said = {"upload-draft-interop-version": "8", **PARTIAL}
    made = await ask(
        server, "POST", f"/v1/g/{minted['token']}", {**said, "upload-complete": "?0"}, DATA[:5]
    )
    path = path_of(made)
    back_end = Running(server.url, user("site", "grant"), server.data)
    assert (await ask(back_end, "DELETE", f"/v1/grants/{minted['id']}")).status == 204
    rest = {**said, "upload-complete": "?1", "upload-offset": "5"}
    assert (await ask(server, "PATCH", path, rest, DATA[5:])).status == 401
    status, found = await manifest(users_server, path)
    assert (status, found["state"]) == (200, "uploading")
