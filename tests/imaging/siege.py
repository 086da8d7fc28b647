"""A thousand hostile files against a running server, while others use it.

    python -m tests.imaging.siege [--count 1000] [--seed 0]

The files are those of `hostile.py`: each that lies, samples of all loaders that end too early, and
mutations of them. Meanwhile others upload files and read them back, and a photo's image is asked
for again and again. It fails when an answer is none that the page about images names, when a file
of the others is not what it was, when a photo has no image, when the server's memory grows, or when
more than one child is left.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.imaging import hostile
from tests.imaging.contact_sheet import media_type, picture
from tests.support.imaging import SAMPLES
from tests.support.servers import Process, process

AT_ONCE = 4
"""How many hostile files are sent at the same time."""

NAMED_EVERY = 8
"""One file of so many is one that lies."""

WARM = 0.1
"""The share of the files after which memory is measured."""

MOST_GROWTH = 48 * 2**20
"""How much the server may grow after that, its peak included, in bytes."""

ANSWERS = {"image", "not-found", "unprocessable-image"}


@dataclass
class Siege:
    """What has happened so far."""

    answers: Counter[str] = field(default_factory=Counter)
    uploads: int = 0
    photos: int = 0
    slowest: float = 0.0
    """The longest upload of the others with its download, in seconds."""


def files(count: int, seed: int, named: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Hostile files, each with a name whose ending says what it claims to be."""
    every = hostile.REFUSED | hostile.TAKEN
    lies = itertools.cycle(named or every)
    built: dict[str, bytes] = {}
    loaders = itertools.cycle(hostile.LOADERS)
    for number in range(count):
        if number % NAMED_EVERY == 0:
            lie = next(lies)
            if lie not in built:
                built[lie] = every[lie]()
            yield _named(lie, number), built[lie]
            continue
        loader = next(loaders)
        data = hostile.sample(loader)
        if number % 2:
            data = hostile.mutated(data, seed + number)
        else:
            data = hostile.truncated(data, 1 + number % 99)
        yield f"{number}{Path(hostile.LOADERS[loader]).suffix}", data


def _named(lie: str, number: int) -> str:
    for word, ending in (("film", "mp4"), ("MP4", "mp4"), ("sound", "wav"), ("webp", "webp"),
                         ("JPEG", "jpg"), ("GIF", "gif"), ("TIFF", "tiff"), ("HEIC", "heic"),
                         ("AVIF", "avif")):  # fmt: skip
        if word in lie:
            return f"{number}.{ending}"
    return f"{number}.png"


async def attack(http: httpx.AsyncClient, hostiles: Iterator[tuple[str, bytes]], so: Siege) -> None:
    """Send one file after the other, and ask for its image."""
    for name, data in hostiles:
        answer = await http.post(
            "/v1/files", params={"name": name}, content=data,
            headers={"Content-Type": media_type(name)},
        )  # fmt: skip
        assert answer.status_code == 201, f"{name}: {answer.text}"
        answer = await picture(http, answer.json()["_id"], 4)
        so.answers["image" if answer.status_code == 200 else answer.json()["code"]] += 1


async def upload(http: httpx.AsyncClient, so: Siege) -> None:
    """Upload files and read them back."""
    while True:
        data, begun = os.urandom(256 * 1024), time.monotonic()
        kind = {"Content-Type": "application/octet-stream"}
        answer = await http.post("/v1/files", content=data, headers=kind)
        assert answer.status_code == 201, answer.text
        file_id = answer.json()["_id"]
        assert (await http.get(f"/v1/files/{file_id}")).content == data
        assert (await http.delete(f"/v1/files/{file_id}")).status_code == 204
        so.uploads += 1
        so.slowest = max(so.slowest, time.monotonic() - begun)


async def photograph(http: httpx.AsyncClient, so: Siege) -> None:
    """Upload photos, whose images must come."""
    photo = (SAMPLES / "orientation-6.jpg").read_bytes()
    while True:
        kind = {"Content-Type": "image/jpeg"}
        answer = await http.post("/v1/files", content=photo, headers=kind)
        answer = await picture(http, answer.json()["_id"], 4)
        assert answer.headers["content-type"] == "image/webp", answer.text
        so.photos += 1
        await asyncio.sleep(0.2)


def imaging_children(pid: int) -> list[int]:
    """The children of a server that decode."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(ValueError, OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"lading.imaging.child" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


async def besiege(server: Process, count: int, seed: int = 0, named: Sequence[str] = ()) -> Siege:
    """Send `count` hostile files; the lies among them are `named`, or all in turn."""
    so, hostiles = Siege(), files(count, seed, named)
    async with server.http(timeout=120) as http:
        others = [asyncio.create_task(work(http, so)) for work in (upload, upload, photograph)]
        await _attack(http, itertools.islice(hostiles, round(count * WARM)), so)
        server.forget_peak()
        before = server.resident
        await _attack(http, hostiles, so)
        for task in others:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    grown = max(server.resident, server.peak) - before
    assert grown <= MOST_GROWTH, f"the server has grown by {grown >> 20} MiB"
    assert set(so.answers) <= ANSWERS, so.answers
    assert so.answers.total() == count
    assert so.uploads
    assert so.photos
    assert len(imaging_children(server.child.pid)) <= 1, "children are left behind"
    assert "Traceback" not in server.log.read_text()
    print(
        f"{count} hostile files: {dict(so.answers)}; grown by {grown / 2**20:.1f} MiB; others: "
        f"{so.uploads} uploads, the slowest took {so.slowest:.2f} s, {so.photos} photos"
    )
    return so


async def _attack(
    http: httpx.AsyncClient, hostiles: Iterator[tuple[str, bytes]], so: Siege
) -> None:
    await asyncio.gather(*(attack(http, hostiles, so) for _ in range(AT_ONCE)))


def main(arguments: Sequence[str]) -> None:
    """Start a server and besiege it."""
    parser = argparse.ArgumentParser(prog="python -m tests.imaging.siege")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="ls-") as data,
        process(Path(data), None, free_space_floor=0, small_file_limit="100MB") as server,
    ):
        asyncio.run(besiege(server, options.count, options.seed))


if __name__ == "__main__":
    main(sys.argv[1:])
