"""What a direct upload of the Python client does when the server or the bucket fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from lading.client.client import Client
from lading.client.direct import PATIENCE, DirectUpload
from lading.client.source import open_source
from lading.protocol.errors import InvalidArgument, Unavailable
from lading.protocol.spec import UploadSpec
from tests.lading.conftest import Clock

SERVER = "http://lading.test"
BUCKET = "http://bucket.test"
BYTES = b"the bytes of a film"
PART = 10

Answer = Callable[[httpx.Request], httpx.Response | None]


class Network:
    """A server and its bucket in place of the network. `answer` may answer in their place."""

    def __init__(self, *, in_parts: bool) -> None:
        self.answer: Answer = lambda _request: None
        self.heard: list[str] = []
        self.announced: list[dict[str, Any]] = []
        self.stored: dict[int, bytes] = {}
        self._in_parts = in_parts

    def count(self, start: str) -> int:
        return sum(each.startswith(start) for each in self.heard)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        self.heard.append(f"{request.method} {request.url.path}")
        answer = self.answer(request)
        if answer is not None:
            return answer
        if request.url.host == "bucket.test":
            self.stored[int(request.url.path.rpartition("/")[2])] = body
            return httpx.Response(200)
        return self._told(request, body)

    def _told(self, request: httpx.Request, body: bytes) -> httpx.Response:
        match request.method, request.url.path:
            case "POST", "/v1/media":
                self.announced.append(json.loads(body))
                return self._media()
            case "GET", "/v1/media/1":
                return self._media()
            case "GET", "/v1/media/1/parts":
                parts = [self._part(start) for start in range(0, len(BYTES), PART)]
                return httpx.Response(200, json={"parts": parts, "next": None})
            case "POST", "/v1/media/1/finalize":
                if sum(map(len, self.stored.values())) < len(BYTES):
                    return refusal(409, "incomplete")
                return httpx.Response(200, json={"_id": "1", "name": "film"})
            case "GET", "/v1/files" | "/v1/uploads" | "/v1/kinds":
                name = request.url.path.rpartition("/")[2]
                return httpx.Response(200, json={name: [], "cursor": None})
        raise AssertionError(f"{request.method} {request.url} is not expected.")

    def _media(self) -> httpx.Response:
        media = {"_id": "1", "name": "film", "upload_size": 0, "sha256": None}
        one = {"url": f"{BUCKET}/0", "headers": {}, "direct": True}
        upload = {"url": "/v1/g/lg_x", "parts": {}} if self._in_parts else one
        return httpx.Response(200, json={"media": media, "upload": upload})

    def _part(self, start: int) -> dict[str, Any]:
        size = min(PART, len(BYTES) - start)
        about = {"url": f"{BUCKET}/{start}", "headers": {}, "stored": start in self.stored}
        return {"start": start, "size": size, **about}


def at_the_bucket(answer: Answer) -> Answer:
    return lambda request: answer(request) if request.method == "PUT" else None


def refusal(status: int, code: str, detail: str = "") -> httpx.Response:
    return httpx.Response(
        status,
        content=json.dumps({"code": code, "detail": detail}),
        headers={"content-type": "application/problem+json"},
    )


@pytest.fixture(params=[False, True], ids=["whole", "in parts"])
def network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Network:
    found = Network(in_parts=request.param)

    async def handle(_transport: object, sent: httpx.Request) -> httpx.Response:
        return await found.handle(sent)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    return found


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(BYTES)
    return path


async def attempt(film: Path, clock: Clock, known: str | None = None) -> Any:
    """One attempt past the server: the manifest, or None where the server is to take the bytes."""
    source = await open_source(film, None, sha256=True)
    spec = UploadSpec(name="film", size=len(BYTES), fingerprint="file-1:x")
    try:
        async with Client(SERVER, "token", timing=clock.timing()) as client:
            return await DirectUpload(client._api, source, spec, Mock()).attempt(known)
    finally:
        await source.close()


async def test_nothing_is_sent_again_after_the_server_joined_the_parts(
    network: Network, film: Path, clock: Clock
) -> None:
    network.stored[0] = BYTES
    # The bucket knows no parts of a whole object.
    network.answer = lambda request: (
        refusal(503, "unavailable") if request.url.path.endswith("/parts") else None
    )
    assert (await attempt(film, clock, known="1"))["_id"] == "1"
    assert network.count("PUT") == 0


async def test_a_verification_that_always_fails_ends_the_upload(
    network: Network, film: Path, clock: Clock
) -> None:
    def answer(request: httpx.Request) -> httpx.Response | None:
        assert network.count("POST /v1/media/1/finalize") < 200
        finalizes = request.url.path.endswith("/finalize")
        return refusal(503, "unavailable") if finalizes else None

    network.answer = answer
    async with Client(SERVER, "token", timing=clock.timing()) as client:
        upload = client.upload(film, direct=True)
        with pytest.raises(Unavailable):
            await upload
    assert upload.bytes_sent == len(BYTES)


SLOW = "<Error><Code>RequestTimeout</Code></Error>"
EXPIRED = "<Error><Code>ExpiredToken</Code></Error>"


@pytest.mark.parametrize(("status", "body"), [(408, ""), (429, ""), (400, SLOW), (503, "")])
async def test_a_temporary_answer_of_the_bucket_is_no_refusal(
    network: Network, film: Path, clock: Clock, status: int, body: str
) -> None:
    network.answer = at_the_bucket(
        lambda _request: httpx.Response(status, text=body) if network.count("PUT") <= 2 else None
    )
    assert (await attempt(film, clock))["_id"] == "1"


@pytest.mark.parametrize(("status", "body"), [(400, EXPIRED), (403, SLOW)])
async def test_a_refusal_of_the_bucket_is_final(
    network: Network, film: Path, clock: Clock, status: int, body: str
) -> None:
    network.answer = at_the_bucket(lambda _request: httpx.Response(status, text=body))
    assert await attempt(film, clock) is None
    assert clock.slept == []


async def test_a_bucket_that_keeps_failing_leaves_the_bytes_to_the_server(
    network: Network, film: Path, clock: Clock
) -> None:
    network.answer = at_the_bucket(lambda _request: httpx.Response(503))
    assert await attempt(film, clock) is None
    assert sum(clock.slept) > PATIENCE - 1


@pytest.mark.parametrize("network", [True], indirect=True, ids=["in parts"])
async def test_a_server_that_cannot_list_the_parts_is_not_taken_for_its_bucket(
    network: Network, film: Path, clock: Clock
) -> None:
    network.answer = lambda request: (
        httpx.Response(502) if request.url.path.endswith("/parts") else None
    )
    with pytest.raises(Unavailable):
        await attempt(film, clock)


def refusing(detail: str) -> Answer:
    """An announcement with a fingerprint is refused."""

    def answer(request: httpx.Request) -> httpx.Response | None:
        refused = request.url.path == "/v1/media" and b"fingerprint" in request.content
        return refusal(400, "invalid-argument", detail) if refused else None

    return answer


async def test_an_older_server_gets_no_fingerprint(
    network: Network, film: Path, clock: Clock
) -> None:
    network.answer = refusing("`fingerprint` is not a known field; did you mean `name`?")
    assert (await attempt(film, clock))["_id"] == "1"
    assert network.count("POST /v1/media") == 3
    assert [sorted(each) for each in network.announced] == [
        ["directory", "name", "sha256", "size", "tags"]
    ]


async def test_a_fingerprint_that_is_refused_is_not_left_out(
    network: Network, film: Path, clock: Clock
) -> None:
    network.answer = refusing("`fingerprint` must have at most 200 characters.")
    with pytest.raises(InvalidArgument):
        await attempt(film, clock)
    assert network.count("POST /v1/media") == 1
