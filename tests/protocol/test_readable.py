"""Readable lines: what a log may contain, and that every message has a line."""

from __future__ import annotations

from hypothesis import given

from lading.protocol import effects as e
from lading.protocol import messages as m
from lading.protocol.readable import show, show_client, show_server
from tests.support.strategies import client_messages, server_messages


def test_a_token_and_the_bytes_of_a_piece_are_never_shown() -> None:
    data = b"private bytes"
    assert show_client(m.Hello("key", "web")) == '> HELLO token="(secret)" client="web"'
    assert show_client(m.Token("key")) == '> TOKEN token="(secret)"'
    assert show(e.Authenticate("key")) == '! Authenticate token="(secret)"'
    chunk = '> CHUNK ref=1 slice_start=0 crc32c=7 data="(13 bytes)"'
    assert show_client(m.Chunk(1, 0, 7, data)) == chunk
    assert data.decode() not in show(e.Write(1, "a", 0, 7, data))


def test_control_characters_are_escaped() -> None:
    assert show_client(m.Resume(1, "a\nb\x1b")) == '> RESUME ref=1 upload_id="a\\nb\\u001b"'


@given(client_messages)
def test_every_message_of_a_client_has_one_line(message: m.ClientMessage) -> None:
    assert show_client(message).isprintable()


@given(server_messages)
def test_every_message_of_a_server_has_one_line(message: m.ServerMessage) -> None:
    assert show_server(message).isprintable()
