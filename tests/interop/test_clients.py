"""Clients that others wrote, unmodified, while connections are cut and the server is killed.

`LADING_CLIENTS=full` takes files of 200 MB with 20 cuts and 5 kills, and every client in every way
that it has; without it files are small and the ways fewer. What was sent twice is printed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
import pytest_asyncio

from bench.peers import free_port
from tests.interop.stage import Stage, Trouble, marks, stage
from tests.support.missing import missing

HERE = Path(__file__).parent / "clients"
PAGE = free_port()
"""Where a browser's page is."""
FULL = os.environ.get("LADING_CLIENTS") == "full"
TROUBLE = Trouble(200_000_000, 20, 5) if FULL else Trouble(6_000_000, 3, 1)
SECONDS = 600 if FULL else 60
MB = 1_000_000


class Way(NamedTuple):
    """A client's program, and how it is told to send."""

    name: str
    program: str
    options: Mapping[str, object]
    always: bool = True
    """Whether it is one of those that are tried with small files, too."""


PART = TROUBLE.size // 40 + 1
"""The length of a PATCH of clients that send in parts. The last one is shorter: where a stream ends
with a whole part, tus-js-client 4.3 in Node waits for more of it for ever."""

WAYS = [
    Way("tus-js-client, Node", "tus_js.mjs", {}, always=False),
    Way("tus-js-client, Node, parts", "tus_js.mjs", {"chunkSize": PART}, always=False),
    Way("tus-js-client, Node, parallel", "tus_js.mjs", {"parallelUploads": 4}),
    Way(
        "tus-js-client, Node, deferred length",
        "tus_js.mjs",
        {"stream": True, "uploadLengthDeferred": True, "chunkSize": PART},
    ),
    Way("tus-js-client, Chromium", "browser.mjs", {}, always=False),
    Way(
        "tus-js-client, Chromium, parallel",
        "browser.mjs",
        {"parallelUploads": 4, "chunkSize": PART},
        always=False,
    ),
    Way("Uppy, Chromium", "browser.mjs", {"uppy": True}),
    Way("tuspy, checksums", "tuspy_client.py", {"chunk_size": PART, "upload_checksum": True}),
    Way("aiotus", "aiotus_client.py", {"chunksize": PART}),
    *(
        Way(
            f"URLSession, interop {version}",
            "url_session.py",
            {"version": version},
            always=version in ("3", "8"),
        )
        for version in ("3", "5", "6", "8")
    ),
]


def command(program: str) -> list[str]:
    """How a program is run. What is not there is skipped, and fails in CI."""
    if program.endswith(".py"):
        return [sys.executable, "-P", str(HERE / program)]
    node = shutil.which("node")
    if node is None or not (HERE.parents[2] / "widget" / "node_modules" / "tus-js-client").is_dir():
        missing("widget/node_modules has no tus-js-client: run scripts/install test")
    return [node, str(HERE / program)]


def chromium() -> str:
    """The browser's program."""
    found = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    if found is None:
        missing("Chromium is not installed")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One for all clients: each leaves it with a server that runs."""
    url = mongod.replace("/?", "/interop?")
    async with stage(
        tmp_path_factory.mktemp("interop"), url, allowed_origins=f"http://127.0.0.1:{PAGE}"
    ) as found:
        yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize(
    "way", [way for way in WAYS if FULL or way.always], ids=lambda way: way.name
)
async def test_a_file_arrives_whatever_happens(
    scene: Stage, tmp_path: Path, way: Way, capsys: pytest.CaptureFixture[str]
) -> None:
    random = Random(way.name)
    data = random.randbytes(TROUBLE.size)
    path = tmp_path / "file.bin"
    await asyncio.to_thread(path.write_bytes, data)
    scene.expect(marks(random, TROUBLE))
    job: dict[str, object] = {"url": scene.url, "token": scene.server.token, "path": str(path)}
    job["options"] = way.options
    if way.program == "browser.mjs":
        job |= {"chromium": chromium(), "page": PAGE}
    began = time.monotonic()
    address = await run(command(way.program), job)
    took = time.monotonic() - began
    await scene.settle()
    assert (scene.cuts, scene.kills) == (TROUBLE.cuts, TROUBLE.kills)
    upload_id = address.rsplit("/", 1)[1]
    assert await scene.sha256(upload_id) == hashlib.sha256(data).hexdigest()
    twice = scene.carried - TROUBLE.size
    with capsys.disabled():
        print(
            f"\n{way.name}: {took:.1f} s, {scene.cuts} cuts, {scene.kills} kills, "
            f"{twice / MB:.2f} MB sent twice ({twice / TROUBLE.size:.1%}), sha256 equal"
        )


async def run(program: list[str], job: Mapping[str, object]) -> str:
    """Run a client; returns the address of the upload."""
    done = await asyncio.to_thread(
        subprocess.run,
        program,
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    address: str = json.loads(done.stdout)["url"]
    return address
