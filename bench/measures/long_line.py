"""Uploading over a long line: 1 Gbit/s with a round trip of 200 ms (target 14)."""

from __future__ import annotations

from bench import peers, uploads
from bench.line import LineKind
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words
from bench.peers.line import LongLine, line
from bench.workspace import LadingServer, Workspace

RATE = 125e6
"""Bytes a second: 1 Gbit/s."""
LINE = LineKind(rate=RATE, round_trip=0.2, queue=int(RATE * 0.05))

SHARE = "share of the line"


def measure(options: Options) -> Measure:
    # By tus each PATCH takes as long as the one before: a sixteenth of the bytes shows the rate.
    size, by_tus = (64 * MIB, 16 * MIB) if options.quick else (GIB, 64 * MIB)
    start, tus = peers.tuspyserver, "tuspyserver"
    if peers.has_tus_server():
        start, tus = peers.tus_server, "@tus/server"
    return Measure(
        name="long-line",
        title=f"Upload of {in_words(size)} over a line of 1 Gbit/s with 200 ms round trip",
        unit="MB/s",
        sides=(
            Side("lading.Client, no SHA-256", uploads.DURABLE, _by_client(size, sha256=False)),
            Side("lading.Client", uploads.DURABLE, _by_client(size, sha256=True)),
            Side(
                f"{tus}, {in_words(by_tus)}, PATCHes of 4 MiB",
                peers.NOT_DURABLE,
                _by_tus(start, by_tus),
            ),
        ),
        goals=(
            Goal(14, "long line: share of its rate", side=0, cost=SHARE, at_least=0.9),
            Goal(14, f"long line: Lading ÷ {tus}", side=0, over=2, at_least=5),
        ),
        note="The line is a proxy that both directions share with nobody. It has the router's "
        "queue, of 50 ms, and the round trip of TCP's handshake, but not TCP's slow start. From "
        "the first request to the last answer. Where the client names a SHA-256, the server "
        "computes it, too, while the pieces arrive.",
        warm_up=False,
        rounds=3,
    )


def _by_client(size: int, *, sha256: bool) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with workspace.lading() as server, line(workspace, server.url, LINE) as long:
            job = {"path": str(path), "sha256": sha256, "direct": False}
            sent = await uploads.watch(
                "bench.clients.put",
                {**server.job, "url": long.url, **job},
                size,
                {**_of(server, long), "mongod": workspace.mongo_pid},
            )
        return _sample(sent)

    return run


def _by_tus(start: uploads.StartPeer, size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with start(workspace) as peer, line(workspace, peer.url, LINE) as long:
            job = {"url": long.url, "token": None, "path": str(path), "size": size}
            sent = await uploads.watch(
                "bench.clients.tus", {**job, "piece": uploads.TUS_PIECE}, size, _of(peer, long)
            )
        return _sample(sent)

    return run


def _of(server: LadingServer | peers.Peer, long: LongLine) -> dict[str, int]:
    return {"server": server.pid, "line": long.pid}


def _sample(sent: uploads.Transfer) -> Sample:
    return Sample(sent.megabytes, {SHARE: sent.rate / RATE, **sent.costs})
