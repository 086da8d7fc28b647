"""Direct uploads: the server is killed at every step of announcing, handing out parts, publishing.

The client repeats at another server what was not answered. Some clients never come back, and some
send wrong bytes: then nothing is left, neither in the database nor in the bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

import httpx

from lading.storage.blobs.s3 import S3Blobs
from tests.faults.every_step import Context, EveryStep, at_step, steps_in, trial_of
from tests.faults.fault import Base, Fault
from tests.faults.inspector import eventually
from tests.faults.lanes import Lane, ended, lanes
from tests.support.direct import PART, put
from tests.support.servers import Process

MIB = 2**20

TRIALS = 200

AT_ONCE = 3

LIMITS = f"""
from lading.server.limits import USUAL_LIMITS
object.__setattr__(USUAL_LIMITS.uploads, "largest_put", {MIB})
object.__setattr__(USUAL_LIMITS.uploads, "direct_part", {PART})
"""
"""A file of more than a mebibyte is sent in parts."""


class Way(StrEnum):
    """How the bytes are sent, and what becomes of them."""

    WHOLE = "by one PUT"
    PARTS = "in parts"
    WHOLE_LEFT = "by one PUT, and left"
    PARTS_LEFT = "in parts, and left"
    WRONG = "in parts, with a wrong byte"


LEFT = (Way.WHOLE_LEFT, Way.PARTS_LEFT)
WHOLE = (Way.WHOLE, Way.WHOLE_LEFT)


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Context[Way]]:
    # A store of its own: in the shared one, after other rows, it did not settle in time.
    own = replace(base, seaweed=None)
    async with lanes(own, folder, AT_ONCE, home="s3", chunk=MIB, before=LIMITS) as made:
        yield Context(made, EveryStep(tuple(Way), TRIALS))


@dataclass
class Site:
    """What a client talks to: the victim, and when that has died, the server that lives."""

    victim: Process
    lane: Lane

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Repeat a request until it is answered."""
        while True:
            server = self.lane.setup.server if ended(self.victim) else self.victim
            try:
                async with server.http() as http:
                    return await http.request(method, path, **options)
            except httpx.TransportError:
                assert server is self.victim
                await eventually(self._is_over)

    async def _is_over(self) -> bool:
        return ended(self.victim)


async def strike(lane: Lane, way: Way, random: Random, last: int) -> int:
    """Let a server die at step `last` of a direct upload, check what follows; returns its steps."""
    size = random.randint(1, MIB) if way in WHOLE else PART + random.randint(1, PART)
    data, log = random.randbytes(size), lane.log()
    with at_step(way, log):
        async with lane.victim(log, last, random.uniform(0, 0.01)) as victim:
            media = await _send(Site(victim, lane), way, data)
        await _clean(lane)
        if way in (Way.WHOLE, Way.PARTS):
            await _check_file(lane, media, data)
        assert await in_bucket(lane) == []
        await lane.check_nothing_left()
        await lane.setup.inspector.clear()
    return len(steps_in(log))


async def _send(site: Site, way: Way, data: bytes) -> str:
    """Announce, send and publish; returns the id."""
    sha256 = hashlib.sha256(data).hexdigest()
    about = {"name": "film.mp4", "size": len(data), "sha256": sha256}
    announced = await site.ask("POST", "/v1/media", json=about)
    assert announced.status_code == 201, announced.text
    told: dict[str, Any] = announced.json()
    media = str(told["media"]["_id"])
    if way is Way.WRONG:
        data = data[:-1] + bytes([data[-1] ^ 1])
    if way in WHOLE:
        assert (await put(told["upload"], data)).status_code == 200
    else:
        await _send_parts(site, told["upload"]["parts"], data)
    if way in LEFT:
        return media
    answers = [await site.ask("POST", f"/v1/media/{media}/finalize") for _ in range(2)]
    codes = [answer.status_code for answer in answers]
    if way is Way.WRONG:
        # Whoever is told after the refusal hears that there is no such upload any more.
        assert codes in ([422, 404], [404, 404]), answers[0].text
    else:
        assert codes == [200, 200], answers[0].text
        assert answers[0].json() == answers[1].json()
    return media


async def _send_parts(site: Site, parts: dict[str, Any], data: bytes) -> None:
    number: int | None = 1
    while number is not None:
        asked = {"params": {"from": number, "limit": 1}, "headers": parts["headers"]}
        answer = await site.ask("GET", parts["url"], **asked)
        assert answer.status_code == 200, answer.text
        for each in answer.json()["parts"]:
            sent = await put(each, data[each["start"] : each["start"] + each["size"]])
            assert sent.status_code == 200, sent.text
        number = answer.json()["next"]


async def _clean(lane: Lane) -> None:
    """All that is under way expires, claims end, and the janitor sweeps twice."""
    manifests, sweeper = lane.storage.database.manifests, lane.setup.inspector.sweeper()
    claimed = {"todo.0": {"$exists": True}}
    await manifests.update_many(claimed, {"$set": {"todo_at": 0.0}})
    left = {"state": "uploading"}
    await manifests.update_many(left, [{"$set": {"expires_at": "$created_at"}}])
    for _ in range(2):
        await sweeper.sweep()

    async def settled() -> bool:
        return await manifests.find_one(claimed) is None

    await eventually(settled)


async def _check_file(lane: Lane, media: str, data: bytes) -> None:
    """The file lives in the bucket, and when the janitor has looked, nothing else does."""
    await lane.check_nothing_left()
    assert await in_bucket(lane) == [media]
    await lane.check_lives_at(media, lane.homes["s3"])
    await lane.setup.inspector.check_served(lane.setup.server, media, data)
    manifest = await lane.manifest(media)
    assert manifest.sha256 == hashlib.sha256(data).hexdigest()
    account = await lane.storage.quotas.account(manifest.user_id)
    assert (account.used, account.reserved) == (len(data), 0), account
    await lane.delete(media)


async def in_bucket(lane: Lane) -> list[str]:
    """The ids of all objects of a lane, and of all uploads in parts."""
    bucket = lane.storage.blobs.bare(lane.homes["s3"])
    assert isinstance(bucket, S3Blobs)
    return [
        *[each async for each in bucket.uploads()],
        *[each.upload_id async for each in bucket.unfinished()],
    ]


FAULT = Fault(
    name="direct-killed",
    title="server killed between announce, PUT and finalize of a direct upload",
    how="SIGKILL before or during each write of the database and request that changes the bucket; "
    "of five uploads one is by one PUT, one in parts, two are left by their client, one has a "
    "wrong byte",
    holds="another server answers the repeated requests and publishes, wrong bytes are refused; "
    "after two sweeps the bucket has no object and no parts beside the files, the account is exact",
    trials=TRIALS,
    quick=15,
    few=2,
    setup=setup,
    trial=trial_of(strike),
    at_once=AT_ONCE,
    seconds=180.0,
)
