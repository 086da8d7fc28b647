"""The clients' HTTP, against a socket that answers what it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.clients.connection import Connection


@contextmanager
def answering(*parts: bytes) -> Iterator[str]:
    """A server that reads one request and sends these parts; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not peer.recv(65536).endswith(b"\r\n\r\n"):
                pass
            for part in parts:
                peer.sendall(part)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(10)


WHOLE = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nLocation: /x\r\n\r\nhello"


@pytest.mark.parametrize("cut", [0, 10, 30, len(WHOLE) - 5, len(WHOLE) - 2])
def test_answer_may_come_in_parts(cut: int) -> None:
    with answering(WHOLE[:cut], WHOLE[cut:]) as url, Connection(url) as connection:
        answer = connection.expect(201, "GET", "/")
    assert (answer.body, answer.length, answer.fields["location"]) == (b"hello", 5, "/x")
    assert answer.first_byte <= answer.last_byte


def test_long_body_is_counted_and_thrown_away() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n"
    with answering(head, bytes(3_000_000)) as url, Connection(url) as connection:
        answer = connection.expect(200, "GET", "/")
    assert (answer.length, answer.body) == (3_000_000, b"")


def test_answer_without_a_body() -> None:
    with answering(b"HTTP/1.1 204 No Content\r\n\r\n") as url, Connection(url) as connection:
        assert connection.expect(204, "GET", "/").length == 0


def test_answer_in_chunks() -> None:
    parts = (b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\n", b"\r\n")
    with answering(*parts) as url, Connection(url) as connection:
        assert connection.expect(201, "GET", "/").status == 201


def test_other_status_is_an_error_that_tells_the_body() -> None:
    with (
        answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone") as url,
        Connection(url) as connection,
        pytest.raises(RuntimeError, match="404 b'gone'"),
    ):
        connection.expect(200, "GET", "/")


def test_closed_connection_is_an_error() -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe") as url,
        Connection(url) as connection,
        pytest.raises(ConnectionError),
    ):
        connection.expect(200, "GET", "/")
