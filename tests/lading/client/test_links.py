"""Links: files that are known by their address alone."""

from __future__ import annotations

import io

import pytest

from lading.client.address import Address, Credential, id_in, is_link, origin
from lading.client.api import Api
from lading.client.client import Client
from lading.client.links import Link
from lading.client.target import Check
from lading.client.types import File
from lading.protocol.errors import Incomplete, InvalidArgument, Unauthorized
from tests.lading.conftest import AT_ONCE
from tests.support.servers import Process

ID = "6b0179176249a43ed26a4b6e"


def link() -> Link:
    return Link(Api(Address("http://h:1"), Credential(None), AT_ONCE), "/v1/g/lg_x")


def read(**headers: str) -> File:
    usual = {"accept-ranges": "bytes", "content-length": "5", "etag": f'"{ID}-0a0b0c0d"'}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return link()._file({**usual, **given})


def test_what_the_headers_say() -> None:
    file = read(content_disposition='inline; filename="a.txt"', content_type="text/plain")
    assert (file.id, file.name, file.size, file.crc32c) == (ID, "a.txt", 5, 0x0A0B0C0D)
    assert (file.sha256, file.mime_type) == (None, "text/plain")
    assert file.url == "http://h:1/v1/g/lg_x"


def test_any_name_is_read() -> None:
    odd = "attachment; filename=\"_____.txt\"; filename*=UTF-8''%C3%A9t%C3%A9%22.txt"
    assert read(content_disposition=odd).name == 'été".txt'
    assert read().name == "download"


def test_a_digest_is_read() -> None:
    file = read(repr_digest="sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
    assert file.sha256 is not None
    assert file.sha256.startswith("e3b0c44298fc")


def test_without_an_id_it_is_known_by_link_and_tag() -> None:
    first, second = read(etag='"zip-1"'), read(etag='"zip-2"')
    assert (first.crc32c, len(first.id), first.id != second.id) == (None, 24, True)
    assert read(etag='"zip-1"').id == first.id


def test_what_is_no_file() -> None:
    with pytest.raises(InvalidArgument, match="no file"):
        link()._file({"content-length": "5"})
    with pytest.raises(Incomplete):
        link()._file({"accept-ranges": "bytes"})


def test_of_what_has_no_digest_the_length_is_compared() -> None:
    check = Check(read(etag='"zip-1"'))
    check.update(b"1234")
    assert not check.matches()
    check.update(b"5")
    assert check.matches()


def test_addresses() -> None:
    own = Address("https://files.example/base")
    assert id_in(f"https://files.example/base/v1/files/{ID}", own) == ID
    assert id_in(f"https://files.example/base/v1/files/{ID}/3", own) is None
    assert id_in(f"https://other.example/base/v1/files/{ID}", own) is None
    assert (is_link("https://x/y"), is_link("http://x"), is_link("a/b")) == (True, True, False)
    assert origin("https://user:secret@host:8443/v1/g/x?a=b") == "https://host:8443"


async def test_no_link_gets_the_token(server: Process) -> None:
    """A link to the client's own server, that needs a token, is refused like any other."""
    async with Client(server.url, server.token) as client:
        file = await client.upload([b"hello"], name="a.txt")
        with pytest.raises(Unauthorized):
            await client.download(f"{server.url}/v1/files/{file.id}/0", io.BytesIO())
        out = io.BytesIO()
        await client.download(f"{server.url}/v1/files/{file.id}", out)  # by its id
        assert out.getvalue() == b"hello"
        await client.delete(file.id)


async def test_a_link_without_a_host() -> None:
    async with Client("http://127.0.0.1:9") as client:
        with pytest.raises(InvalidArgument):
            await client.download("http:///v1/g/x", io.BytesIO())
