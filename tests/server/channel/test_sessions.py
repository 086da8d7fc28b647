"""Sessions as the credential of a channel: an upload outlives its access token, and no session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lading.server.limits import ChannelLimits
from tests.support.accounts import NOW, accounts_server, add, browser, cheap, signed_in
from tests.support.clock import Clock
from tests.support.wire import TOKEN, dial


async def test_a_long_upload_goes_on_when_its_token_is_renewed(
    tmp_path: Path, accounts_url: str
) -> None:
    clock = Clock(NOW)
    async with (
        accounts_server(tmp_path, accounts_url, clock=clock, chunk_size=1024) as site,
        browser(site) as page,
    ):
        await add(site)
        signed = await signed_in(page)
        async with dial(site) as wire:
            assert (await wire.hello(signed["token"]))["user_id"] == "ann"
            await wire.create(1, 2048)
            await wire.chunk(1, 0, b"a" * 1024)
            await wire.stored(1)
            clock.now += 890
            renewed = (await page.post("/v1/session/refresh")).json()
            await wire.send(TOKEN, renewed["token"])
            clock.now += 600
            await wire.chunk(1, 1024, b"b" * 1024)
            await wire.stored(1)
            await wire.finish(1)


async def test_a_session_that_ends_closes_its_channels(tmp_path: Path, accounts_url: str) -> None:
    limits = replace(cheap(), channel=ChannelLimits(grant_seconds=0.02))
    async with (
        accounts_server(tmp_path, accounts_url, limits=limits) as site,
        browser(site) as page,
        browser(site) as phone,
    ):
        await add(site)
        mine, other = await signed_in(page), await signed_in(phone)
        async with dial(site) as wire, dial(site) as kept:
            await wire.hello(mine["token"])
            await kept.hello(other["token"])
            await page.delete("/v1/session")
            problem = await wire.problem(None)
            assert problem["code"] == "unauthorized"
            assert (await wire.closing()).code == 4401
            await kept.create(1, 1)
