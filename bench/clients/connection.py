"""One HTTP/1.1 connection for the clients: one request after the other, bodies discarded.

All HTTP servers are asked by this same code. It owns the socket and what it needs of the grammar:
answers with a `Content-Length`, and short ones in chunks. It refuses to know what is asked for.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

BUFFER = 2**20
KEPT = 2**16
"""A longer body is not kept."""

LAST_CHUNK = b"0\r\n\r\n"

TIMEOUT = 120.0


class Answer(NamedTuple):
    """An answer. `first_byte` and `last_byte` are times of `time.perf_counter`."""

    status: int
    fields: Mapping[str, str]
    body: bytes
    length: int
    first_byte: float
    last_byte: float


class Connection:
    """A connection to the server of a URL, which stays open from request to request."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._socket = socket.create_connection((parts.hostname, parts.port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._always = f"Host: {parts.netloc}\r\n"
        if token is not None:
            self._always += f"Authorization: Bearer {token}\r\n"
        self._buffer = memoryview(bytearray(BUFFER))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def request(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send a request and read the whole answer, whatever its status."""
        own = dict(fields or {})
        if body or method in ("POST", "PATCH", "PUT"):
            own["Content-Length"] = str(len(body))
        head = self._head(method, path, own)
        if len(body) <= KEPT:
            self._socket.sendall(head + body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)
        return self._answer(method)

    def expect(
        self,
        status: int,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Like `request`; raises RuntimeError for another status."""
        return self._expected(status, self.request(method, path, fields, body), method, path)

    @staticmethod
    def _expected(status: int, answer: Answer, method: str, path: str) -> Answer:
        if answer.status != status:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer

    def post(
        self, path: str, fields: Mapping[str, str], blocks: Iterable[bytes], size: int
    ) -> Answer:
        """POST a long body, block by block; raises RuntimeError for another status than 201."""
        fields = {**fields, "Content-Length": str(size)}
        self._socket.sendall(self._head("POST", path, fields))
        for block in blocks:
            self._socket.sendall(block)
        return self._expected(201, self._answer("POST"), "POST", path)

    def _head(self, method: str, path: str, fields: Mapping[str, str]) -> bytes:
        own = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} {path} HTTP/1.1\r\n{self._always}{own}\r\n".encode()

    def _answer(self, method: str) -> Answer:
        got = self._receive(0)
        while (end := bytes(self._buffer[:got]).find(b"\r\n\r\n")) < 0:
            got += self._receive(got)
        first_line, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        status = int(first_line.split(" ", 2)[1])
        pairs = (line.partition(":") for line in lines)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        body = bytes(self._buffer[end + 4 : got])
        if fields.get("transfer-encoding") == "chunked":
            return self._chunked(status, fields, body)
        empty = method == "HEAD" or status in (204, 304)
        length = 0 if empty else int(fields["content-length"])
        if length and not body:
            got = self._receive(0)
            body = bytes(self._buffer[:got])
        first_byte = time.perf_counter()
        left = length - len(body)
        while left:
            got = self._receive(0)
            left -= got
            if length <= KEPT:
                body += bytes(self._buffer[:got])
        kept = body if length <= KEPT else b""
        return Answer(status, fields, kept, length, first_byte, time.perf_counter())

    def _chunked(self, status: int, fields: Mapping[str, str], body: bytes) -> Answer:
        """The rest of an answer in chunks, left as they are: only confirmations come that way."""
        while not body.endswith(LAST_CHUNK):
            body += bytes(self._buffer[: self._receive(0)])
        now = time.perf_counter()
        return Answer(status, fields, body, len(body), now, now)

    def _receive(self, at: int) -> int:
        got = self._socket.recv_into(self._buffer[at:])
        if not got:
            raise ConnectionError("The server closed the connection.")
        return got
