"""Small files from forms, and bodies that end early."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.conftest import Kept
from tests.support.forms import EMPTY, FIELD, FILE, OTHER, form, parts_of
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
    "nothing-chosen": form((EMPTY, b"")),
    "two-inputs-and-nothing-chosen": form((EMPTY, b""), (EMPTY, b"")),
    "broken-second": (form((FILE, b"x"), (FILE, b"y"))[0][:-12], form()[1]),
    "line-feeds": (form((FILE, b"x"))[0].replace(b"\r\n", b"\n"), form()[1]),
    "second-with-wrong-type": form((FILE, b"x"), (FILE.replace("image/png", "image"), b"x")),
    "empty": (b"", form()[1]),
    "no-form": (b"hello", form()[1]),
    "other-boundary": (form((FILE, b"x"))[0].replace(b"limit", b"other"), form()[1]),
    "cut-in-headers": (form((FILE, b"x"))[0][:30], form()[1]),
    "cut-in-file": (form((FILE, b"x" * 100))[0][:150], form()[1]),
    "cut-in-end": (form((FILE, b"x"))[0][:-5], form()[1]),
    "long-header": form((FILE + "\r\nX: " + "x" * 20_000, b"x")),
    "long-field": form((FIELD, b"x" * 70_000), (FILE, b"x")),
    "many-parts": form(*[(FIELD, b"x")] * 257, (FILE, b"x")),
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


def names_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 201, answer.text
    return [file["name"] for file in answer.json()["files"]]


async def test_of_two_inputs_the_chosen_one_is_taken(http: httpx.AsyncClient, kept: Kept) -> None:
    body, headers = form((EMPTY, b""), (FILE, b"x"), (EMPTY, b""))
    made = await http.post("/v1/files", content=body, headers=headers)
    assert (made.status_code, made.json()["name"]) == (201, "cat.png")
    assert kept() == (1, 1)


async def test_a_chosen_file_without_bytes_is_a_file(http: httpx.AsyncClient) -> None:
    body, headers = form((FILE, b""))
    made = await http.post("/v1/files", content=body, headers=headers)
    assert (made.status_code, made.json()["name"], made.json()["size"]) == (201, "cat.png", 0)


async def test_bytes_without_a_name_are_a_file(http: httpx.AsyncClient) -> None:
    body, headers = form((EMPTY, b"x"))
    made = await http.post("/v1/files", content=body, headers=headers)
    assert (made.status_code, made.json()["name"]) == (201, "unnamed")


@pytest.mark.parametrize("size", [1, 1_000_000], ids=["byte-by-byte", "at-once"])
async def test_several_files_are_answered_as_a_list(
    http: httpx.AsyncClient, kept: Kept, size: int
) -> None:
    body, headers = form((FIELD, b"n"), (FILE, b"first"), (EMPTY, b""), (OTHER, b""), (FILE, b"3"))
    made = await http.post("/v1/files?directory=d", content=parts_of(body, size), headers=headers)
    assert names_of(made) == ["cat.png", "dog.txt", "cat.png"]
    assert [file["size"] for file in made.json()["files"]] == [5, 0, 1]
    assert {file["directory"] for file in made.json()["files"]} == {"d"}
    assert "location" not in made.headers
    assert kept() == (3, 2)


@pytest.mark.parametrize(
    ("query", "fields"), [("?name=x", {}), ("", {"Repr-Digest": "sha-512=:AAAA:"})]
)
async def test_what_is_said_of_one_file_is_not_said_of_several(
    http: httpx.AsyncClient, kept: Kept, query: str, fields: dict[str, str]
) -> None:
    body, headers = form((FILE, b"x"), (OTHER, b"y"))
    refused = await http.post(f"/v1/files{query}", content=body, headers=headers | fields)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument")
    assert kept() == (0, 0)


async def test_of_a_form_for_a_grant_nothing_is_left_when_its_last_file_is_refused(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    """Only the first bytes of the second show that it is no image; the first is published then."""
    wanted = {"action": "upload", "uses": 2, "mime_types": ["image/png"]}
    grant = (await http.post("/v1/grants", json=wanted)).json()
    body, headers = form((FILE, b"\x89PNG\r\n\x1a\n"), (FILE, b"<html>"))
    refused = await http.post(f"/v1/g/{grant['token']}", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported-media-type")
    assert kept() == (0, 0)
    assert (await http.get(f"/v1/grants/{grant['id']}")).json()["used"] == 0


async def test_one_file_that_is_too_large_leaves_none_of_the_form(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    body, headers = form((FILE, b"x"), (OTHER, bytes(32_000_001)))
    refused = await http.post("/v1/files", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")
    assert kept() == (0, 0)
    usage = (await http.get("/v1/usage")).json()
    assert (usage["used"], usage["reserved"]) == (0, 0)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('filename="a%22b%0D%0A.jpg"', 'a"b\r\n.jpg'),  # browsers
        ('filename="100%25 %0d.jpg"', "100%25 %0d.jpg"),
        ('filename="a\\"b.jpg"', 'a"b.jpg'),  # curl
        ('filename="a\\\\b.jpg"', "a\\b.jpg"),
        ("filename*=UTF-8''na%C3%AFve%20%28.txt", "naïve (.txt"),
        ("filename=\"plain.txt\"; filename*=utf-8'de'gr%C3%BC%C3%9Fe.txt", "grüße.txt"),
        ("filename*=iso-8859-1''gr%FC.txt", "grü.txt"),
        ('filename="plain.txt"; filename*=nonsense', "plain.txt"),
        ("filename=plain.txt", "plain.txt"),
        ('FileName = "x;y.txt"', "x;y.txt"),
        ('filename="C:\\Users\\ann\\cat.png"', "cat.png"),
        ('filename="../x/y.txt"', "../x/y.txt"),
    ],
)
async def test_the_name_of_a_part_in_every_way_that_clients_write_it(
    http: httpx.AsyncClient, header: str, name: str
) -> None:
    head = f'CONTENT-DISPOSITION: form-data; name="a[b]"; {header}\r\nCONTENT-type: text/plain'
    body, headers = form((head, b"x"))
    made = await http.post("/v1/files", content=body, headers=headers)
    assert made.status_code == 201, made.text
    assert (made.json()["name"], made.json()["mime_type"]) == (name, "text/plain")


async def test_what_stands_around_a_form_is_ignored(http: httpx.AsyncClient) -> None:
    body, _ = form((FILE, b"x"))
    headers = {"Content-Type": 'multipart/form-data; charset=utf-8; boundary="limit"'}
    around = b"Not for a reader of forms.\r\n" + body + b"nor\r\n--this"
    for size in (1, 1000):
        sent = parts_of(around, size)
        made = await http.post("/v1/files", content=sent, headers=headers)
        assert (made.status_code, made.json()["size"]) == (201, 1)


@pytest.mark.parametrize("field", ["Content-Transfer-Encoding: base64", "Content-Encoding: gzip"])
async def test_a_part_that_is_encoded_is_refused(
    http: httpx.AsyncClient, kept: Kept, field: str
) -> None:
    body, headers = form((f"{FILE}\r\n{field}", b"eA=="))
    refused = await http.post("/v1/files", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported-media-type")
    assert kept() == (0, 0)


async def test_curl_sends_a_name_with_a_quote_and_several_files(
    server: Process, tmp_path: Path
) -> None:
    quoted, other = tmp_path / 'a"b.jpg', tmp_path / "c.txt"
    quoted.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(32))
    other.write_bytes(b"c")
    token = f"Authorization: Bearer {server.token}"
    escaped = str(quoted).replace('"', '\\"')
    command = ["curl", "-sS", "-H", token, "-F", f'f=@"{escaped}"', "-F", f"f=@{other}"]
    child = await asyncio.create_subprocess_exec(
        *command, f"{server.url}/v1/files", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert [file["name"] for file in json.loads(output)["files"]] == ['a"b.jpg', "c.txt"]


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
