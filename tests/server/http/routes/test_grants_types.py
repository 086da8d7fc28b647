"""A grant for some types, and clients that do not name one: curl, wget, forms of browsers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Process
from tests.support.users import client, mint, used, user

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1" + bytes(2000)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000)
PAGE = b"<!doctype html><script>alert(1)</script>" + b" " * 2000


async def run(*command: str) -> tuple[int, dict[str, Any]]:
    """Run a client that prints the answer, then its status; returns status and answer."""
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    body, _, status = output.decode().rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.parametrize(
    "file",
    [
        ("photo.jpg", JPEG, "image/jpeg"),
        ("photo", JPEG, "image/jpeg"),
        ("photo.bin", HEIC, "image/heic"),
        ("photo.txt", JPEG, "image/jpeg"),
        ("photo.jpg", PAGE, None),
        ("page.html", PAGE, None),
        ("data.bin", bytes(2000), None),
    ],
    ids=lambda file: file[0],
)
@pytest.mark.parametrize("how", ["-T", "--data-binary", "-F"])
async def test_curl_need_not_name_the_type(
    users_server: Process, tmp_path: Path, how: str, file: tuple[str, bytes, str | None]
) -> None:
    name, data, found = file
    path = tmp_path / name
    path.write_bytes(data)
    minted = await mint(users_server, user_id="types", mime_types=["image/*"])
    # With -F curl names a type by the file's name, as browsers do; an unknown one is unnamed.
    unnamed = ";type=application/octet-stream"
    sent = {"-T": [str(path)], "--data-binary": [f"@{path}"], "-F": [f"f=@{path}{unnamed}"]}[how]
    url = f"{users_server.url}{minted['url']}"
    status, answer = await run("curl", "-sS", "-w", "\n%{http_code}", how, *sent, url)
    async with client(users_server, user("types")) as owner:
        if found is not None:
            assert (status, answer["mime_type"]) == (201, found)
            await owner.delete(f"/v1/files/{answer['_id']}")
        else:
            assert (status, answer["code"]) == (415, "unsupported-media-type")
            assert await used(users_server, minted) == 0
        assert (await owner.get("/v1/uploads")).json()["uploads"] == []
        assert (await owner.get("/v1/files")).json()["files"] == []
        usage = (await owner.get("/v1/usage")).json()
        assert (usage["used"], usage["reserved"]) == (0, 0)


async def test_a_large_file_of_another_type_is_refused_before_it_is_sent(
    users_server: Process,
) -> None:
    minted = await mint(users_server, mime_types=["image/*"])
    async with client(users_server, minted["token"]) as browser:
        begun = await browser.post("/v1/uploads", json={"name": "big", "size": 2**30})
        url = f"/v1/uploads/{begun.json()['_id']}"
        cell = PAGE.ljust(begun.json()["chunk_size"])
        refused = await browser.put(f"{url}/chunks/0", content=cell)
        assert (refused.status_code, refused.json()["code"]) == (415, "unsupported-media-type")
        assert (await browser.get(url)).json()["upload_size"] == 0
        cell = JPEG.ljust(len(cell))
        assert (await browser.put(f"{url}/chunks/0", content=cell)).status_code == 200
        assert (await browser.delete(url)).status_code == 204
