"""The OpenAPI document: valid, complete, and true of real answers."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate
from starlette.routing import Route, WebSocketRoute

from lading.protocol.errors import CATALOGUE
from lading.server.app import OPERATIONS, ROUTES
from lading.server.http import schemas
from lading.server.http.endpoints import adapter
from lading.server.http.openapi.document import GROUPS, build
from lading.server.net.problems import STATUS

DOCUMENT = build(OPERATIONS)


def operations() -> list[Any]:
    found = [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]
    return [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in found]


# -- the document


def test_document_is_valid() -> None:
    validate(DOCUMENT)


def test_every_route_is_described_and_nothing_else() -> None:
    served = {
        (method.lower(), route.path_format)
        for route in ROUTES
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    described = {
        (method, path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert {each for each in served if each[0] != "head"} == {
        each for each in described if each[0] != "head"
    }
    assert described <= served
    channels = {route.path_format for route in ROUTES if isinstance(route, WebSocketRoute)}
    assert channels <= set(DOCUMENT["paths"])


def test_every_operation_has_a_summary_and_is_described_once() -> None:
    assert all(operation.summary for operation in OPERATIONS)
    endpoints = [(operation.method, operation.path) for operation in OPERATIONS]
    assert len(endpoints) == len(set(endpoints))


def test_names_of_operations_are_unique_and_links_lead_to_them() -> None:
    names = [each.name for each in OPERATIONS]
    assert len(names) == len(set(names))
    followed = {
        name
        for operation in OPERATIONS
        for reply in operation.replies.values()
        for name in reply.links
    }
    assert followed <= set(names)


def test_every_group_is_used_and_explained() -> None:
    assert {operation.group for operation in OPERATIONS} == set(GROUPS)


@pytest.mark.parametrize(("method", "path", "operation"), operations())
def test_refusals_are_problems_with_the_codes_of_their_status(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    for status, response in operation["responses"].items():
        problem = response.get("content", {}).get("application/problem+json")
        codes = problem["schema"]["properties"]["code"]["enum"] if problem else []
        # An image that is being made is the one problem that is no refusal.
        assert (int(status) >= 400 or codes == ["not-ready"]) == (problem is not None)
        for code in codes:
            assert code in CATALOGUE
            assert STATUS[code] == int(status) or (code, status) in (
                ("too-many-connections", "503"),
                ("invalid-argument", "426"),
                ("checksum-mismatch", "460"),  # the status of tus for it
                ("request-timeout", "409"),  # tus: its clients give up at 408
            )
    if operation["security"]:
        assert {"401", "403"} <= set(operation["responses"])


@pytest.mark.parametrize("public", [None, "https://files.example.org"])
def test_addresses_are_those_of_the_public_url(public: str | None) -> None:
    assert build(OPERATIONS, public)["servers"] == [{"url": public or "/"}]


# -- what the models say, and what comes


def check(model: Any, response: httpx.Response, status: int = 200) -> Any:
    """The answer, which has exactly the fields of the model."""
    assert response.status_code == status, response.text
    found = response.json()
    read = adapter(model).validate_json(response.content)
    assert adapter(model).dump_python(read, mode="json") == found
    return found


async def test_answers_on_files_are_as_described(http: httpx.AsyncClient) -> None:
    sent = await http.post("/v1/files?name=a.txt&directory=d&tag=x", content=b"hello")
    file = check(schemas.files.Manifest, sent, 201)
    check(schemas.files.FileList, await http.get("/v1/files"))
    check(schemas.files.FileList, await http.get("/v1/files?limit=1"))
    chunks = await http.get(f"/v1/manifests/{file['_id']}")
    assert check(schemas.files.ManifestWithChunks, chunks)["chunks"]
    check(schemas.files.Manifest, await http.patch(f"/v1/files/{file['_id']}", json={"name": "b"}))
    check(schemas.files.DeletedDirectory, await http.delete("/v1/files?directory=d"))


async def test_answers_on_uploads_are_as_described(http: httpx.AsyncClient) -> None:
    begun = await http.post("/v1/uploads", json={"name": "a", "size": 5})
    upload = check(schemas.uploads.CreatedUpload, begun, 201)
    address = f"/v1/uploads/{upload['_id']}"
    check(schemas.uploads.Upload, await http.get(address))
    assert check(schemas.uploads.UploadList, await http.get("/v1/uploads"))["uploads"]
    check(schemas.uploads.StoredPiece, await http.put(f"{address}/chunks/0", content=b"hello"))
    check(schemas.files.Manifest, await http.post(f"{address}/finish"))


async def test_answers_on_grants_are_as_described(http: httpx.AsyncClient) -> None:
    file = (await http.post("/v1/files?name=a.txt", content=b"hello")).json()
    bounds: list[dict[str, Any]] = [
        {"action": "upload", "max_size": 9, "mime_types": ["image/*"]},
        {"action": "download", "file_id": file["_id"]},
    ]
    for bound in bounds:
        minted = check(schemas.grants.MintedGrant, await http.post("/v1/grants", json=bound), 201)
        check(schemas.grants.Grant, await http.get(f"/v1/grants/{minted['id']}"))
    assert check(schemas.grants.GrantList, await http.get("/v1/grants"))["grants"]


async def test_answers_on_media_and_tags_are_as_described(http: httpx.AsyncClient) -> None:
    body = b"a medium"
    announced = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "tags": ["seen"]}
    medium = check(schemas.media.NewMedium, await http.post("/v1/media", json=announced), 201)
    address = f"/v1/media/{medium['media']['_id']}"
    check(schemas.media.Medium, await http.get(address))
    async with httpx.AsyncClient(base_url=http.base_url, trust_env=False) as anyone:
        upload = medium["upload"]
        sent = await anyone.put(upload["url"], content=body, headers=upload["headers"])
        check(schemas.files.Manifest, sent)
    check(schemas.files.Manifest, await http.post(f"{address}/finalize"))
    assert check(schemas.media.Medium, await http.get(address))["download"]
    check(schemas.tags.Tag, await http.get("/v1/tags/seen"))
    assert check(schemas.tags.TagList, await http.get("/v1/tags"))["tags"]


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/usage", schemas.service.OwnUsage),
        ("/v1/users/ann/quota", schemas.service.Usage),
        ("/livez", schemas.service.Status),
        ("/readyz", schemas.service.Status),
        ("/healthz", schemas.service.Health),
    ],
)
async def test_other_answers_are_as_described(
    http: httpx.AsyncClient, path: str, model: Any
) -> None:
    check(model, await http.get(path))


async def test_problems_are_as_described(http: httpx.AsyncClient) -> None:
    upload = (await http.post("/v1/uploads", json={"name": "a", "size": 5})).json()
    response = await http.post(f"/v1/uploads/{upload['_id']}/finish")
    problem = schemas.service.Problem.model_validate_json(response.content)
    assert (problem.code, problem.missing) == ("incomplete", [[0, 5]])
    assert not problem.model_extra


# -- served


async def test_document_is_served_to_everyone(http: httpx.AsyncClient) -> None:
    response = await http.get("/openapi.json", headers={"Authorization": ""})
    assert response.headers["content-type"] == "application/json"
    assert response.json() == DOCUMENT
