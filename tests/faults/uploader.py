"""An uploader that remembers every answer, and fails if the server contradicts an earlier one.

It uses the tests' own `Wire`, and reconnects and resumes by itself. Contradictions are: an
acknowledged piece is missing, an upload is incomplete though every piece was acknowledged, the file
is not the one that was sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.faults.early import IN_FLIGHT, OFFERED
from tests.faults.processes import TOKEN
from tests.support.servers import Running
from tests.support.wire import (
    CHUNK,
    COMPLETE,
    CREATE,
    FINISH,
    GOAWAY,
    HELLO,
    OPENED,
    PROBLEM,
    REFUSED,
    RESUME,
    STORED,
    WELCOME,
    Closing,
    Wire,
    cells,
    checksum,
    dial,
)


class Again(Exception):
    """The server asked the client to try again."""


LOST = (
    Again,
    Closing,
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    OSError,
    EOFError,
    TimeoutError,
    httpx.TransportError,
    httpx.HTTPStatusError,
)
"""How a connection may end while faults happen; the answer is always to connect again."""

TEMPORARY = ("unavailable", "storage-full", "shutting-down", "internal")
"""Codes after which the request may be repeated later."""

EARLY = re.compile(r"lading\.v1\.early-([0-9]+)-[0-9]+")
PAUSE_SECONDS = 0.03
REF = 7


class Refused(Exception):
    """The server refused for good; `code` says why."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(str(problem))
        self.code: str = problem["code"]


class Uploader:
    """One upload of `data`. `acknowledged` is what the server said is durable: where each piece
    begins, and its length. `name` is its fingerprint, too, and must be its own."""

    def __init__(self, data: bytes, name: str, random: Random, *, growing: bool = False) -> None:
        """`growing`: the size is sent only at the end."""
        self.data = data
        self.name = name
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.id = ""
        self.file: dict[str, Any] = {}
        self.acknowledged: dict[int, int] = {}
        self.connections = 0
        self.longest_silence = 0.0
        """The most seconds from one acknowledgement to the next."""
        self.refusals: list[str] = []
        self.goaways: list[set[int]] = []
        """For each GOAWAY, the pieces that were not answered when the connection ended."""
        self._progressed_at = time.monotonic()
        self._random = random
        self._growing = growing
        self._asked = False
        self._ready = False
        self._early = False
        self._finishing = False
        self._away = False
        self._todo: list[tuple[int, bytes]] = []
        self._in_flight: set[int] = set()

    async def run(
        self, where: Callable[[], Running], *, seconds: float = 60, patience: float = 20
    ) -> dict[str, Any]:
        """Upload, over as many connections as it takes; returns the file of COMPLETE.

        `where` is called for the server before each connection; the connection is given up after
        `patience` seconds without a message.
        """
        deadline = time.monotonic() + seconds
        while not self.file:
            try:
                await self.attempt(where(), patience)
            except LOST as error:
                if self._away:
                    self.goaways.append(set(self._in_flight))
                if time.monotonic() > deadline:
                    raise AssertionError(f"{seconds} s were not enough") from error
                await asyncio.sleep(PAUSE_SECONDS)
        return self.file

    async def attempt(self, server: Running, patience: float = 20) -> None:
        """One connection, to COMPLETE; else one of LOST, or Refused."""
        self._in_flight, self._todo = set(), []
        self._ready = self._finishing = self._away = False
        self.connections += 1
        if self._asked and not self.id:
            await self._look(server)
        offered = [*(OFFERED if self._random.random() < 0.5 else ()), "lading.v1"]
        options = {"close_timeout": 0.1, "open_timeout": patience, "subprotocols": offered}
        async with asyncio.timeout(patience) as deadline, dial(server, **options) as wire:
            await wire.send(HELLO, {"token": TOKEN, "client": "faults"})
            await self._begin(wire)
            while not self.file:
                await self._take(wire, await wire.receive())
                await self._continue(wire)
                deadline.reschedule(asyncio.get_running_loop().time() + patience)

    async def _begin(self, wire: Wire) -> None:
        """Send what need not wait for WELCOME: of a new upload CREATE and pieces, if that was
        agreed."""
        agreed = EARLY.fullmatch(wire.socket.subprotocol or "")
        self._early = agreed is not None and not self.id and not self._growing
        if agreed is not None and self._early:
            await self._open(wire)
            self._todo, self._ready = cells(self.data, int(agreed[1])), True
            self._random.shuffle(self._todo)
            await self._continue(wire)

    async def _look(self, server: Running) -> None:
        """CREATE was not answered: ask whether it was carried out."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        query = {"fingerprint": self.name}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=10) as client:
            answer = (await client.get("/v1/uploads", params=query)).raise_for_status()
        for upload in answer.json()["uploads"]:
            self.id = upload["_id"]

    # -- receiving

    async def _take(self, wire: Wire, message: list[Any]) -> None:
        match message:
            case [int(number), *_] if number == WELCOME:
                if not self._early:
                    await self._open(wire)
            case [int(number), _, dict(upload)] if number == OPENED:
                self._opened(upload)
            case [int(number), _, list(pieces), _] if number == STORED:
                self._progressed()
                for start, size in pieces:
                    self._in_flight.remove(start)
                    self.acknowledged[start] = size
            case [int(number), _, int(start), dict(problem)] if number == REFUSED:
                self._in_flight.remove(start)
                self._refused(problem)
            case [int(number), ref, dict(problem)] if number == PROBLEM:
                if self._early and "slice_start" in problem:
                    self._in_flight.remove(problem["slice_start"])  # CREATE was refused before it
                elif ref is not None:
                    self._refused(problem)
            case [int(number), *_] if number == GOAWAY:
                self._away = True
            case [int(number), _, dict(file)] if number == COMPLETE:
                self._complete(file)

    async def _open(self, wire: Wire) -> None:
        if self.id:
            await wire.send(RESUME, REF, self.id)
            return
        self._asked = True
        size = None if self._growing else len(self.data)
        about = {"name": self.name, "fingerprint": self.name, "size": size}
        await wire.send(CREATE, REF, about | ({} if self._growing else {"sha256": self.sha256}))

    def _opened(self, upload: dict[str, Any]) -> None:
        self.id, self._ready = upload["id"], True
        missing = upload["missing"]
        for start, size in self.acknowledged.items():
            for gap_start, gap_end in missing:
                lost = max(start, gap_start) < min(start + size, gap_end)
                assert not lost, f"the acknowledged piece at {start} is missing"
        if upload["state"] == "ready":
            self._finishing = True  # COMPLETE follows by itself
            return
        if self._early:
            return
        for start, piece in cells(self.data, upload["chunk_size"]):
            if self._growing:
                wanted = start not in self.acknowledged
            else:
                wanted = any(low <= start < high for low, high in missing)
            if wanted:
                self._todo.append((start, piece))
        self._random.shuffle(self._todo)

    def _refused(self, problem: dict[str, Any]) -> None:
        self.refusals.append(problem["code"])
        if problem["code"] not in TEMPORARY:
            raise Refused(problem)
        if not self._away:
            raise Again(problem["code"])

    def _progressed(self) -> None:
        now = time.monotonic()
        self.longest_silence = max(self.longest_silence, now - self._progressed_at)
        self._progressed_at = now

    def _complete(self, file: dict[str, Any]) -> None:
        self._progressed()
        assert file["id"] == self.id
        assert file["size"] == len(self.data)
        assert file["crc32c"] == checksum(self.data)
        assert file["sha256"] == self.sha256
        self.file = file

    # -- sending

    async def _continue(self, wire: Wire) -> None:
        if not self._ready or self._away or self._finishing:
            return
        while self._todo and len(self._in_flight) < IN_FLIGHT:
            start, piece = self._todo.pop()
            self._in_flight.add(start)
            await wire.send(CHUNK, REF, start, checksum(piece), piece)
        if not self._in_flight:
            self._finishing = True
            # The digest is sent again, as `lading.Client` does.
            agreed = {"sha256": self.sha256, "size": len(self.data)}
            await wire.send(FINISH, REF, agreed)
