"""Pictures by a real server and the real imaging room, judged by another reader of webp."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.support.photos import jpeg

SAMPLES = Path(__file__).parents[3] / "imaging" / "samples"
"""Made by other programs: see `make.py` there."""


async def put(http: httpx.AsyncClient, data: bytes, name: str, mime_type: str) -> str:
    answer = await http.post(
        "/v1/files", params={"name": name}, content=data, headers={"Content-Type": mime_type}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["_id"])


async def sample(http: httpx.AsyncClient, name: str, mime_type: str) -> str:
    return await put(http, (SAMPLES / name).read_bytes(), name, mime_type)


async def picture(http: httpx.AsyncClient, file_id: str, quality: str) -> httpx.Response:
    """The answer to a request for a picture, when it is no 202 any more."""
    async with asyncio.timeout(60):
        while True:
            answer = await http.get(f"/v1/files/{file_id}/{quality}")
            if answer.status_code != 202:
                return answer


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/webp"
    image = Image.open(BytesIO(answer.content))
    assert image.format == "WEBP"
    return image


async def media(http: httpx.AsyncClient, file_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await http.get(f"/v1/manifests/{file_id}")).json()["media"]
    return found


async def test_a_photo_in_all_qualities(http: httpx.AsyncClient) -> None:
    file_id = await put(http, jpeg(2000, 1000), "photo.jpg", "image/jpeg")
    sides = {"1": 10, "2": 40, "3": 160, "4": 320, "5": 640, "6": 1080}
    for quality, side in sides.items():
        assert opened(await picture(http, file_id, quality)).size == (side, side // 2)
    assert opened(await picture(http, file_id, "4?crop=square")).size == (320, 320)
    facts = await media(http, file_id)
    assert (facts["kind"], facts["width"], facts["height"]) == ("image", 2000, 1000)
    assert facts["placeholder"].startswith("data:image/webp;base64,")


async def test_a_picture_has_no_metadata_of_the_original(http: httpx.AsyncClient) -> None:
    original = (SAMPLES / "located.jpg").read_bytes()
    assert b"Exif" in original
    file_id = await put(http, original, "located.jpg", "image/jpeg")
    for quality in "123456":
        image = opened(await picture(http, file_id, quality))
        assert not image.getexif()
        assert not {"exif", "xmp", "icc_profile"} & set(image.info)


@pytest.mark.parametrize(
    ("name", "mime_type", "kind"),
    [
        ("plain.heic", "image/heic", "image"),
        ("plain.avif", "image/avif", "image"),
        ("vp9.webm", "video/webm", "video"),
        ("moov-first.mp4", "video/mp4", "video"),
        ("covered.mp3", "audio/mpeg", "audio"),
    ],
)
async def test_what_has_a_picture(
    http: httpx.AsyncClient, name: str, mime_type: str, kind: str
) -> None:
    file_id = await sample(http, name, mime_type)
    image = opened(await picture(http, file_id, "4"))
    facts = await media(http, file_id)
    assert facts["kind"] == kind
    assert max(image.size) == min(320, max(facts["width"], facts["height"]))
    if kind != "image":
        assert facts["duration"] > 0
        assert facts["codecs"]


async def test_a_sound_without_a_cover_has_facts_and_no_picture(http: httpx.AsyncClient) -> None:
    file_id = await sample(http, "grows.wav", "audio/wav")
    answer = await picture(http, file_id, "4")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    facts = await media(http, file_id)
    assert (facts["kind"], facts["placeholder"]) == ("audio", None)
    assert facts["duration"] == pytest.approx(2.0, abs=0.1)
    assert facts["waveform"]


@pytest.mark.parametrize("kept", [0.2, 0.9])
async def test_a_truncated_photo_is_unprocessable(http: httpx.AsyncClient, kept: float) -> None:
    whole = jpeg(800, 600)
    file_id = await put(http, whole[: int(len(whole) * kept)], "half.jpg", "image/jpeg")
    answer = await picture(http, file_id, "4")
    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable-image")
    assert answer.json()["detail"]


async def test_a_grid_of_fresh_photos(http: httpx.AsyncClient) -> None:
    ids = [await put(http, jpeg(600, 400), f"{n}.jpg", "image/jpeg") for n in range(12)]
    found = await asyncio.gather(*(picture(http, file_id, "3") for file_id in ids))
    assert {opened(answer).size for answer in found} == {(160, 107)}
