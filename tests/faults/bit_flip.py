"""Bit flip at rest: a piece is changed in the database itself, cut short there, or deleted.

Whoever reads the file then: wrong bytes are never served as right ones, and undamaged ranges are
still served. At the end the piece is restored, and the file is complete again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx

from lading import Client
from lading.protocol.errors import LadingError
from lading.storage.collections.chunks import object_id
from tests.faults.fault import Base, Fault, Trial
from tests.faults.processes import TOKEN, clean_environment
from tests.faults.setups import CHUNK, Setup, one_server
from tests.support.wire import FINISH, PROBLEM, VERIFYING, Wire, cells, channel

CELLS = 8
REF = 2
AUDIT = "from lading.cli import main; main()"


@dataclass
class Context:
    """A setup, its database's address, and a folder to download to."""

    setup: Setup
    url: str
    folder: Path


@dataclass(frozen=True)
class Damage:
    """What was done to the piece of `upload_id` that holds `[start, end)`; `document` is as it
    was before."""

    kind: str
    upload_id: str
    start: int
    end: int
    document: dict[str, Any]


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Context]:
    async with one_server(base, folder) as made:
        yield Context(made, base.database(folder.name), folder)


async def trial(context: Context, trial: Trial) -> None:
    """Every fifth upload is damaged before FINISH, all others when they are files."""
    random, setup = trial.random, context.setup
    data = random.randbytes(random.randint(1, CELLS * CHUNK))
    early = trial.number % 5 == 4
    async with channel(setup.server) as wire:
        upload_id = await store(wire, data, f"flip-{trial.number}")
        if not early:
            await wire.finish(REF)
        damage = await harm(setup, random, data, upload_id)
        if early and damage.kind != "deleted":
            await refused_finish(wire, data, sha256_of(data))
        await served_right(setup, random, data, damage, early=early)
        if not early:
            await downloaded(context, data, damage)
        await audited(context, damage, early=early, by_command=trial.number % 10 == 0)
        await mend(setup, damage)
        if early:
            await wire.finish(REF, sha256=sha256_of(data))
    await setup.inspector.check_file(setup.server, upload_id, data)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def store(wire: Wire, data: bytes, name: str) -> str:
    """An upload with every piece stored; its id."""
    upload = await wire.create(REF, len(data), name=name)
    for start, piece in cells(data, CHUNK):
        await wire.chunk(REF, start, piece)
        await wire.stored(1)
    return str(upload["id"])


async def harm(setup: Setup, random: Random, data: bytes, upload_id: str) -> Damage:
    """Change one random piece directly in the database."""
    start, piece = random.choice(cells(data, CHUNK))
    key = {"_id": object_id(upload_id, start)}
    chunks = setup.inspector.database.chunks
    document = await chunks.find_one(key)
    kind = random.choice(("flipped", "flipped", "flipped", "truncated", "deleted"))
    if kind == "deleted":
        await chunks.delete_one(key)
    else:
        stored = bytearray(document["data"])
        if kind == "flipped":
            place, bit = divmod(random.randrange(8 * len(stored)), 8)
            stored[place] ^= 1 << bit
        else:
            del stored[random.randrange(len(stored)) :]
        await chunks.update_one(key, {"$set": {"data": bytes(stored)}})
    return Damage(kind, upload_id, start, start + len(piece), document)


async def mend(setup: Setup, damage: Damage) -> None:
    """Restore the piece as from a backup."""
    key = {"_id": damage.document["_id"]}
    await setup.inspector.database.chunks.replace_one(key, damage.document, upsert=True)


# -- reading it


async def refused_finish(wire: Wire, data: bytes, sha256: str) -> None:
    """A damaged upload is not published as the declared file."""
    await wire.send(FINISH, REF, {"sha256": sha256})
    while (message := await wire.receive())[0] == VERIFYING:
        pass
    number, _, problem = message
    assert number == PROBLEM, "a damaged upload was published"
    assert problem["code"] in ("checksum-mismatch", "internal"), problem


async def served_right(
    setup: Setup, random: Random, data: bytes, damage: Damage, *, early: bool
) -> None:
    """Every answer fails loudly where the damage is, and is right elsewhere."""
    inside = random.randrange(damage.start, damage.end)
    over = (random.randint(0, inside), random.randint(inside + 1, len(data)))
    touching = [None, over, (damage.start, damage.end)]
    if damage.kind == "flipped":
        touching.append((inside, inside + 1))
    async with setup.server.http() as http:
        for wanted in touching:
            await loud(
                http, damage.upload_id, data, wanted, hole=early and damage.kind == "deleted"
            )
        for low, high in ((0, damage.start), (damage.end, len(data))):
            if low == high:
                continue
            begin = random.randrange(low, high)
            end = random.randint(begin + 1, high)
            for first, last in ((low, high), (begin, end)):
                answer = await http.get(
                    f"/v1/files/{damage.upload_id}", headers={"Range": f"bytes={first}-{last - 1}"}
                )
                assert answer.status_code == 206, answer.text[:300]
                assert answer.content == data[first:last], "other bytes are served"


async def loud(
    http: httpx.AsyncClient,
    upload_id: str,
    data: bytes,
    wanted: tuple[int, int] | None,
    *,
    hole: bool,
) -> None:
    """The answer fails, or breaks off after correct bytes; it never ends as if complete.

    With a `hole`, a deleted piece of an unfinished upload, a range is answered up to it.
    """
    start, end = wanted or (0, len(data))
    headers = {} if wanted is None else {"Range": f"bytes={start}-{end - 1}"}
    got = b""
    try:
        async with http.stream("GET", f"/v1/files/{upload_id}", headers=headers) as answer:
            if answer.status_code in (416, 500, 503):
                return
            assert answer.status_code in (200, 206), answer.status_code
            async for block in answer.aiter_raw():
                got += block
            if hole and answer.status_code == 206 and len(got) < end - start:
                told = f"bytes {start}-{start + len(got) - 1}/{len(data)}"
                assert answer.headers["content-range"] == told
                assert got == data[start : start + len(got)], "wrong bytes before the hole"
                return
    except httpx.TransportError:
        assert data[start:end].startswith(got), "wrong bytes before the answer broke off"
        assert len(got) < end - start
        return
    raise AssertionError(f"{end - start} bytes over a damaged piece came as a whole answer")


async def downloaded(context: Context, data: bytes, damage: Damage) -> None:
    """`lading.Client` fails, too, and leaves no file that looks complete."""
    target = context.folder / f"{damage.upload_id}.bin"
    async with Client(context.setup.server.url, TOKEN, patience=0, connect_patience=0) as client:
        try:
            await client.download(damage.upload_id, target)
        except LadingError:
            pass
        else:
            raise AssertionError("a damaged file was downloaded")
    assert not target.exists()
    for left in context.folder.glob(f"*{damage.upload_id}*"):
        left.unlink()


async def audited(context: Context, damage: Damage, *, early: bool, by_command: bool) -> None:
    """The audit names the piece, and nothing else."""
    if by_command:
        found = await command(context.url)
    else:
        findings = await context.setup.inspector.findings()
        found = [(each.kind, each.id, each.detail) for each in findings]
    if damage.kind == "deleted":
        if early:
            assert found == []  # it is not complete, and nobody said that it was
            return
        (kind, upload_id, detail) = found[0]
        assert (len(found), kind) == (1, "incomplete"), found
    else:
        ((kind, upload_id, detail),) = found
        assert kind == "damaged"
    assert upload_id == damage.upload_id
    assert str(damage.start) in detail, f"{detail!r} does not name the piece at {damage.start}"


async def command(url: str, **settings: object) -> list[tuple[str, str, str]]:
    """What `lading janitor verify` finds."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AUDIT, "janitor", "verify", "--json"),
        env=clean_environment(database_url=url, **settings),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await child.communicate()
    lines = [json.loads(line) for line in output.splitlines()]
    found = [(e["kind"], e["id"], e["detail"]) for e in lines if e["event"] == "finding"]
    assert child.returncode == (1 if found else 0)
    return found


async def settle(context: Context) -> None:
    """All pieces are back as they were: nothing is wrong any more."""
    await context.setup.inspector.check_nothing_left(context.setup.server)
    await context.setup.inspector.clear()


FAULT = Fault(
    name="bit-flip",
    title="bit flip at rest",
    how="one bit of a random piece is flipped in the database, in two of five trials its data is "
    "cut short or the piece deleted; every fifth upload before FINISH",
    holds="every read over it fails loudly or breaks off, ranges elsewhere are served, a damaged "
    "upload is not published, `lading janitor verify` names the piece",
    trials=200,
    quick=40,
    few=5,
    setup=setup,
    trial=trial,
    settle=settle,
)
