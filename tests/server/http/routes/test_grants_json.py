"""A grant used with JSON, as a page does on which nobody has signed in."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.servers import Process
from tests.support.users import client, mint, refusal, used, user

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(2000)


def url(data: bytes, mime_type: str = "image/png") -> str:
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


async def test_a_data_url_is_stored_as_the_file(users_server: Process) -> None:
    for body, name in (
        ({"data": url(PNG)}, "unnamed"),
        ({"name": "a.png", "data": url(PNG)}, "a.png"),
        ({"data": url(PNG), "name": "b.png"}, "b.png"),
    ):
        minted = await mint(users_server, mime_types=["image/*"])
        async with client(users_server) as page:
            made = await page.post(minted["url"], json=body)
        assert made.status_code == 201, made.text
        file = made.json()
        assert (file["name"], file["mime_type"], file["size"]) == (name, "image/png", len(PNG))
        async with client(users_server, user("ann")) as ann:
            assert (await ann.get(f"/v1/files/{file['_id']}")).content == PNG


async def test_the_name_of_the_grant_wins(users_server: Process) -> None:
    minted = await mint(users_server, name="own.png")
    async with client(users_server) as page:
        made = await page.post(minted["url"], json={"data": url(PNG), "name": "b.png"})
    assert made.json()["name"] == "own.png"


@pytest.mark.parametrize("by", ["grant", "setting"])
async def test_one_byte_too_much(users_server: Process, by: str) -> None:
    limit = 2000 if by == "grant" else 32_000_000
    minted = await mint(users_server, max_size=limit if by == "grant" else None)
    async with client(users_server) as page:
        answer = await page.post(minted["url"], json={"data": url(bytes(limit + 1), "")})
        assert (*refusal(answer), answer.json()["limit"]) == (413, "too-large", limit)
        assert await used(users_server, minted) == 0
        made = await page.post(minted["url"], json={"data": url(bytes(limit), "")})
    assert made.status_code == 201
    async with client(users_server, user("ann")) as ann:
        await ann.delete(f"/v1/files/{made.json()['_id']}")


async def test_what_is_wrong_stores_nothing(users_server: Process) -> None:
    minted = await mint(users_server, user_id="json")
    async with client(users_server) as page:
        for body in (
            {"data": url(PNG), "directory": "x"},
            {"data": url(PNG) + "*"},
            {"data": "data:nonsense;base64,AAAA"},
            {"name": "a"},
        ):
            answer = await page.post(minted["url"], json=body)
            assert refusal(answer) == (400, "invalid-argument")
    assert await used(users_server, minted) == 0
    async with client(users_server, user("json")) as owner:
        assert (await owner.get("/v1/uploads")).json()["uploads"] == []
        assert (await owner.get("/v1/files")).json()["files"] == []


async def test_a_type_that_the_grant_refuses(users_server: Process) -> None:
    minted = await mint(users_server, mime_types=["image/*"])
    async with client(users_server) as page:
        named = await page.post(minted["url"], json={"data": url(b"hello", "text/plain")})
        false = await page.post(minted["url"], json={"data": url(b"<html>" + b" " * 2000)})
    assert refusal(named) == refusal(false) == (415, "unsupported-media-type")


async def test_put_stores_a_file_that_is_json_itself(users_server: Process) -> None:
    body = json.dumps({"data": url(PNG)}).encode()
    headers = {"Content-Type": "application/json"}
    async with client(users_server) as page:
        minted = await mint(users_server)
        made = await page.put(minted["url"], content=body, headers=headers)
        assert (made.json()["mime_type"], made.json()["size"]) == ("application/json", len(body))
        # A grant that takes no such file can only mean what the JSON holds.
        images = await mint(users_server, mime_types=["image/*"])
        made = await page.put(images["url"], content=body, headers=headers)
        assert (made.json()["mime_type"], made.json()["size"]) == ("image/png", len(PNG))
