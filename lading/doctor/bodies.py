"""Bodies of requests on their way to the server: their size, their pace, and the address they get.

The upload is one by tus, since its body is one request of any size, and its address is absolute.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

from lading.client.api import error_of
from lading.doctor.connection import opens_for
from lading.doctor.exchange import Answer, Exchange
from lading.doctor.findings import Finding, failed, skipped, warning, well
from lading.doctor.site import Site, check
from lading.protocol.errors import LadingError

TUS = {"Tus-Resumable": "1.0.0", "Accept": "application/json"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
NAME = "lading-doctor.bin"
BLOCK = 2**20
TOO_LARGE = 413
POLL_SECONDS = 0.05

Note = Callable[[Finding], None]


async def try_bodies(site: Site, note: Note) -> None:
    """Upload in one request, and delete what was uploaded."""
    async with _created(site, note) as upload_id:
        announced = await _announced(site, upload_id)
        if announced is not None and announced.state == "failed":
            note(announced)
            return
        size, pace = await _sent(site, upload_id)
        note(announced if announced is not None and size.state == "ok" else size)
        note(pace)


@asynccontextmanager
async def _created(site: Site, note: Note) -> AsyncIterator[str]:
    """A new upload of no known length, which is deleted at the end. Notes what it shows."""
    asked = time.time()
    answer = await site.ask("POST", f"/v1/tus?name={NAME}", {**TUS, "Upload-Defer-Length": "1"})
    check(answer)
    answered = time.time()
    location = answer.headers["location"]
    upload_id = location.rsplit("/", 1)[1]
    try:
        note(await _address(site, location))
        shown = await site.json("GET", f"/v1/uploads/{upload_id}")
        note(_clock(site, datetime.fromisoformat(shown["created_at"]).timestamp(), asked, answered))
        yield upload_id
    finally:
        await remove(site, f"/v1/tus/{upload_id}", note)


async def remove(site: Site, path: str, note: Note) -> None:
    """Delete what was uploaded; notes it where that does not work."""
    try:
        check(await site.ask("DELETE", path, TUS))
    except LadingError as error:
        note(failed("methods", f"DELETE {path} does not pass, delete it yourself: {error}"))


async def _address(site: Site, location: str) -> Finding:
    """Whether the server knows the address that users see."""
    wanted, given = origin_of(site.address.url), origin_of(location)
    if wanted != given:
        return failed("address", f"the server hands out addresses that begin with {given}")
    if not await opens_for(site, wanted):
        return failed("address", "the server does not know its own pages by this address")
    return well("address", "the server hands out addresses that begin with this one")


def origin_of(url: str) -> str:
    """The scheme, the host and the port of an address."""
    return "://".join(urlsplit(url)[:2])


def _clock(site: Site, theirs: float, asked: float, answered: float) -> Finding:
    """By how much the clock of the server's database and this machine's differ."""
    ahead = 0.0 if asked <= theirs <= answered else theirs - (asked + answered) / 2
    detail = f"the server's clock and this machine's differ by {ahead:+.1f} s"
    if abs(ahead) > site.limits.clock_seconds:
        return warning("clock", detail)
    return well("clock", detail)


async def _announced(site: Site, upload_id: str) -> Finding | None:
    """Whether the method passes, and bodies that are announced to be large; None where they do."""
    refused = None
    for size in site.limits.bodies:
        announced = {**site.credential, **BYTES, "Content-Length": str(size)}
        async with site.exchange() as exchange:
            await exchange.begin(
                "PATCH", f"/v1/tus/{upload_id}", {**announced, "Expect": "100-continue"}
            )
            if await exchange.admitted(site.limits.admit_seconds):
                break
            answer = await exchange.answer(site.limits.answer_seconds)
            if answer.from_server:
                break
            if answer.status != TOO_LARGE:
                return failed("methods", f"PATCH does not pass ({answer.status})")
            refused = size
    if refused is None:
        return None
    detail = f"a body of {refused / 2**30:g} GiB in one request is refused"
    return warning("body limit", detail)


async def _sent(site: Site, upload_id: str) -> tuple[Finding, Finding]:
    """The findings on the size and on the pace of one body, which is sent."""
    size = site.limits.upload
    what = f"{size / 2**20:g} MiB in one request"
    headers = {**site.credential, **BYTES, "Upload-Length": str(size), "Content-Length": str(size)}
    begun = time.monotonic()
    async with site.exchange() as exchange:
        await exchange.begin("PATCH", f"/v1/tus/{upload_id}", headers)
        stored = asyncio.create_task(_first_stored(site, upload_id))
        try:
            passes = await _send(site, exchange, stored)
            if not passes:
                held = f"nothing was stored for {site.limits.hold_seconds:g} s"
                return (
                    well("body limit", f"{what} was not refused"),
                    failed("streaming", f"half of {what} was sent, and {held}: a proxy keeps it"),
                )
            answer = await exchange.answer(site.limits.answer_seconds)
            total = time.monotonic() - begun
            if answer.status >= 300:
                return _refused(answer, what)
            first = await stored - begun
        finally:
            stored.cancel()
            await asyncio.gather(stored, return_exceptions=True)
    pace = f"the first bytes were durable after {first:.2f} s of {total:.2f} s"
    return well("body limit", f"{what} passes"), well("streaming", f"{what}: {pace}")


async def _send(site: Site, exchange: Exchange, stored: asyncio.Task[float]) -> bool:
    """Send the body; False where nothing is stored of its first half."""
    block, size = os.urandom(BLOCK), site.limits.upload
    for sent in range(0, size, BLOCK):
        if sent >= size // 2 and not stored.done():
            await exchange.wait_or_answer(stored, site.limits.hold_seconds)
            if not stored.done() and not exchange.over:
                return False
        await exchange.send(block[: size - sent])
    return True


async def _first_stored(site: Site, upload_id: str) -> float:
    """When the first bytes were durable, by the monotonic clock."""
    while True:
        shown = await site.json("GET", f"/v1/uploads/{upload_id}")
        missing, size = shown["missing"], shown["size"]
        if size is not None and (not missing or missing[0][0] > 0):
            return time.monotonic()
        await asyncio.sleep(POLL_SECONDS)


def _refused(answer: Answer, what: str) -> tuple[Finding, Finding]:
    error = error_of(answer.status, answer.headers, answer.body)
    if answer.from_server:
        raise error
    # Some proxies notice in the middle of a body that it is too large, and say 502.
    return (
        failed("body limit", f"{what} is refused on its way ({answer.status})"),
        skipped("streaming", "needs a body that is not refused"),
    )
