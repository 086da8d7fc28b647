"""A client as Apple's URLSession is: reads `{"url", "token", "path", "options": {"version"}}`.

It sends the whole file by one POST that says which version of the draft it speaks. The 104 tells it
where the upload is. When its connection is lost it asks there for the offset, and sends the rest by
PATCH; where no 104 came, it begins anew. It prints the address of the upload.
Source: draft-ietf-httpbis-resumable-upload-01, -03, -05 and -08 by their interop versions 3, 5, 6
and 8.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

BLOCK = 256 * 1024
TRIES, PAUSE = 400, 0.3
"""A server on a busy machine takes a while to start."""


@dataclass
class Answer:
    """A status with its headers by lower-case name."""

    status: int
    headers: dict[str, str]


class Broken(Exception):
    """The connection was lost, or the server is not there just now."""


@dataclass
class Session:
    """One file on its way."""

    host: str
    port: int
    token: str
    version: str
    file: BinaryIO
    size: int
    address: str | None = None
    interim: int = 0
    """How many 104 came."""

    def said(self, *, complete: bool) -> dict[str, str]:
        """The state in the words of the version."""
        if self.version == "3":
            return {"Upload-Incomplete": "?0" if complete else "?1"}
        return {"Upload-Complete": "?1" if complete else "?0"}

    async def run(self) -> None:
        """Send the file, however often the connection breaks."""
        for _ in range(TRIES):
            try:
                if await self._once():
                    return
            except Broken:
                await asyncio.sleep(PAUSE)
        raise SystemExit("it never arrived")

    async def _once(self) -> bool:
        if self.address is None:
            path = "/v1/files?name=urlsession.bin"
            answer = await self._ask("POST", path, self.said(complete=True), 0)
            assert answer.status in (200, 201), answer
            return True
        look = await self._ask("HEAD", self.address, {}, None)
        assert look.status in (200, 204), look
        offset = int(look.headers["upload-offset"])
        flag = "upload-incomplete" if self.version == "3" else "upload-complete"
        done = (look.headers[flag] == "?1") != (self.version == "3")
        if done:
            return True
        headers = {"Upload-Offset": str(offset), **self.said(complete=True)}
        if self.version in ("6", "8"):
            headers["Content-Type"] = "application/partial-upload"
        answer = await self._ask("PATCH", self.address, headers, offset)
        if answer.status == 409:
            return False
        assert answer.status in (200, 201, 204), answer
        return True

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], start: int | None
    ) -> Answer:
        """One request, with the file from `start` on as its body."""
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            raise Broken from error
        try:
            fields = {
                "Host": f"{self.host}:{self.port}",
                "Authorization": f"Bearer {self.token}",
                "Upload-Draft-Interop-Version": self.version,
                **headers,
            }
            if start is not None:
                fields["Content-Length"] = str(self.size - start)
            lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            sending = asyncio.ensure_future(self._send(writer, start))
            try:
                return await self._answer(reader)
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await sending
        except (OSError, EOFError) as error:
            raise Broken from error
        finally:
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter, start: int | None) -> None:
        if start is None:
            return
        position = start
        while position < self.size:
            self.file.seek(position)
            data = self.file.read(BLOCK)
            writer.write(data)
            await writer.drain()
            position += len(data)

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        """The final answer; an interim one tells where the upload is."""
        while True:
            status = int((await reader.readuntil(b"\r\n")).split(b" ")[1])
            headers: dict[str, str] = {}
            while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            if "location" in headers and status in (104, 200, 201):
                self.interim += status == 104
                if status == 104:
                    self.address = urlsplit(headers["location"]).path
            if status >= 200:
                return Answer(status, headers)


def main() -> None:
    """Upload a file."""
    job = json.load(sys.stdin)
    where, path = urlsplit(job["url"]), Path(job["path"])
    assert where.hostname is not None
    assert where.port is not None
    version, size = job["options"]["version"], path.stat().st_size
    with path.open("rb") as file:
        session = Session(where.hostname, where.port, job["token"], version, file, size)
        asyncio.run(session.run())
    assert session.interim > 0
    print(json.dumps({"url": session.address}))


if __name__ == "__main__":
    main()
