"""Writes a data directory as a version of Lading leaves it, for the test that opens it later.

    python -m tests.upgrades.write NAME PYTHON

`PYTHON` is the interpreter in which that version is installed; the archive is `NAME.tar.xz`. Run it
with each released version, before the next one changes anything. `contents` stores by HTTP alone
and by routes that the first version has, so any version can be asked to.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tests.support.servers import process

HERE = Path(__file__).parent
TOLD = "expected.json"
CELL = 1 << 20
YEARS = "200000h"
"""So that the unfinished upload has not expired when the directory is opened."""

FILM = b"".join(b"line %d of the film\n" % number for number in range(120_000))
PICTURE = (HERE.parent / "imaging" / "samples" / "grey.jpg").read_bytes()


async def contents(http: httpx.AsyncClient) -> dict[str, Any]:
    """Store one of each, and return what a later version must find."""
    files = []
    for name, data, query in (
        ("empty", b"", {}),
        ("letter.txt", b"Dear all,\n", {"directory": "letters/2026", "tag": "kept"}),
        ("grey.jpg", PICTURE, {"tag": "kept", "public": "true"}),
    ):
        made = await http.post("/v1/files", params={"name": name, **query}, content=data)
        files.append(_told(made.raise_for_status().json(), data))
    film = await _begin(http, "film.txt", FILM)
    await _pieces(http, film, FILM, range(0, len(FILM), CELL))
    done = await http.post(f"/v1/uploads/{film}/finish", json={})
    files.append(_told(done.raise_for_status().json(), FILM))
    half = await _begin(http, "half.txt", FILM)
    await _pieces(http, half, FILM, (0, 2 * CELL))  # the piece between them has not arrived
    gone = await http.post("/v1/files", params={"name": "gone"}, content=b"gone")
    await http.delete(f"/v1/files/{gone.json()['_id']}")
    (await http.put("/v1/users/ann/quota", json={"quota": 5_000_000})).raise_for_status()
    (await http.post("/v1/tags", json={"name": "unused"})).raise_for_status()
    return {"files": files, "unfinished": half, "gone": gone.json()["_id"]}


def _told(manifest: dict[str, Any], data: bytes) -> dict[str, Any]:
    kept = {key: manifest[key] for key in ("_id", "name", "directory", "tags", "public", "size")}
    return {**kept, "sha256": hashlib.sha256(data).hexdigest()}


async def _begin(http: httpx.AsyncClient, name: str, data: bytes) -> str:
    wanted = {"name": name, "size": len(data), "chunk_size": CELL}
    made = await http.post("/v1/uploads", json=wanted)
    found: str = made.raise_for_status().json()["_id"]
    return found


async def _pieces(http: httpx.AsyncClient, upload: str, data: bytes, starts: Any) -> None:
    for start in starts:
        piece = data[start : start + CELL]
        sent = await http.put(f"/v1/uploads/{upload}/chunks/{start}", content=piece)
        sent.raise_for_status()


async def write(name: str, python: str) -> Path:
    """The archive of a data directory that the version of `python` wrote."""
    with tempfile.TemporaryDirectory(prefix="lading-") as folder:
        data = Path(folder, "data")
        with process(data, None, python=python, upload_ttl=YEARS) as server:
            async with server.http() as http:
                told = await contents(http)
        (data / TOLD).write_text(json.dumps(told, indent=1))
        archive = HERE / f"{name}.tar.xz"
        with tarfile.open(archive, "w:xz", preset=9) as tar:
            for each in ("db", "admin-token", "server-secret", TOLD):
                if (data / each).exists():
                    tar.add(data / each, each)
        return archive


if __name__ == "__main__":
    print(asyncio.run(write(*sys.argv[1:])))
