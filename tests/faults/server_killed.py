"""Server killed mid-chunk: SIGKILL when a random byte of the upload has reached it."""

from __future__ import annotations

from tests.faults.fault import Fault, Trial
from tests.faults.proxy import at, whole
from tests.faults.setups import Setup, one_server, send, some_bytes
from tests.faults.uploader import Uploader

AROUND = 3000
"""What the two clients send besides the file: requests, frame headers, CREATE, FINISH."""


async def trial(setup: Setup, trial: Trial) -> None:
    random, name = trial.random, f"killed-{trial.number}"
    data = some_bytes(random)
    victim, successor = setup.server, await setup.servers.spare()
    killed = False

    def strike() -> None:
        nonlocal killed
        killed = True
        setup.servers.kill(victim)
        setup.proxy.target = successor.port

    setup.proxy.target = victim.port
    setup.proxy.usual = (at(random.randrange(len(data) + AROUND), strike), whole)
    if trial.number % 2:
        file_id = (await send(setup.proxied, data, name)).id
    else:
        uploader = Uploader(data, name, random, growing=random.random() < 0.3)
        file_id = (await uploader.run(lambda: setup.proxied))["id"]
        await setup.inspector.check_acknowledged(file_id, uploader.acknowledged)
    if not killed:  # it was all there already: then that must survive
        strike()
    setup.server = successor
    await setup.inspector.check_file(successor, file_id, data)
    await setup.check_nothing_left(crashed=True)
    await setup.inspector.clear()


FAULT = Fault(
    name="server-killed",
    title="server killed mid-chunk",
    how="SIGKILL when a random byte of the upload has reached it; another process goes on",
    holds="resume completes, sha256 equal, no acknowledged piece lost",
    trials=500,
    quick=25,
    few=3,
    setup=one_server,
    trial=trial,
)
