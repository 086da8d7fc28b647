"""The web page as it is sent: its policy, its files, and what stands there without a build."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lading.server.http import assets
from tests.support.servers import inside
from tests.support.users import client, refusal

INDEX = b'<!doctype html><script type="module" src="./assets/index-1a2b.js"></script>'
DOCS = b'<!doctype html><script type="module" src="./assets/docs-1a2b.js"></script>'
SCRIPT = b"console.log(1)\n" * 100


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page of the test's own."""
    page = tmp_path / "page"
    for name, body in {
        "index.html": INDEX,
        "docs.html": DOCS,
        "assets/index-1a2b.js": SCRIPT,
        "widget/lading.js": SCRIPT,
        "other/secret.js": SCRIPT,
    }.items():
        (page / name).parent.mkdir(parents=True, exist_ok=True)
        (page / name).write_bytes(body)
    monkeypatch.setattr(assets.load, "__defaults__", (page,))
    return page


@pytest.fixture
async def http(folder: Path, tmp_path: Path, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that was never here, on a server with that page."""
    async with inside(tmp_path / "data", database_url) as running, client(running) as browser:
        yield browser


async def test_the_page_loads_its_own_files_and_nothing_else(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert (answer.status_code, answer.content) == (200, INDEX)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert not {"http:", "https:", "ws:", "wss:", "*", "'unsafe-inline'", "'unsafe-eval'"} & {
        word for words in policy.values() for word in words.split()
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_the_page_of_the_api_may_write_styles_and_ask_its_own_server(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get("/docs")
    assert (answer.status_code, answer.content) == (200, DOCS)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy.pop("style-src") == "'self' 'unsafe-inline'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    words = {word for words in policy.values() for word in words.split()}
    assert words <= {"'none'", "'self'", "data:", "blob:"}
    assert (await http.get("/docs.html")).status_code == 404


async def test_files_are_fetched_once(http: httpx.AsyncClient) -> None:
    answer = await http.get("/assets/index-1a2b.js")
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    again = await http.get("/", headers={"If-None-Match": (await http.get("/")).headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "Content-Security-Policy" in again.headers


async def test_who_takes_no_gzip_gets_the_same(http: httpx.AsyncClient) -> None:
    answer = await http.get("/assets/index-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/assets/index-1a2b.js", "/widget/lading.js"])
async def test_head_is_get_without_the_bytes(http: httpx.AsyncClient, path: str) -> None:
    got, head = await http.get(path), await http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    del got.headers["date"], head.headers["date"]
    assert head.headers == got.headers


async def test_the_browser_client_may_be_imported_by_pages_of_any_site(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get("/widget/lading.js", headers={"Origin": "https://any.example"})
    assert answer.content == SCRIPT
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Origin" not in (await http.get("/assets/index-1a2b.js")).headers


@pytest.mark.parametrize(
    "path",
    [
        "/assets/absent.js",
        "/assets/..%2findex.html",
        "/assets/%2e%2e%2f%2e%2e%2fapp.py",
        "/assets/",
        "/assets/%00",
        "/assets/index-1a2b.js%00",
        "/assets//index-1a2b.js",
        "/widget/secret.js",
        "/widget/..%2fassets%2findex-1a2b.js",
        "/other/secret.js",
        "/index.html",
    ],
)
async def test_only_what_was_there_at_the_start_is_there(
    http: httpx.AsyncClient, folder: Path, path: str
) -> None:
    (folder / "assets" / "absent.js").write_bytes(b"late")
    assert refusal(await http.get(path)) == (404, "not-found")


@pytest.mark.parametrize("path", ["/", "/assets/index-1a2b.js", "/widget/lading.js"])
async def test_nothing_else_is_done_to_them(http: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = await http.request(method, path)
        assert refusal(answer) == (405, "method-not-allowed")


async def test_without_a_build_the_page_says_how_to_build_it(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets.load, "__defaults__", (tmp_path / "absent",))
    async with inside(tmp_path / "data", database_url) as running, client(running) as browser:
        answer = await browser.get("/")
        assert answer.status_code == 200
        assert "npm" in answer.text
        assert "scripts/serve" in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        reference = await browser.get("/docs")
        assert reference.status_code == 200
        assert "npm" in reference.text
        assert 'href="openapi.json"' in reference.text
        assert "default-src 'none'" in reference.headers["Content-Security-Policy"]
        assert refusal(await browser.get("/assets/index.js")) == (404, "not-found")
        entered = await browser.get("/", params={"token": running.token or ""})
        assert entered.status_code == 303
