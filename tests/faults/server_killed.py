"""Server killed mid-chunk: SIGKILL when a random byte of the upload has reached it."""

from __future__ import annotations

from tests.faults.fault import Fault, Trial
from tests.faults.proxy import at, whole
from tests.faults.uploader import Uploader
from tests.faults.worlds import World, one_server, send, some_bytes

AROUND = 3000
"""What the two clients send besides the file: requests, heads of frames, CREATE, FINISH."""


async def trial(world: World, trial: Trial) -> None:
    random, name = trial.random, f"killed-{trial.number}"
    data = some_bytes(random)
    victim, heir = world.server, await world.servers.spare()
    killed = False

    def strike() -> None:
        nonlocal killed
        killed = True
        world.servers.kill(victim)
        world.proxy.target = heir.port

    world.proxy.target = victim.port
    world.proxy.usual = (at(random.randrange(len(data) + AROUND), strike), whole)
    if trial.number % 2:
        file_id = (await send(world.proxied, data, name)).id
    else:
        uploader = Uploader(data, name, random, growing=random.random() < 0.3)
        file_id = (await uploader.run(lambda: world.proxied))["id"]
        await world.vault.keeps(file_id, uploader.acknowledged)
    if not killed:  # it was all there already: then that must survive
        strike()
    world.server = heir
    await world.vault.whole(heir, file_id, data)
    await world.sound(crashed=True)
    await world.vault.clear()


FAULT = Fault(
    name="server-killed",
    title="server killed mid-chunk",
    how="SIGKILL when a random byte of the upload has reached it; another process goes on",
    holds="resume completes, sha256 equal, no acknowledged piece lost",
    trials=500,
    quick=25,
    few=3,
    world=one_server,
    trial=trial,
)
