"""Links that people share: what visitors get, what they never get, and when a link ends."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.server.http.people.layout import POLICY
from lading.server.limits import USUAL_LIMITS, LinkLimits
from tests.support.clock import Clock
from tests.support.servers import Process, Running, inside
from tests.support.users import client, user

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Dest": "document"}


class Page(HTMLParser):
    """The addresses and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


async def put(http: httpx.AsyncClient, name: str, directory: str, data: bytes = b"data") -> str:
    made = await http.post("/v1/files", params={"name": name, "directory": directory}, content=data)
    assert made.status_code == 201, made.text
    return str(made.json()["_id"])


async def share(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    made = await http.post("/v1/grants", json={"action": "share", **fields})
    assert made.status_code == 201, made.text
    shared: dict[str, Any] = made.json()
    return shared


def visitor(server: Running, **headers: str) -> httpx.AsyncClient:
    """Somebody without any credential; with a browser's headers."""
    given = {**BROWSER, **headers}
    return httpx.AsyncClient(base_url=server.url, headers=given, trust_env=False, timeout=30)


@pytest.fixture
async def owner(users_server: Process) -> AsyncIterator[httpx.AsyncClient]:
    """An ordinary user, without the scope `grant`."""
    async with client(users_server, user("owner-of-links"), request_id=None) as found:
        yield found
        await found.delete("/v1/files", params={"directory": "shared"})
        await found.delete("/v1/files", params={"directory": "private"})


# -- what visitors get


async def test_a_file_is_shown_and_downloaded(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    file = await put(owner, "film & <b>.mp4", "shared/deep", b"\0\0\0\x18ftypmp42" + b"x" * 99)
    link = await share(owner, file_id=file)
    assert link["url"] == f"/s/{link['token']}"
    async with visitor(users_server) as anyone:
        answer = await anyone.get(link["url"])
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "<h1>film &amp; &lt;b&gt;.mp4</h1>" in answer.text
        assert 'property="og:title" content="film &amp; &lt;b&gt;.mp4"' in answer.text
        assert f'content="{users_server.url}/s/{link["token"]}/files/{file}"' in answer.text
        page = Page(answer.text)
        for address in page.addresses:
            got = await anyone.get(httpx.URL(f"{users_server.url}/s/").join(address))
            assert got.status_code == 200, address
        saved = await anyone.get(f"{link['url']}/files/{file}?download=1")
        assert saved.headers["content-disposition"].startswith("attachment")
        part = await anyone.get(f"{link['url']}/files/{file}", headers={"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, b"ftyp")
    async with httpx.AsyncClient(base_url=users_server.url, trust_env=False) as program:
        assert (await program.get(f"{link['url']}/download")).content.startswith(b"\0\0\0\x18ftyp")


async def test_the_code_to_embed_a_film_or_a_picture_works_on_other_sites(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    film = await put(owner, 'a "b".mp4', "shared", b"\0\0\0\x18ftypmp42" + b"x" * 99)
    text = await put(owner, "a.txt", "shared", b"text")
    link = await share(owner, file_id=film)
    async with visitor(users_server) as anyone:
        page = Page((await anyone.get(link["url"])).text)
        (address,) = re.findall(r'<video src="([^"]+)" controls playsinline></video>', page.text)
        assert address == f"{users_server.url}{link['url']}/files/{film}"
        got = await anyone.get(address, headers={"Sec-Fetch-Dest": "video", "Accept": "*/*"})
        assert got.status_code == 200
        assert got.headers["cross-origin-resource-policy"] == "cross-origin"
        locked = await share(owner, file_id=film, password="sesame")
        await anyone.post(locked["url"], data={"password": "sesame"})
        for each in (locked, await share(owner, file_id=text)):
            shown = await anyone.get(each["url"])
            assert shown.status_code == 200
            assert "of another site" not in shown.text


async def test_a_pdf_opens_in_the_browsers_own_viewer(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    file = await put(owner, "a.pdf", "shared", b"%PDF-1.7\n%%EOF\n")
    link = await share(owner, file_id=file)
    async with visitor(users_server) as anyone:
        page = (await anyone.get(link["url"])).text
        assert f'<a href="{link["token"]}/files/{file}">Open</a>' in page
        opened = await anyone.get(f"{link['url']}/files/{file}")
        assert opened.headers["content-type"] == "application/pdf"
        assert opened.headers["content-disposition"].startswith("inline")
        assert "sandbox" not in opened.headers["content-security-policy"]


async def test_a_folder_is_walked_and_downloaded_as_a_zip(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    await put(owner, "one.txt", "shared/album", b"1")
    two = await put(owner, "two.txt", "shared/album/more & more/deep", b"22")
    link = await share(owner, directory="/shared/album/")
    async with visitor(users_server) as anyone:
        top = Page((await anyone.get(link["url"])).text)
        assert "album" in top.text
        assert "one.txt" in top.text
        assert "two.txt" not in top.text
        base = httpx.URL(f"{users_server.url}/s/")
        (below,) = [each for each in top.addresses if "?in=" in each]
        middle = Page((await anyone.get(base.join(below))).text)
        (below,) = [each for each in middle.addresses if "deep" in each and "zip" not in each]
        deep = Page((await anyone.get(base.join(below))).text)
        assert "two.txt" in deep.text
        (shown,) = [each for each in deep.addresses if f"file={two}" in each]
        assert "two.txt" in (await anyone.get(base.join(shown))).text
        for path, names in (
            ("/zip", ["album/more & more/deep/two.txt", "album/one.txt"]),
            ("/download", ["album/more & more/deep/two.txt", "album/one.txt"]),
            ("/zip?in=more+%26+more", ["more & more/deep/two.txt"]),
        ):
            got = await anyone.get(link["url"] + path)
            assert got.headers["content-type"] == "application/zip"
            with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
                assert sorted(archive.namelist()) == names
        part = await anyone.get(f"{link['url']}/zip", headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"PK\x03\x04")


async def test_long_folders_come_in_pages(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lading.server.http.routes.shares.LISTED", 2)
    async with inside(tmp_path, database_url) as server, server.http() as http:
        for name in "cabde":
            await put(http, f"{name}.txt", "f")
        link = await share(http, directory="f")
        async with visitor(server) as anyone:
            seen, address = "", link["url"]
            for _ in range(3):
                page = Page((await anyone.get(address)).text)
                seen += "".join(re.findall(r"(\w)\.txt", page.text))
                more = [each for each in page.addresses if "cursor=" in each]
                address = str(httpx.URL(f"{server.url}/s/").join(more[0])) if more else ""
            assert (seen, address) == ("abcde", "")


# -- what they never get


async def test_a_link_shows_nothing_of_its_owner(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    file = await put(owner, "a.txt", "shared/inner")
    await owner.patch(f"/v1/files/{file}", json={"tags": ["private tag"]})
    for fields in ({"file_id": file}, {"directory": "shared/inner"}):
        link = await share(owner, **fields)
        async with visitor(users_server) as anyone:
            for path in ("", f"/files/{file}", "/download"):
                got = await anyone.get(link["url"] + path)
                told = got.text + str(got.headers)
                for secret in ("owner-of-links", "private tag", "shared/"):
                    assert secret not in told


async def test_nothing_else_is_reached_by_paths_and_ids(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    inner = await put(owner, "in.txt", "shared/a")
    beside = await put(owner, "beside.txt", "shared/ab")
    above = await put(owner, "topmost.txt", "shared")
    private = await put(owner, "p.txt", "private")
    upload = await owner.post("/v1/uploads", json={"name": "u", "size": 5, "directory": "shared/a"})
    open_upload = upload.json()["_id"]
    async with client(users_server, user("somebody-else")) as other:
        foreign = await put(other, "f.txt", "shared/a")
    link = await share(owner, directory="shared/a")
    one = await share(owner, file_id=inner)
    async with visitor(users_server) as anyone:
        assert (await anyone.get(f"{link['url']}/files/{inner}")).status_code == 200
        for file in (beside, above, private, open_upload, foreign, "0" * 24, "..%2f..", "x"):
            for address in (
                f"{link['url']}/files/{file}",
                f"{link['url']}/files/{file}/3",
                f"{link['url']}?file={file}",
            ):
                answer = await anyone.get(address)
                assert answer.status_code == 404, address
                assert "beside" not in answer.text
        for trick in ("..", "../ab", "%2e%2e/ab", "/", "./..", "..%2fab", "a/../../ab", "b"):
            listed = await anyone.get(f"{link['url']}?in={trick}")
            assert "beside" not in listed.text
            assert "topmost" not in listed.text
            zipped = await anyone.get(f"{link['url']}/zip?in={trick}")
            if zipped.status_code == 200:
                assert zipfile.ZipFile(io.BytesIO(zipped.content)).namelist() == ["a/in.txt"]
            else:
                assert zipped.status_code == 404
        for wrong in ("?in=a%00", f"?in={'x' * 1025}", "?cursor=x", "?cursor=" + "0" * 24):
            assert (await anyone.get(link["url"] + wrong)).status_code == 400
        # A link to one file is no folder.
        for path in ("/zip", "?in=x&cursor=y", f"/files/{beside}"):
            assert (await anyone.get(one["url"] + path)).status_code in (200, 404)
        assert (await anyone.get(f"{one['url']}/zip")).status_code == 404
        # The token is no credential elsewhere.
        bearer = {"Authorization": f"Bearer {link['token']}"}
        for method, path in (
            ("GET", f"/v1/files/{inner}"),
            ("GET", "/v1/files"),
            ("DELETE", f"/v1/files/{inner}"),
            ("POST", "/v1/files"),
            ("GET", "/v1/grants"),
        ):
            refused = await anyone.request(method, path, headers=bearer)
            assert refused.status_code == 403, (method, path)


async def test_names_that_play_tricks_stay_inside_of_the_zip(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    for name in ("../up.txt", "..\\up.txt", "/etc/passwd", "C:\\x", "a\r\nb", "..", "x\u202egpj"):
        await put(owner, name, "shared/tricks")
    link = await share(owner, directory="shared/tricks")
    async with visitor(users_server) as anyone:
        page = await anyone.get(link["url"])
        assert page.status_code == 200
        zipped = await anyone.get(f"{link['url']}/zip")
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        names = archive.namelist()
    assert len(names) == 7
    for name in names:
        assert name.startswith("tricks/")
        assert ".." not in name.split("/")
        assert "\\" not in name
        assert name.isprintable() or "\n" not in name


async def test_files_cannot_run_on_the_links_page(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    script = b"<script>alert(1)</script>"
    html = await put(owner, "x.html", "shared/x", script)
    svg = await put(owner, "x.svg", "shared/x", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    link = await share(owner, directory="shared/x")
    async with visitor(users_server) as anyone:
        for file in (html, svg):
            got = await anyone.get(f"{link['url']}/files/{file}")
            assert got.headers["content-disposition"].startswith("attachment")
            assert got.headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert (
                f'src="{link["token"]}/files/{file}'
                not in (await anyone.get(f"{link['url']}?file={file}")).text
            )


async def test_who_may_share_what(users_server: Process, owner: httpx.AsyncClient) -> None:
    file = await put(owner, "a", "shared")
    async with client(users_server, user("somebody-else")) as other:
        for fields, status in (
            ({"file_id": file}, 404),
            ({"file_id": file, "user_id": "owner-of-links"}, 403),
            ({"directory": "shared", "user_id": "owner-of-links"}, 403),
        ):
            refused = await other.post("/v1/grants", json={"action": "share", **fields})
            assert refused.status_code == status
    for wrong in (
        {},
        {"directory": ""},
        {"directory": "/./"},
        {"file_id": file, "directory": "a"},
        {"file_id": file, "password": ""},
        {"file_id": file, "password": "x" * 1025},
        {"file_id": file, "uses": 0},
        {"file_id": file, "expires_in": 367 * 86400},
        {"file_id": file, "max_size": 1},
    ):
        refused = await owner.post("/v1/grants", json={"action": "share", **wrong})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument"), wrong
    async with client(users_server, user("site", "grant")) as site:
        link = await share(site, directory="shared", user_id="owner-of-links")
    async with visitor(users_server) as anyone:
        assert (await anyone.get(f"{link['url']}/files/{file}")).status_code == 200


# -- when a link ends


async def test_links_are_listed_changed_and_revoked(
    users_server: Process, owner: httpx.AsyncClient
) -> None:
    file = await put(owner, "a", "shared")
    link = await share(owner, file_id=file, password="secret", uses=3)
    listed = (await owner.get("/v1/grants", params={"action": "share", "limit": "1"})).json()
    (shown,) = listed["grants"]
    assert shown["id"] == link["id"]
    assert shown["minter"] == "owner-of-links"
    assert (shown["uses"], shown["used"], shown["password"]) == (3, 0, True)
    assert "secret" not in str(shown)
    assert "argon2" not in str(shown)
    address = f"/v1/grants/{link['id']}"
    changed = await owner.patch(address, json={"password": None, "uses": None, "expires_in": 60})
    assert changed.status_code == 200
    assert (changed.json()["uses"], changed.json()["password"]) == (None, False)
    assert changed.json()["expires_at"] < shown["expires_at"]
    async with client(users_server, user("somebody-else")) as other:
        for method in ("GET", "PATCH", "DELETE"):
            assert (await other.request(method, address, json={})).status_code == 404
    async with visitor(users_server) as anyone:
        assert (await anyone.get(link["url"])).status_code == 200
        assert (await owner.delete(address)).status_code == 204
        for path in ("", "/download", f"/files/{file}", "/zip"):
            gone = await anyone.get(link["url"] + path)
            assert gone.status_code == 404
            assert gone.headers["content-type"].startswith("text/html")
            assert "revoked" in gone.text


async def test_only_a_link_takes_a_password(users_server: Process) -> None:
    async with client(users_server, user("site", "grant")) as site:
        made = await site.post("/v1/grants", json={"action": "upload"})
        address = f"/v1/grants/{made.json()['id']}"
        for wrong in ({"password": "x"}, {"uses": None}, {"name": "x"}, {"expires_in": 0}):
            assert (await site.patch(address, json=wrong)).status_code == 400
        assert (await site.patch(address, json={"uses": 7})).json()["uses"] == 7


@pytest.fixture
def clock() -> Clock:
    """Far in the future: the database goes by its own clock in what it forgets."""
    return Clock(4_000_000_000.0)


@pytest.fixture
async def timed(database_url: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Running]:
    """A server by a clock that the test moves, with few guesses."""
    limits = replace(USUAL_LIMITS, links=LinkLimits(guesses=3, guess_seconds=600))
    async with inside(tmp_path, database_url, clock=clock, limits=limits) as running:
        yield running


async def test_an_expired_link_says_so(timed: Running, clock: Clock) -> None:
    async with timed.http() as http, visitor(timed) as anyone:
        file = await put(http, "a", "d")
        link = await share(http, file_id=file, expires_in=60)
        assert (await anyone.get(link["url"])).status_code == 200
        clock.now += 61
        for path in ("", "/download", f"/files/{file}"):
            gone = await anyone.get(link["url"] + path)
            assert gone.status_code == 410
            assert "This link has expired" in gone.text
        program = {"Accept": "*/*"}
        told = await anyone.get(f"{link['url']}/download", headers=program)
        assert told.json()["code"] == "gone"
        await http.patch(f"/v1/grants/{link['id']}", json={"expires_in": 60})
        assert (await anyone.get(link["url"])).status_code == 200


async def test_so_many_visitors_may_download(timed: Running) -> None:
    async with timed.http() as http:
        file = await put(http, "a", "d", b"x" * 100)
        link = await share(http, directory="d", uses=2)
        for _ in range(2):
            async with visitor(timed) as anyone:
                # A page and a picture count nothing; a film in ranges and a zip count once.
                await anyone.get(link["url"])
                for begin in (0, 10, 20):
                    part = {"Range": f"bytes={begin}-"}
                    got = await anyone.get(f"{link['url']}/files/{file}", headers=part)
                    assert got.status_code == 206
                assert (await anyone.head(f"{link['url']}/download")).status_code == 200
                assert (await anyone.get(f"{link['url']}/zip")).status_code == 200
        shown = (await http.get(f"/v1/grants/{link['id']}")).json()
        assert (shown["used"], shown["uses"]) == (2, 2)
        async with visitor(timed) as third:
            assert (await third.get(link["url"])).status_code == 200
            refused = await third.get(f"{link['url']}/files/{file}")
            assert refused.status_code == 410
            # Whoever has no cookie is known by address and program.
            plain = {"Cookie": "lading_visit_x=1"}
            assert (await third.get(f"{link['url']}/zip", headers=plain)).status_code == 410


# -- a password


async def test_the_password_opens_the_link_for_this_browser(timed: Running, clock: Clock) -> None:
    async with timed.http() as http, visitor(timed) as anyone, visitor(timed) as another:
        file = await put(http, "secret-name.txt", "d", b"hidden")
        link = await share(http, directory="d", password="open sesame é")
        asked = await anyone.get(link["url"])
        assert asked.status_code == 200
        assert "secret-name" not in asked.text
        assert "og:" not in asked.text
        for path in ("/download", f"/files/{file}", f"/files/{file}/3", "/zip"):
            assert (await anyone.get(link["url"] + path)).status_code == 401
        wrong = await anyone.post(link["url"], data={"password": "open"})
        assert wrong.status_code == 403
        assert 'role="alert"' in wrong.text
        right = await anyone.post(link["url"], data={"password": "open sesame é"})
        assert (right.status_code, right.headers["location"]) == (303, link["token"])
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "secret-name" in (await anyone.get(link["url"])).text
        assert (await anyone.get(f"{link['url']}/files/{file}")).content == b"hidden"
        assert "secret-name" not in (await another.get(link["url"])).text
        # The cookie of one link opens no other, and none that has another password now.
        other = await share(http, directory="d", password="open sesame é")
        ((_, value),) = anyone.cookies.items()
        stolen = {"Cookie": f"lading_visit_{other['id']}={value}"}
        assert (await another.get(f"{other['url']}/zip", headers=stolen)).status_code == 401
        await http.patch(f"/v1/grants/{link['id']}", json={"password": "new"})
        assert (await anyone.get(f"{link['url']}/zip")).status_code == 401
        await anyone.post(link["url"], data={"password": "new"})
        assert (await anyone.get(f"{link['url']}/zip")).status_code == 200
        clock.now += 86_401
        assert (await anyone.get(f"{link['url']}/zip")).status_code == 401


async def test_a_visit_cannot_be_forged_or_fixed(timed: Running) -> None:
    async with timed.http() as http, visitor(timed) as anyone:
        await put(http, "a", "d")
        link = await share(http, directory="d", password="p")
        name = f"lading_visit_{link['id']}"
        for value in ("a" * 22, f"{'a' * 22}.99999999999.{'b' * 43}", "x", ""):
            forged = {"Cookie": f"{name}={value}"}
            assert (await anyone.get(f"{link['url']}/zip", headers=forged)).status_code == 401
        fixed = "f" * 22
        answer = await anyone.post(
            link["url"], data={"password": "p"}, headers={"Cookie": f"{name}={fixed}"}
        )
        assert fixed not in answer.headers["set-cookie"]


async def test_programs_send_the_password_too(timed: Running) -> None:
    async with timed.http() as http, visitor(timed, Accept="*/*") as program:
        await put(http, "a", "d", b"bytes")
        link = await share(http, directory="d", password="p:w é")
        refused = await program.get(f"{link['url']}/download")
        assert refused.json()["code"] == "unauthorized"
        got = await program.get(f"{link['url']}/download", auth=("anyone", "p:w é"))
        assert got.status_code == 200
        for header in ("Basic", "Basic !!", "Basic w6k=", "Bearer x"):
            answer = await program.get(f"{link['url']}/download", headers={"Authorization": header})
            assert answer.status_code in (401, 429)


async def test_guessing_is_limited_on_all_servers_together(timed: Running, clock: Clock) -> None:
    async with timed.http() as http, visitor(timed) as anyone, visitor(timed) as known:
        await put(http, "a", "d")
        link = await share(http, directory="d", password="right")
        await known.post(link["url"], data={"password": "right"})
        for _ in range(5):  # those that were right do not count
            assert (await anyone.post(link["url"], data={"password": "right"})).status_code == 303
        anyone.cookies.clear()
        for guess in ("a", "b"):
            assert (await anyone.post(link["url"], data={"password": guess})).status_code == 403
        basic = await anyone.get(f"{link['url']}/zip", auth=("", "c"))
        assert basic.status_code == 401
        for given in ("d", "right"):
            limited = await anyone.post(link["url"], data={"password": given})
            assert limited.status_code == 429
            assert "Too many wrong passwords" in limited.text
        assert (await anyone.get(f"{link['url']}/zip", auth=("", "right"))).status_code == 429
        assert (await known.get(f"{link['url']}/zip")).status_code == 200, "whoever knew it stays"
        clock.now += 600
        assert (await anyone.post(link["url"], data={"password": "right"})).status_code == 303


async def test_a_form_of_a_link_is_bounded(timed: Running) -> None:
    async with timed.http() as http, visitor(timed) as anyone:
        await put(http, "a", "d")
        link = await share(http, directory="d", password="p")
        for body, status in (
            (b"", 403),
            (b"password=" + b"x" * 2000, 403),
            (b"password=%ff%00", 403),
            (b"x" * 20_000, 413),
            (b"&".join(b"a=b" for _ in range(20)), 400),
        ):
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await anyone.post(link["url"], content=body, headers=form)
            assert answer.status_code in (status, 429), body[:20]


# -- addresses that lead nowhere, and grants in a browser


async def test_wrong_addresses_answer_a_page_to_people_and_a_problem_to_programs(
    users_server: Process,
) -> None:
    async with visitor(users_server) as anyone:
        for address in ("/s/x", f"/s/lg_{'a' * 43}", "/nowhere", "/s", "/v1/files/" + "0" * 24):
            answer = await anyone.get(address)
            assert answer.status_code in (401, 404)
            assert answer.headers["content-type"].startswith("text/html")
            assert answer.headers["content-security-policy"] == POLICY
            assert "<h1>" in answer.text
            for headers in (
                {"Accept": "*/*"},
                {"Accept": "application/json"},
                {"Sec-Fetch-Dest": "iframe"},
            ):
                told = await anyone.get(address, headers=headers)
                assert told.status_code == answer.status_code
                assert told.json()["code"] in ("not-found", "unauthorized")


async def test_a_download_grant_in_a_browser_is_a_page(timed: Running, clock: Clock) -> None:
    async with timed.http() as http, visitor(timed) as anyone:
        file = await put(http, "a.txt", "d", b"text")
        made = await http.post("/v1/grants", json={"action": "download", "file_id": file})
        url = made.json()["url"]
        answer = await anyone.get(url)
        assert answer.headers["content-type"].startswith("text/html")
        assert "<h1>a.txt</h1>" in answer.text
        base = httpx.URL(f"{timed.url}/v1/g/")
        for address in Page(answer.text).addresses:
            assert (await anyone.get(base.join(address))).content == b"text"
        for headers in ({"Accept": "*/*"}, {"Sec-Fetch-Dest": "video"}, {"Range": "bytes=0-"}):
            same = await anyone.get(url, headers=headers)
            assert same.content == b"text", "yesterday's clients get the bytes"
            assert "Accept" in same.headers["vary"]
        clock.now += 3601
        gone = await anyone.get(url)
        assert gone.status_code == 410
        assert "This link has expired" in gone.text
        assert (await anyone.get(url, headers={"Accept": "*/*"})).status_code == 403


async def test_an_upload_grant_in_a_browser_is_a_form(timed: Running) -> None:
    async with timed.http() as http, visitor(timed) as anyone:
        fields = {"action": "upload", "max_size": 5_000_000, "mime_types": ["text/*"]}
        made = (await http.post("/v1/grants", json=fields)).json()
        page = (await anyone.get(made["url"])).text
        assert "At most 5.0 MB. Of this kind: text/*." in page
        assert f'action="{made["token"]}"' in page
        sent = await anyone.post(made["url"], files={"file": ("a.txt", b"text", "text/plain")})
        assert sent.status_code == 201
        assert "It has arrived" in sent.text
        again = await anyone.post(made["url"], files={"file": ("a.txt", b"text", "text/plain")})
        assert again.status_code == 403
        assert again.headers["content-type"].startswith("text/html")
