"""Whoever has begun to watch may end: download grants after their end."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.servers import Process, process
from tests.support.users import refusal

DATA = b"0123456789"


async def expiring(http: httpx.AsyncClient, **fields: str) -> str:
    """The address of a grant that expired; bytes were fetched with these fields before."""
    made = await http.post("/v1/files", params={"name": "a.bin"}, content=DATA)
    body = {"action": "download", "file_id": made.json()["_id"], "expires_in": 1}
    url = str((await http.post("/v1/grants", json=body)).json()["url"])
    if fields:
        assert (await http.get(url, headers=fields)).is_success
    statuses: list[int] = []
    while 403 not in statuses:
        statuses.append((await http.head(url, headers={"User-Agent": "looks"})).status_code)
    return url


async def test_a_watcher_gets_ranges_and_nothing_else(http: httpx.AsyncClient) -> None:
    url = await expiring(http, **{"User-Agent": "player"})
    player = {"User-Agent": "player", "Range": "bytes=4-"}
    for path in (url, f"{url}/0"):
        response = await http.get(path, headers=player)
        assert (response.status_code, response.content) == (206, DATA[4:])
    for fields in (
        {"User-Agent": "player"},
        {"User-Agent": "other", "Range": "bytes=4-"},
        {"User-Agent": "looks", "Range": "bytes=4-"},
    ):
        assert refusal(await http.get(url, headers=fields)) == (403, "forbidden")
    assert (await http.head(url, headers=player)).status_code == 403
    # The token is no credential elsewhere.
    shown = {**player, "Authorization": f"Bearer {url.rpartition('/')[2]}"}
    file_id = (await http.get("/v1/files?limit=1")).json()["files"][0]["_id"]
    assert refusal(await http.get(f"/v1/files/{file_id}", headers=shown)) == (403, "forbidden")


async def test_a_revoked_grant_is_over(http: httpx.AsyncClient) -> None:
    url = await expiring(http, **{"User-Agent": "player"})
    grants = (await http.get("/v1/grants?limit=1")).json()["grants"]
    assert (await http.delete(f"/v1/grants/{grants[0]['id']}")).status_code == 204
    player = {"User-Agent": "player", "Range": "bytes=4-"}
    assert refusal(await http.get(url, headers=player)) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("wanted", "media_type"),
    [("video", "video/mp4"), ("audio", "audio/mpeg"), ("image", "image/png")],
)
async def test_a_player_gets_an_error_that_it_can_show(
    http: httpx.AsyncClient, wanted: str, media_type: str
) -> None:
    url = await expiring(http)
    player = {"Sec-Fetch-Dest": wanted, "Range": "bytes=0-"}
    for address, status in ((url, 403), (f"/v1/g/lg_{'a' * 43}", 401), ("/v1/files/0", 400)):
        response = await http.get(address, headers=player)
        assert (response.status_code, response.content) == (status, b"")
        assert response.headers["content-type"] == media_type
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"
        assert response.headers["cache-control"] == "no-store"


@pytest.fixture
def strict(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server without a grace."""
    url = mongod.replace("/?", "/strict?")
    with process(tmp_path_factory.mktemp("strict"), url, watch_grace=0) as running:
        yield running


async def test_without_a_grace_the_end_is_the_end(strict: Process) -> None:
    async with strict.http() as http:
        url = await expiring(http, **{"User-Agent": "player"})
        player = {"User-Agent": "player", "Range": "bytes=4-"}
        assert refusal(await http.get(url, headers=player)) == (403, "forbidden")
