"""A server whose files live in a bucket, and one whose bucket cannot be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lading.server.assembly import look_at_home
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from lading.storage.open import assemble_storage
from tests.support.clock import Clock
from tests.support.seaweedfs import OWNER, SeaweedFS
from tests.support.servers import inside

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OWNER.environment.items():
        monkeypatch.setenv(name, value)


async def test_a_file_moves_into_the_bucket_and_is_served_from_there(
    database_url: str, database: Database, seaweed: SeaweedFS, s3_home: str, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 9000
    settings: dict[str, Any] = seaweed.settings()
    async with (
        inside(tmp_path, database_url, blobs=s3_home, **settings) as server,
        server.http() as http,
    ):
        posted = await http.post("/v1/files", files={"file": ("a.bin", data)})
        address = posted.headers["location"]
        moved = {"blobs": s3_home, "todo": []}
        found = None
        while found is None:
            found = await database.manifests.find_one(moved)
            assert (await http.get(address)).content == data
        assert await database.chunks.count_documents({"data": {"$exists": True}}) == 0
        cut = await http.get(address, headers={"Range": "bytes=1000-2000000"})
        assert cut.content == data[1000:2000001]


async def test_without_the_bucket_uploads_go_on_and_the_setting_is_named(
    database_url: str, s3_home: str, tmp_path: Path
) -> None:
    async with (
        inside(tmp_path, database_url, blobs=s3_home, s3_endpoint=NOWHERE) as server,
        server.http() as http,
    ):
        posted = await http.post("/v1/files", files={"file": ("a.txt", b"hallo")})
        assert posted.status_code == 201
        assert (await http.get(posted.headers["location"])).content == b"hallo"


async def test_the_log_says_at_the_start_why_the_bucket_cannot_be_used(
    database: Database, seaweed: SeaweedFS
) -> None:
    storage = assemble_storage(
        database,
        Clock(),
        FreeSpace(database),
        home="s3://no-such-bucket",
        s3=seaweed.options(),
    )
    with capture_logs() as logs:
        await look_at_home(storage.blobs)
    (line,) = logs
    assert (line["event"], line["home"]) == ("home-unusable", "s3://no-such-bucket")
    assert "LADING_BLOBS" in line["error"]
    await storage.blobs.close()
