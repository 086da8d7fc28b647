"""Requests that create something are sent again after a lost answer, and create it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.client.api import accepted
from lading.client.client import Client
from lading.protocol.errors import InvalidArgument
from tests.conftest import Kept
from tests.lading.conftest import AT_ONCE
from tests.support.network import network
from tests.support.servers import Process

LOST: tuple[int, ...] = (1,)
"""The first connection is cut after so many bytes of its answer."""


async def test_a_grant(server: Process, http: httpx.AsyncClient, kept: Kept) -> None:
    made = (await http.post("/v1/files", content=b"x")).json()["_id"]
    async with (
        network(server.port, deaf=LOST) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        grant = await client.grant(made)
        assert between.cut_count == 1
        of_the_file = [each.id async for each in client.grants() if each.file_id == made]
    assert of_the_file == [grant.id]


async def test_an_announcement(server: Process, kept: Kept) -> None:
    async with (
        network(server.port, deaf=LOST) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        medium = await client.announce("a", size=1, sha256="0" * 64)
        assert between.cut_count == 1
        assert kept() == (1, 0)
        await client.delete(medium.file.id)


@pytest.mark.parametrize("sha256", [True, False])
async def test_a_small_file(server: Process, kept: Kept, tmp_path: Path, sha256: bool) -> None:
    """By its SHA-256 it is found again; without one only the key tells."""
    (tmp_path / "a.bin").write_bytes(b"x" * 1000)
    async with (
        network(server.port, deaf=LOST) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        upload = client.upload(
            tmp_path / "a.bin", one_request=True, sha256=sha256, resume=False, name="once.bin"
        )
        file = await upload
        assert between.cut_count == 1
        assert kept() == (1, 1)
        await client.delete(file.id)


# -- fields that servers of older versions do not know


class Older:
    """Refuses the fields that it does not know, as Lading does."""

    def __init__(self, *unknown: str, words: str = "`{}` is not a known field") -> None:
        self.unknown = unknown
        self.words = words
        self.requests: list[dict[str, Any]] = []

    async def __call__(self, given: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(given)
        for name in self.unknown:
            if name in given:
                raise InvalidArgument(self.words.format(name) + "; did you mean `name`?")
        return given


@pytest.mark.parametrize("words", ["`{}` is not a known field", "Unknown query parameter `{}`"])
async def test_what_an_older_server_does_not_know_is_left_out(words: str) -> None:
    older = Older("fingerprint", "modified_at", words=words)
    given = {"name": "a", "fingerprint": "f", "modified_at": "m"}
    assert await accepted(older, given, "fingerprint", "modified_at") == {"name": "a"}
    assert len(older.requests) == 3


async def test_other_refusals_are_raised() -> None:
    older = Older("name")
    with pytest.raises(InvalidArgument):
        await accepted(older, {"name": "a", "modified_at": "m"}, "modified_at")
    assert len(older.requests) == 1
