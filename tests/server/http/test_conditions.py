"""Conditions of requests on files, grants, media and manifests; changes only of what is known.

`tests/protocol/test_conditions.py` judges the combinations; these tests show that every route asks.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from tests.support.servers import Process
from tests.support.users import refusal
from tests.support.wire import channel

DATA = b"0123456789"
PAST, FUTURE = "Mon, 01 Jan 2001 00:00:00 GMT", "Saturday, 01-Jan-50 00:00:00 GMT"


async def file(http: httpx.AsyncClient) -> str:
    made = await http.post("/v1/files", params={"name": "a.txt"}, content=DATA)
    return str(made.json()["_id"])


async def addresses(http: httpx.AsyncClient, file_id: str) -> list[str]:
    """Every address of the same file."""
    body = {"action": "download", "file_id": file_id}
    grant = (await http.post("/v1/grants", json=body)).json()["url"]
    medium = (await http.get(f"/v1/media/{file_id}")).json()["download"]["url"]
    return [f"/v1/files/{file_id}", grant, f"{grant}/0", medium]


@pytest.mark.parametrize("ranged", [False, True])
async def test_every_address_of_a_file_honours_all_fields(
    http: httpx.AsyncClient, ranged: bool
) -> None:
    file_id = await file(http)
    tag = (await http.head(f"/v1/files/{file_id}")).headers["etag"]
    whole = 206 if ranged else 200
    for address, (fields, status) in itertools.product(
        await addresses(http, file_id),
        [
            ({"If-Match": tag}, whole),
            ({"If-Match": "*"}, whole),
            ({"If-Match": f'"a,b", {tag}'}, whole),
            ({"If-Match": f"W/{tag}"}, 412),
            ({"If-Match": '"other"'}, 412),
            ({"If-Match": tag.strip('"')}, 412),
            ({"If-Match": '"other"', "If-None-Match": tag}, 412),
            ({"If-Match": tag, "If-Unmodified-Since": PAST}, whole),
            ({"If-Match": tag, "If-None-Match": tag}, 304),
            ({"If-Unmodified-Since": PAST}, 412),
            ({"If-Unmodified-Since": FUTURE}, whole),
            ({"If-Unmodified-Since": "never"}, whole),
            ({"If-None-Match": f"W/{tag}"}, 304),
            ({"If-None-Match": '"a", "b"'}, whole),
            ({"If-Modified-Since": FUTURE}, 304),
            ({"If-Modified-Since": PAST}, whole),
            ({"If-Match": tag, "If-Range": '"other"'}, 200),
            ({"If-Match": tag, "If-Range": tag}, whole),
        ],
    ):
        headers = {**fields, **({"Range": "bytes=2-4"} if ranged else {})}
        response = await http.get(address, headers=headers)
        assert response.status_code == status, (address, headers)
        if status == 412:
            assert refusal(response) == (412, "precondition-failed")
        if status == 206:
            assert response.content == DATA[2:5]
        head = await http.head(address, headers=headers)
        assert head.status_code == (200 if status == 206 else status)


async def test_a_field_in_two_lines_is_one_list(http: httpx.AsyncClient) -> None:
    file_id = await file(http)
    address = f"/v1/files/{file_id}"
    tag = (await http.head(address)).headers["etag"]
    for name, status in (("If-Match", 200), ("If-None-Match", 304)):
        lines = [(name, '"other"'), (name, tag)]
        assert (await http.get(address, headers=lines)).status_code == status


async def test_an_upload_in_progress_has_nothing_to_match(
    server: Process, http: httpx.AsyncClient
) -> None:
    async with channel(server) as wire:
        upload = await wire.create(1, 10, chunk_size=1024)
        await wire.chunk(1, 0, DATA)
        await wire.stored(1)
        for path in (f"/v1/files/{upload['id']}", f"/v1/manifests/{upload['id']}"):
            for fields, status in (
                ({"If-Match": '"a"'}, 412),
                ({"If-Match": "*"}, 200),
                ({"If-None-Match": '"a"'}, 200),
                ({"If-None-Match": "*"}, 304),
                ({"If-Unmodified-Since": PAST}, 200),
                ({"If-Modified-Since": FUTURE}, 200),
            ):
                assert (await http.get(path, headers=fields)).status_code == status, fields


async def test_a_manifest_has_a_tag_that_every_change_changes(http: httpx.AsyncClient) -> None:
    file_id = await file(http)
    path, seen = f"/v1/manifests/{file_id}", set[str]()

    async def look() -> str:
        response = await http.get(path)
        tag = response.headers["etag"]
        assert (await http.get(path, headers={"If-None-Match": tag})).status_code == 304
        assert (await http.get(path, headers={"If-Match": tag})).status_code == 200
        for old in seen:
            assert (await http.get(path, headers={"If-None-Match": old})).status_code == 200
            assert (await http.get(path, headers={"If-Match": old})).status_code == 412
        return str(tag)

    seen.add(await look())
    await http.patch(f"/v1/files/{file_id}", json={"name": "b.txt", "tags": [f"t{file_id}"]})
    seen.add(await look())
    await http.patch(f"/v1/tags/t{file_id}", json={"name": f"u{file_id}"})
    seen.add(await look())
    await http.delete(f"/v1/tags/u{file_id}")
    seen.add(await look())
    assert len(seen) == 4


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_only_of_what_the_client_knows(http: httpx.AsyncClient, method: str) -> None:
    file_id = await file(http)
    path = f"/v1/files/{file_id}"
    bytes_tag = (await http.head(path)).headers["etag"]
    old = (await http.head(f"/v1/manifests/{file_id}")).headers["etag"]
    assert (await http.patch(path, json={"name": "b.txt"})).status_code == 200
    new = (await http.head(f"/v1/manifests/{file_id}")).headers["etag"]
    body: dict[str, Any] = {"json": {"name": "c.txt"}} if method == "PATCH" else {}
    for fields in (
        {"If-Match": old},
        {"If-Match": f"W/{new}"},
        {"If-Match": "nonsense"},
        {"If-None-Match": "*"},
        {"If-None-Match": f"W/{bytes_tag}"},
        {"If-Unmodified-Since": PAST},
    ):
        response = await http.request(method, path, headers=fields, **body)
        assert refusal(response) == (412, "precondition-failed"), fields
    assert (await http.get(f"/v1/manifests/{file_id}")).json()["name"] == "b.txt"
    # What would fail anyway fails for its own reason (RFC 9110, 13.2.1).
    missing = f"/v1/files/{'0' * 24}"
    response = await http.request(method, missing, headers={"If-Match": old}, **body)
    assert response.status_code == 404
    good = {"If-Match": f"{old}, {new}", "If-Unmodified-Since": PAST, "If-Modified-Since": FUTURE}
    assert (await http.request(method, path, headers=good, **body)).is_success


async def test_the_tag_of_the_bytes_allows_a_change_of_the_name(http: httpx.AsyncClient) -> None:
    path = f"/v1/files/{await file(http)}"
    tag = (await http.head(path)).headers["etag"]
    for name in ("b", "c"):
        response = await http.patch(path, json={"name": name}, headers={"If-Match": tag})
        assert response.json()["name"] == name


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_of_many_changes_with_one_tag_one_is_made(
    http: httpx.AsyncClient, method: str
) -> None:
    file_id = await file(http)
    path = f"/v1/files/{file_id}"
    tag = (await http.head(f"/v1/manifests/{file_id}")).headers["etag"]
    bodies: list[dict[str, Any]] = [
        {"json": {"name": f"n{number}"}} if method == "PATCH" else {} for number in range(16)
    ]
    headers = {"If-Match": tag}
    answers = await asyncio.gather(
        *(http.request(method, path, headers=headers, **body) for body in bodies)
    )
    statuses = [each.status_code for each in answers]
    if method == "PATCH":
        assert sorted(statuses) == [200, *[412] * 15]
        (won,) = (each.json()["name"] for each in answers if each.is_success)
        assert (await http.get(f"/v1/manifests/{file_id}")).json()["name"] == won
    else:
        assert set(statuses) <= {204, 404}
        assert 204 in statuses
