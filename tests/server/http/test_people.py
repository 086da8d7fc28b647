"""Which requests get a page, and that nothing which others chose runs in one."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape

import pytest
from starlette.requests import Request

from lading.protocol.errors import NotFound
from lading.protocol.manifest import State
from lading.server.http.people import shared
from lading.server.http.people.layout import POLICY, STYLE, page, size_text
from lading.server.http.people.messages import explain, opens_page
from lading.storage.collections.directories import Directory
from tests.support.manifests import begun

NASTY = "\"'><script>alert(1)</script>&\u202e\r\n"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def request(method: str = "GET", query: str = "", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/x", "query_string": query.encode()}
    return Request({**scope, "headers": raw})


@pytest.mark.parametrize(
    ("asked", "is_page"),
    [
        (request(accept=CHROME), True),
        (request(accept=CHROME, sec_fetch_dest="document"), True),
        (request("HEAD", accept="TEXT/HTML"), True),
        (request("POST", accept=CHROME), True),
        (request("PUT", accept=CHROME), False),
        (request(), False),
        (request(accept="*/*"), False),
        (request(accept="application/json, text/plain"), False),
        (request(accept=CHROME, range="bytes=0-"), False),
        (request(accept=CHROME, sec_fetch_dest="iframe"), False),
        (request(accept=CHROME, sec_fetch_dest="video"), False),
        (request(query="download=1", accept=CHROME), False),
    ],
)
def test_who_gets_a_page(asked: Request, is_page: bool) -> None:
    assert opens_page(asked) is is_page


def body_of(html: str) -> str:
    return html.split("</head>")[1]


def test_nothing_that_others_chose_is_a_tag() -> None:
    link = shared.Link("lg_t", "https://x/s/lg_t", 2e9, is_folder=True)
    file = begun(name=NASTY, mime_type=f"video/mp4;{NASTY}", state=State.READY)
    contents = shared.Contents(NASTY, NASTY, [Directory(NASTY, NASTY, 1, 2)], [file], NASTY)
    for made in (
        shared.file_page(link, file, NASTY),
        shared.folder_page(link, contents),
        shared.password_page(link, NASTY),
        explain(request(), NotFound(NASTY)),
        page(NASTY, ""),
    ):
        text = bytes(made.body).decode()
        assert "<script" not in text
        assert "alert(1)" in unescape(text)
        assert not re.search(r"\son\w+=", text)


def test_the_policy_lets_the_own_style_in_and_no_script() -> None:
    digest = b64encode(sha256(STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert "script" not in POLICY
    assert f"<style>{STYLE}</style>" in bytes(page("x", "").body).decode()


def test_a_file_is_shown_by_its_type() -> None:
    link = shared.Link("lg_t", "https://x/s/lg_t", 2e9)
    for mime, tag in (
        ("image/png", "<img "),
        ("video/mp4", "<video "),
        ("audio/mpeg", "<audio "),
        ("application/pdf", ">Open</a>"),
        ("text/plain;charset=utf-8", ">Open</a>"),
    ):
        made = shared.file_page(link, begun(mime_type=mime, state=State.READY))
        assert tag in body_of(bytes(made.body).decode())
    for mime in ("image/svg+xml", "text/html", "application/zip"):
        plain = body_of(bytes(shared.file_page(link, begun(mime_type=mime)).body).decode())
        assert not re.search("<img|<video|<audio|>Open<", plain)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, ""),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (99_950, "100.0 kB"),
        (5_000_000, "5.0 MB"),
        (123_456_789, "123.5 MB"),
        (999_949_999, "999.9 MB"),
        (999_950_000, "1.0 GB"),
        (5 * 10**15, "5.0 PB"),
        (5 * 10**18, "5000.0 PB"),
    ],
)
def test_sizes_are_written_as_on_the_web_page(size: int | None, text: str) -> None:
    assert size_text(size) == text
