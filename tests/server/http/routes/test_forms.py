"""Small files from forms, and bodies that end early."""

from __future__ import annotations

import asyncio
from random import Random

import httpx
import pytest

from tests.conftest import Kept
from tests.support.forms import FIELD, FILE, form, parts_of
from tests.support.servers import Process, until

# -- forms


async def test_a_forms_file_part_is_the_file(http: httpx.AsyncClient) -> None:
    data = Random(5).randbytes(5_000_000)
    body, headers = form((FIELD, b"hello"), (FILE, data), (FIELD, b"again"))
    made = await http.post("/v1/files?directory=d", content=body, headers=headers)
    assert made.status_code == 201
    assert made.json()["name"] == "cat.png"
    assert made.json()["mime_type"] == "image/png"
    assert made.json()["directory"] == "d"
    assert (await http.get(made.headers["location"])).content == data


async def test_a_form_as_browsers_and_libraries_make_it(http: httpx.AsyncClient) -> None:
    made = await http.post(
        "/v1/files?name=other.txt",
        data={"note": "x"},
        files={"file": ("größe.txt", b"\r\n--limit\r\n", "text/plain")},
    )
    assert made.json()["name"] == "other.txt"
    assert (await http.get(made.headers["location"])).content == b"\r\n--limit\r\n"
    made = await http.post("/v1/files", files={"file": ("größe.txt", b"x")})
    assert made.json()["name"] == "größe.txt"


async def test_a_form_may_come_byte_by_byte(http: httpx.AsyncClient) -> None:
    data = b"\r\n--limi\r\n-" + bytes(range(256))
    body, headers = form((FIELD, b"hello"), (FILE, data))
    made = await http.post("/v1/files", content=parts_of(body, 1), headers=headers)
    assert made.status_code == 201
    assert (await http.get(made.headers["location"])).content == data


BROKEN: dict[str, tuple[bytes, dict[str, str]]] = {
    "no-boundary": (form((FILE, b"x"))[0], {"Content-Type": "multipart/form-data"}),
    "no-file": form((FIELD, b"x")),
    "two-files": form((FILE, b"x"), (FILE, b"y")),
    "empty": (b"", form()[1]),
    "no-form": (b"hello", form()[1]),
    "other-boundary": (form((FILE, b"x"))[0].replace(b"limit", b"other"), form()[1]),
    "cut-in-headers": (form((FILE, b"x"))[0][:30], form()[1]),
    "cut-in-file": (form((FILE, b"x" * 100))[0][:150], form()[1]),
    "cut-in-end": (form((FILE, b"x"))[0][:-5], form()[1]),
    "long-header": form((FILE + "\r\nX: " + "x" * 20_000, b"x")),
    "long-field": form((FIELD, b"x" * 70_000), (FILE, b"x")),
    "many-parts": form(*[(FIELD, b"x")] * 33, (FILE, b"x")),
    "nul-in-name": form((FILE.replace("cat", "c\0t"), b"x")),
    "wrong-type": form((FILE.replace("image/png", "image"), b"x")),
}


@pytest.mark.parametrize(("body", "headers"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_form_leaves_nothing(
    http: httpx.AsyncClient, kept: Kept, body: bytes, headers: dict[str, str]
) -> None:
    refused = await http.post("/v1/files", content=body, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid-argument"
    assert kept() == (0, 0)


# -- those who go away


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"x" * 100,
        b"x" * 5_000_000,
        b'--limit\r\nContent-Disposition: form-data; name="f"; filen',
        b"--limit\r\n" + FILE.encode() + b"\r\n\r\nhalf",
    ],
    ids=["nothing", "little", "a-piece", "half-a-header", "half-a-part"],
)
async def test_a_client_that_goes_away_leaves_nothing(
    server: Process, kept: Kept, sent: bytes
) -> None:
    kind = "multipart/form-data; boundary=limit" if sent.startswith(b"--") else "text/plain"
    faults = server.log.read_text().count("fault")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n"
        f"Content-Type: {kind}\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()
    )
    writer.write(sent)
    if len(sent) > 4 * 2**20:
        await until(lambda: kept()[1] == 4)
    elif not sent.endswith(b"filen"):
        await until(lambda: kept()[0] == 1)  # it has begun, so something can be left
    await writer.drain()
    writer.transport.abort()
    await until(lambda: kept() == (0, 0))
    async with server.http() as http:
        assert (await http.get("/livez")).status_code == 200
    assert server.log.read_text().count("fault") == faults
