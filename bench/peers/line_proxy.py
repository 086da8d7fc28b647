"""The line between a client and a server: `python -m bench.peers.line_proxy`, as JSON in LINE_JOB.

The job: `{"port", "to", "line", "counts"}`: the ports of the two sides, a `LineKind`, and the file
that gets what was counted at the end. Each connection waits for a round trip first, as TCP's
handshake does. One that is cut ends for both sides without a word.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from bench.line import Cuts, Lane, LineKind
from lading.memory import keep_freed

RECEIVE_BUFFER = 256 * 1024
"""What the proxy's kernel holds of a connection before the line takes it: little, since the queue
is the line's."""

JOB = "LINE_JOB"

END = b""


class Proxy:
    """Carries connections to the port `to`, over one line that they share."""

    def __init__(self, kind: LineKind, to: int) -> None:
        self._kind = kind
        self._to = to
        self._loop = asyncio.get_running_loop()
        self._lanes = Lane(kind), Lane(kind)
        self._turns = asyncio.Lock(), asyncio.Lock()
        self._cuts = Cuts(kind)
        self._open: dict[int, _Pair] = {}
        self._accepted = 0
        self._cut = 0

    @property
    def counts(self) -> dict[str, int]:
        up, down = self._lanes
        return {"up": up.carried, "down": down.carried, "cut": self._cut}

    async def run(self, port: int) -> None:
        """Serve until cancelled."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            listener.bind(("127.0.0.1", port))
            listener.listen(512)
            listener.setblocking(False)
            async with asyncio.TaskGroup() as tasks:
                if self._kind.cut_share:
                    tasks.create_task(self._cut_some())
                while True:
                    client, _ = await self._loop.sock_accept(listener)
                    tasks.create_task(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        number, self._accepted = self._accepted, self._accepted + 1
        await asyncio.sleep(self._kind.round_trip)  # the handshake of TCP
        server = socket.socket()
        server.setblocking(False)
        pair = self._open[number] = _Pair(client, server)
        try:
            await self._loop.sock_connect(server, ("127.0.0.1", self._to))
            pair.no_delay()
            async with asyncio.TaskGroup() as tasks:
                for way in (0, 1):
                    source, sink = pair.sockets(way)
                    flight = _Flight(self._loop, sink)
                    pair.tasks.append(tasks.create_task(self._take(source, way, flight)))
                    pair.tasks.append(tasks.create_task(flight.deliver()))
        except* OSError:
            pass  # one side ended it; both hear of it now
        finally:
            del self._open[number]
            pair.close()

    async def _take(self, source: socket.socket, way: int, flight: _Flight) -> None:
        """Put what comes from one side on its way, until that side ends."""
        lane, turn, kind = self._lanes[way], self._turns[way], self._kind
        bound = kind.queue + kind.rate * kind.round_trip
        while data := await self._loop.sock_recv(source, kind.block):
            async with turn:  # whoever came first
                if (wait := lane.wait(len(data), self._loop.time())) > 0:
                    await asyncio.sleep(wait)
                flight.put(lane.carry(len(data), self._loop.time()), data)
            # A receiver that does not read holds up its own sender only.
            while flight.held > bound:
                await flight.moved()
        flight.put(self._loop.time() + kind.round_trip / 2, END)

    def cut(self, places: list[int]) -> None:
        """Cut these of the open connections, counted by their age."""
        pairs = list(self._open.values())
        for place in places:
            self._cut += 1
            pairs[place].cut()

    async def _cut_some(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.cut(self._cuts.chosen(len(self._open)))


class _Pair:
    """The two sockets of a connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._both = client, server
        self.tasks: list[asyncio.Task[None]] = []

    def sockets(self, way: int) -> tuple[socket.socket, socket.socket]:
        client, server = self._both
        return (client, server) if way == 0 else (server, client)

    def no_delay(self) -> None:
        for each in self._both:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def cut(self) -> None:
        """Reset both sides; what is on its way is lost."""
        for each in self._both:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for task in self.tasks:
            task.cancel()

    def close(self) -> None:
        for each in self._both:
            each.close()


class _Flight:
    """The bytes of one direction of a connection that are on their way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: socket.socket) -> None:
        self.held = 0
        self._loop = loop
        self._sink = sink
        self._blocks: deque[tuple[float, bytes]] = deque()
        self._news = asyncio.Event()
        self._moved = asyncio.Event()

    def put(self, due: float, data: bytes) -> None:
        """Hand over a block that arrives at `due`; END is the last."""
        self._blocks.append((due, data))
        self.held += len(data)
        self._news.set()

    async def moved(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def deliver(self) -> None:
        """Hand each block over when it is due, until the end."""
        while True:
            while not self._blocks:
                self._news.clear()
                await self._news.wait()
            due, data = self._blocks.popleft()
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            if data is END:
                self._sink.shutdown(socket.SHUT_WR)
                return
            await self._loop.sock_sendall(self._sink, data)
            self.held -= len(data)
            self._moved.set()


async def _main(job: dict[str, Any]) -> dict[str, int]:
    proxy = Proxy(LineKind.of(job["line"]), job["to"])
    running = asyncio.create_task(proxy.run(job["port"]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
    return proxy.counts


def main(job: dict[str, Any]) -> None:
    """Run it until SIGTERM."""
    keep_freed()  # else each block costs the kernel new pages
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        counts = runner.run(_main(job))
    Path(job["counts"]).write_text(json.dumps(counts))


if __name__ == "__main__":
    main(json.loads(os.environ[JOB]))
