"""Clients that give their files other bytes again and again, and know what each file may serve.

What a server said holds. What it died over may have happened or not, and may still happen until
the client hears of a later version.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.faults.processes import ended
from tests.faults.setups import CHUNK, Setup
from tests.support.photos import jpeg
from tests.support.servers import Process
from tests.support.users import shown, user
from tests.support.wire import cells

PHOTO = "image/jpeg"

PAUSE = 0.03


@dataclass(eq=False)
class Versions:
    """A file, and each version of its bytes that was sent, the oldest first.

    `heard` is the number of the last one of which a server said that it is there, `refused` are
    those of which it said that they are not. `hidings` grows when it goes to the trash, where it
    may be while `hidden`.
    """

    id: str
    owner: str
    tag: str
    photo: bool
    sent: list[bytes]
    heard: int = 0
    refused: set[int] = field(default_factory=set)
    hidden: bool = False
    hidings: int = 0

    def note(self, data: bytes) -> int:
        """The number of a version that is about to be sent."""
        self.sent.append(data)
        return len(self.sent) - 1

    def check(self, content: bytes, since: int) -> int:
        """Bytes that were served are one whole version, none before `since`; its number."""
        assert content in self.sent, f"{len(content)} bytes of {self.id} are no version of it"
        number = self.sent.index(content)
        assert number >= since, f"version {number} of {self.id}, and {since} was there before"
        assert number not in self.refused, f"version {number} of {self.id} was refused"
        return number


class Clients:
    """The clients of all owners. They speak to whichever server the setup has in use."""

    def __init__(self, setup: Setup, random: Random) -> None:
        self._setup = setup
        self._random = random
        self._http: dict[str, httpx.AsyncClient] = {}
        self.files: list[Versions] = []

    async def close(self) -> None:
        for each in self._http.values():
            await each.aclose()

    def _client(self, server: Process) -> httpx.AsyncClient:
        if server.url not in self._http:
            self._http[server.url] = server.http()
        return self._http[server.url]

    async def ask(
        self, owner: str, method: str, path: str, *, scope: str = "", **options: Any
    ) -> httpx.Response | None:
        """The answer; None where the server died, or cannot say what became of it."""
        server = self._setup.server
        headers = {**shown(user(owner, scope)), **options.pop("headers", {})}
        try:
            answer = await self._client(server).request(method, path, headers=headers, **options)
        except httpx.TransportError:
            await ended(server.child)  # connections end a moment earlier than the process
            return None
        return None if answer.status_code == 503 else answer

    async def insist(self, owner: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask until a server answers."""
        while True:
            answer = await self.ask(owner, method, path, **options)
            if answer is not None:
                return answer
            await asyncio.sleep(PAUSE)

    # -- what they do

    def some(self, *, photo: bool = False) -> bytes:
        """The bytes of another version."""
        random = self._random
        if photo:
            return jpeg(random.randint(1, 300), random.randint(1, 300))
        return random.randbytes(random.randint(1, 3 * CHUNK))

    async def allow(self, owner: str, quota: int) -> None:
        answer = await self.insist(
            "root", "PUT", f"/v1/users/{owner}/quota", scope="admin", json={"quota": quota}
        )
        assert answer.status_code == 200, answer.text

    async def make(self, owner: str, tag: str, *, photo: bool = False) -> Versions:
        """A new file."""
        data, headers = self.some(photo=photo), {"Content-Type": PHOTO} if photo else {}
        query = {"name": f"{tag}.bin", "tag": tag}
        answer = await self.insist(
            owner, "POST", "/v1/files", params=query, content=data, headers=headers
        )
        assert answer.status_code == 201, answer.text
        file = Versions(answer.json()["_id"], owner, tag, photo, [data])
        self.files.append(file)
        return file

    async def put(self, file: Versions) -> None:
        """Send other bytes in one request."""
        number = file.note(self.some(photo=file.photo))
        headers = {"Content-Type": PHOTO} if file.photo else {}
        path = f"/v1/files/{file.id}"
        answer = await self.ask(file.owner, "PUT", path, content=file.sent[number], headers=headers)
        if answer is not None:
            self._learn(file, number, answer)

    async def upload(self, file: Versions) -> str | None:
        """Send other bytes as an upload, and not yet its FINISH; its id, None where refused."""
        number = file.note(self.some(photo=file.photo))
        data = file.sent[number]
        asked = {"name": "ignored", "size": len(data), "replaces": file.id}
        made = await self.insist(file.owner, "POST", "/v1/uploads", json=asked)
        if made.status_code != 201:
            self._learn(file, number, made)
            return None
        upload_id = str(made.json()["_id"])
        for start, piece in cells(data, CHUNK):
            path = f"/v1/uploads/{upload_id}/chunks/{start}"
            put = await self.insist(file.owner, "PUT", path, content=piece)
            assert put.status_code == 200, put.text
        return upload_id

    async def finish(self, file: Versions, upload_id: str, *, insist: bool = True) -> bool:
        """Publish the version that was sent last; whether a server said so."""
        number, path = len(file.sent) - 1, f"/v1/uploads/{upload_id}/finish"
        ask = self.insist if insist else self.ask
        answer = await ask(file.owner, "POST", path, json={})
        if answer is None:
            return False
        assert answer.status_code == 200, answer.text
        assert answer.json()["_id"] == file.id
        self._learn(file, number, answer)
        return True

    async def hide(self, file: Versions) -> None:
        """Put a file into the trash, where it cannot be replaced, and take it out."""
        path = f"/v1/files/{file.id}"
        file.hidden, file.hidings = True, file.hidings + 1
        gone = await self.insist(file.owner, "DELETE", path, params={"trash": "true"})
        assert gone.status_code == 200, gone.text
        refused = await self.insist(file.owner, "PUT", path, content=b"too late")
        assert refused.status_code == 404, refused.text
        back = await self.insist(file.owner, "POST", f"{path}/restore")
        assert (back.status_code, back.json()["state"]) == (200, "ready"), back.text
        file.hidden = False

    async def read(self, file: Versions) -> None:
        """What is served is whole, and not older than what the client knew before."""
        since, hidings, hidden = file.heard, file.hidings, file.hidden
        answer = await self.ask(file.owner, "GET", f"/v1/files/{file.id}")
        if answer is None:
            return
        if answer.status_code == 404:
            assert hidden or file.hidings > hidings, "a file that is there is not found"
            return
        assert answer.status_code == 200, answer.text
        file.check(answer.content, since)

    def _learn(self, file: Versions, number: int, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            file.heard = number
            return
        assert answer.json()["code"] == "quota-exceeded", answer.text
        file.refused.add(number)

    # -- all the time

    async def write_on(self, file: Versions, over: asyncio.Event) -> None:
        """Replace a file again and again, and hide it now and then."""
        while not over.is_set():
            chance = self._random.random()
            if chance < 0.6:
                await self.put(file)
            elif chance < 0.85:
                upload_id = await self.upload(file)
                if upload_id is not None:
                    await self.finish(file, upload_id)
            else:
                await self.hide(file)
            await self.read(file)
            await asyncio.sleep(PAUSE)

    async def read_on(self, over: asyncio.Event) -> None:
        """Read all files again and again."""
        while not over.is_set():
            await self.read(self._random.choice(self.files))
            await asyncio.sleep(PAUSE)
