"""A file in JSON: cut anywhere, escaped in any way, and whatever is wrong with it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from random import Random

import pytest

from lading.protocol.errors import InvalidArgument
from lading.server.http.data_url import MAX_AROUND, DataUrl

DATA = Random(5).randbytes(1000)
PLAIN = base64.b64encode(DATA).decode()
URL = f"data:image/png;base64,{PLAIN}"


async def parts(body: bytes, step: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), step):
        yield body[start : start + step]


async def read(body: str | bytes, step: int = 100) -> tuple[str | None, str | None, bytes]:
    """The name, the type and the bytes of the file."""
    sent = body.encode() if isinstance(body, str) else body
    found = [
        (part.mime_type, b"".join([data async for data in part.stream]), part)
        async for part in DataUrl(parts(sent, step)).files()
    ]
    ((mime_type, data, part),) = found
    return part.name, mime_type, data


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(each):04x}" for each in text)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    ("body", "name"),
    [
        (json.dumps({"data": URL}), None),
        (json.dumps({"name": "ä.png", "data": URL}), "ä.png"),
        (json.dumps({"data": URL, "name": 'a"b'}, ensure_ascii=False), 'a"b'),
        (' {\n"data" : "' + URL.replace("/", "\\/") + '" ,\t"name":"x" } \r\n', "x"),
        ('{"data":"' + _escaped(URL) + '"}', None),
        ('{"\\u0064ata":"' + URL.rstrip("=") + '"}', None),
        (json.dumps({"data": URL.replace("data:", "DATA:").replace("base64", "BASE64")}), None),
    ],
)
async def test_it_may_be_cut_anywhere(body: str, name: str | None, step: int) -> None:
    assert await read(body, step) == (name, "image/png", DATA)


@pytest.mark.parametrize(
    ("head", "mime_type"),
    [
        ("data:;base64,", None),
        ("data:text/plain;charset=utf-8;base64,", "text/plain;charset=utf-8"),
        ("data:image/png; base64,", "image/png"),
    ],
)
async def test_the_type(head: str, mime_type: str | None) -> None:
    assert await read(json.dumps({"data": head + "AAAA"})) == (None, mime_type, bytes(3))


async def test_an_empty_file() -> None:
    assert await read('{"data": "data:text/plain;base64,"}') == (None, "text/plain", b"")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "not JSON"),
        ("[]", "not JSON"),
        ("{}", "`data` is required"),
        ('{"name": "a"}', "`data` is required"),
        ('{"name": 1, "data": ""}', "`name` must be a string"),
        ('{"data": null}', "`data` must be a string"),
        ('{"data": ""}', "`data` must be a data URL"),
        ('{"data": "AAAA"}', "`data` must be a data URL"),
        ('{"data": "data:text/plain,hello"}', "`data` must be a data URL"),
        ('{"data": "https:x;base64,AAAA"}', "`data` must be a data URL"),
        (f'{{"data": "data:{"a" * 5000}', "`data` must be a data URL"),
        ('{"dta": "data:;base64,AAAA"}', "`dta` is not a known field; did you mean `data`"),
        ('{"data": "data:;base64,AAAA", "directory": "x"}', "`directory` is not a known field"),
        ('{"data": "data:;base64,AAAA", "data": "data:;base64,AAAA"}', "given twice"),
        ('{"data": "data:;base64,AAA%3D"}', "not Base64"),
        ('{"data": "data:;base64,A"}', "not Base64"),
        ('{"data": "data:;base64,A=AA"}', "not Base64"),
        ('{"data": "data:;base64,ää=="}', "is not"),
        ('{"data": "data:;base64,AAAA', "not JSON"),
        ('{"data": "data:;base64,AAAA"', "not JSON"),
        ('{"data": "data:;base64,AAAA"} x', "not JSON"),
        ('{"data": "data:;base64,AAAA",}', "not JSON"),
        ('{"data": "data:;base64,AA\\x41A"}', "not JSON"),
        ('{"data": "data:;base64,AA\\u00"}', "not JSON"),
        ('{"data": "data:;base64,AA\nAA"}', "not JSON"),
        (b'{"name": "\xff", "data": "data:;base64,AAAA"}', "not JSON"),
        (" " * (MAX_AROUND + 1), "beside `data`"),
        ('{"name": "' + "a" * 20_000, "at most"),
    ],
)
@pytest.mark.parametrize("step", [1, 50, 100_000])
async def test_what_is_wrong(body: str | bytes, said: str, step: int) -> None:
    with pytest.raises(InvalidArgument, match=said):
        await read(body, step)


async def test_base64_behind_its_end() -> None:
    for step in (1, 4, 1000):
        with pytest.raises(InvalidArgument, match=r"not Base64|behind its end"):
            await read('{"data": "data:;base64,AA==AAAA"}', step)
