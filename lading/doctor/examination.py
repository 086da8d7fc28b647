"""All trials of a deployment, in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from lading.client.address import Address
from lading.client.errors import NotALadingServer
from lading.doctor.answers import try_cors, try_range
from lading.doctor.bodies import try_bodies
from lading.doctor.connection import try_idle, try_tls, try_upgrade
from lading.doctor.findings import Finding, failed, skipped
from lading.doctor.site import USUAL_LIMITS, DoctorLimits, Site
from lading.protocol.errors import LadingError

Note = Callable[[Finding], None]


async def examine(
    address: Address,
    note: Note,
    *,
    origins: Sequence[str] = (),
    limits: DoctorLimits = USUAL_LIMITS,
) -> None:
    """Try everything; `note` gets each finding at once. What is uploaded is deleted again.

    Raises Unreachable and NotALadingServer, and what the server refuses to the credential.
    """
    site = Site(address, limits)
    try:
        connection = await try_tls(site)
        for finding in connection:
            note(finding)
        if connection[0].state == "failed" and site.secure:
            return  # the token must not be sent, and nothing else can be tried
        await _meet(site)
        await _all(site, note, origins)
    finally:
        await site.close()


async def _meet(site: Site) -> None:
    """Raise where no Lading answers, or does not know the credential."""
    status = await site.json("GET", "/livez")
    if "version" not in status:
        raise NotALadingServer(f"{site.address.url} does not answer like a Lading server.")
    await site.json("GET", "/v1/usage")


async def _all(site: Site, note: Note, origins: Sequence[str]) -> None:
    finding, channel = await try_upgrade(site)
    note(finding)
    # The channel is idle while the rest is tried, which saves that time.
    idling = None if channel is None else asyncio.create_task(try_idle(site, channel))
    try:
        await _noted(note, "streaming", try_bodies(site, note))
        await _noted(note, "range", try_range(site, note))
        for origin in origins:
            await _noted(note, "cors", _cors(site, note, origin))
        if not origins:
            note(skipped("cors", "name a site whose pages upload: --origin https://…"))
        note(skipped("idle", "needs a WebSocket") if idling is None else await idling)
    finally:
        if idling is not None:
            idling.cancel()
            await asyncio.gather(idling, return_exceptions=True)


async def _cors(site: Site, note: Note, origin: str) -> None:
    note(await try_cors(site, origin))


async def _noted(note: Note, name: str, trial: Awaitable[None]) -> None:
    """Carry out a trial; one that cannot be carried out stops no other."""
    try:
        await trial
    except LadingError as error:
        note(failed(name, str(error)))
