"""Names, directories and tags in every form in which clients write them."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote, unquote

import httpx
import pytest

from tests.conftest import Kept

NFC = "Zoë"
NFD = unicodedata.normalize("NFD", NFC)


async def test_two_forms_of_one_letter_are_one_name_directory_and_tag(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    for form in (NFC, NFD):
        query = {"name": f"{form}.txt", "directory": form, "tag": form}
        made = await http.post("/v1/files", params=query, content=b"x")
        assert made.json()["name"] == f"{form}.txt"  # as it was given
        assert (made.json()["directory"], made.json()["tags"]) == (NFC, [NFC])
    for form in (NFC, NFD):
        for query in ({"name": form}, {"directory": form}, {"tag": form}):
            found = (await http.get("/v1/files", params=query)).json()["files"]
            assert len(found) == 2, query
        assert (await http.get(f"/v1/tags/{quote(form)}")).json() == {"name": NFC, "files": 2}
    assert (await http.post("/v1/tags", json={"name": NFD})).status_code == 409
    changed = await http.patch(
        f"/v1/files/{found[0]['_id']}", json={"name": NFD, "directory": f"/{NFD}/", "tags": [NFD]}
    )
    assert (changed.json()["name"], changed.json()["directory"]) == (NFD, NFC)
    deleted = await http.delete("/v1/files", params={"directory": f"/{NFD}"})
    assert deleted.json()["deleted"] == 2
    assert kept()[0] == 0


async def test_a_directory_in_every_form_is_one(http: httpx.AsyncClient, kept: Kept) -> None:
    forms = ["a/b", "/a/b", "a/b/", "a//b", "./a/b"]
    for form in forms:
        made = await http.post("/v1/files", params={"directory": form}, content=b"x")
        assert made.json()["directory"] == "a/b"
    for form in forms:
        found = await http.get("/v1/files", params={"directory": form})
        assert len(found.json()["files"]) == len(forms)
    beside = await http.post("/v1/files", params={"directory": "a/../b"}, content=b"x")
    assert beside.json()["directory"] == "a/../b"  # data: no path is built from it
    gone = await http.delete("/v1/files", params={"directory": "/a//b/"})
    assert gone.json() == {"directory": "/a//b/", "deleted": len(forms)}
    assert kept()[0] == 1


@pytest.mark.parametrize("root", ["/", "//", ".", "./", ""])
async def test_no_slash_deletes_everything(http: httpx.AsyncClient, kept: Kept, root: str) -> None:
    await http.post("/v1/files", content=b"x")
    refused = await http.delete("/v1/files", params={"directory": root})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument")
    assert kept()[0] == 1


@pytest.mark.parametrize("tag", ["v1.2", "$5", "node.js", "$ne", "$where", "a.$[]", "_id.$oid"])
async def test_a_tag_is_data_and_no_operator(http: httpx.AsyncClient, kept: Kept, tag: str) -> None:
    await http.delete(f"/v1/tags/{quote(tag, safe='')}")
    await http.post("/v1/files", params={"name": "other", "tag": "other"}, content=b"x")
    made = await http.post("/v1/files", params={"name": "it", "tag": tag}, content=b"x")
    assert made.json()["tags"] == [tag]
    address = f"/v1/tags/{quote(tag, safe='')}"
    assert (await http.get(address)).json() == {"name": tag, "files": 1}
    found = (await http.get("/v1/files", params={"tag": tag})).json()["files"]
    assert [file["name"] for file in found] == ["it"]
    renamed = await http.patch(address, json={"name": f"{tag}.$new"})
    assert renamed.json() == {"name": f"{tag}.$new", "files": 1}
    assert (await http.delete(f"/v1/tags/{quote(tag + '.$new', safe='')}")).status_code == 204
    assert kept()[0] == 2


@pytest.mark.parametrize("letter", ["a", "é", "漢", "👩", "\u202e", "\r\n", '"'])
async def test_a_long_name_fits_into_the_headers_of_a_proxy(
    http: httpx.AsyncClient, letter: str
) -> None:
    """nginx refuses an answer whose header is larger than 4 KiB."""
    name = (letter * 1000)[:1000] + ".jpg"
    created = await http.post("/v1/uploads", json={"name": name, "size": 0})
    made = await http.post(f"/v1/uploads/{created.json()['_id']}/finish")
    assert made.json()["name"] == name
    for query in ("", "?download=1"):
        answer = await http.get(f"/v1/files/{made.json()['_id']}{query}")
        size = sum(len(key) + len(value) + 4 for key, value in answer.headers.raw)
        assert size < 2048
        shown = answer.headers["content-disposition"]
        assert shown.isascii()
        assert shown.isprintable()
        assert unquote(shown.rpartition("''")[2] or shown.rstrip('"')).rstrip('"').endswith(".jpg")


async def test_a_file_is_listed_by_its_type_whatever_its_parameters(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    for kind in ("video/webm;codecs=vp8,opus", "VIDEO/WEBM", "video/webmx", "image/jpg"):
        made = await http.post("/v1/files", content=b"x", headers={"Content-Type": kind})
        assert made.status_code == 201, kind
    for wanted, count in (("video/webm", 2), ("Video/WebM", 2), ("image/jpg", 1), ("VIDEO/*", 3)):
        found = await http.get("/v1/files", params={"mime_type": wanted})
        assert len(found.json()["files"]) == count, wanted
    assert kept()[0] == 4
