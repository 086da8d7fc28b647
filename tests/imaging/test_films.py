"""Facts of videos and audio files, covers and waveforms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.imaging import pipe, work
from lading.imaging.ladder import VARIANTS, Variant
from lading.imaging.limits import USUAL_LIMITS
from lading.imaging.made import PEAKS, Media
from tests.support.imaging import SAMPLES, Bytes, Studio, likeness, opened, reference

COVERED = ("covered.flac", "covered.m4a", "covered.mp3")
SOUNDS = (*COVERED, "grows.wav", "plain.opus", "tagged.ogg")


def facts(studio: Studio, name: str) -> Media:
    media = studio.make(SAMPLES / name).media
    assert media is not None
    return media


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("moov-first.mp4", ("h264", "aac")),
        ("silent.mov", ("h264",)),
        ("vp9.webm", ("vp9", "opus")),
        ("hevc.mkv", ("hevc",)),
        ("mjpeg.avi", ("mjpeg",)),
        ("broadcast.ts", ("mpeg2video", "mp2")),
        ("theora.ogv", ("theora", "vorbis")),
    ],
)
def test_facts_of_a_video(studio: Studio, name: str, codecs: tuple[str, ...]) -> None:
    media = facts(studio, name)
    assert media.kind == "video"
    assert (media.width, media.height) == (320, 240)
    assert media.frame_rate == 25.0
    assert media.codecs == codecs
    assert media.duration == pytest.approx(0.5 if name == "mjpeg.avi" else 2.0, abs=0.05)
    assert media.waveform is None
    assert media.placeholder is not None


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("moov-first.mp4", True),
        ("moov-last.mp4", False),
        ("hevc.mkv", None),
        ("covered.m4a", False),
    ],
)
def test_whether_a_film_can_be_played_while_it_arrives(
    studio: Studio, name: str, first: bool | None
) -> None:
    assert facts(studio, name).moov_first is first


@pytest.mark.parametrize("name", ["sideways-90.mp4", "sideways-270.mp4", "wide.mp4"])
def test_width_and_height_are_those_that_a_player_shows(studio: Studio, name: str) -> None:
    media = facts(studio, name)
    assert (media.width, media.height) == (320, 240)


def test_a_black_beginning_is_no_poster(studio: Studio) -> None:
    picture = studio.make(SAMPLES / "black-first.mp4", [Variant(6)]).pictures[Variant(6)]
    assert opened(picture.data).avg() > 60


def test_a_poster_has_all_variants(studio: Studio) -> None:
    assert set(studio.make(SAMPLES / "vp9.webm", VARIANTS).pictures) == set(VARIANTS)


@pytest.mark.parametrize("name", COVERED)
def test_the_cover_of_an_audio_file(studio: Studio, name: str) -> None:
    made = studio.make(SAMPLES / name, [Variant(6)])
    assert made.media is not None
    assert (made.media.width, made.media.height) == (240, 180)
    found = likeness(opened(made.pictures[Variant(6)].data), reference("scene-240"))
    assert found.delta < 4.0, found


@pytest.mark.parametrize("name", ["grows.wav", "plain.opus"])
def test_an_audio_file_without_a_cover_has_facts_only(studio: Studio, name: str) -> None:
    made = studio.make(SAMPLES / name, VARIANTS)
    assert made.pictures == {}
    assert made.media is not None
    assert made.media.placeholder is None


@pytest.mark.parametrize("name", [*COVERED, "tagged.ogg"])
def test_who_plays_what(studio: Studio, name: str) -> None:
    media = facts(studio, name)
    assert (media.title, media.artist, media.album) == ("A tone", "A generator", "Tests")


@pytest.mark.parametrize("name", SOUNDS)
def test_a_waveform_is_silent_and_grows_where_the_file_does(studio: Studio, name: str) -> None:
    media = facts(studio, name)
    assert media.kind == "audio"
    assert media.duration == pytest.approx(2.0, abs=0.1)
    assert media.waveform is not None
    assert len(media.waveform) == PEAKS
    quiet, begins, ends = (
        media.waveform[at] for at in (PEAKS // 4, PEAKS * 5 // 8, PEAKS * 15 // 16)
    )
    assert quiet < 8
    assert 15 < begins < 130
    assert ends > 150


async def test_of_a_large_film_little_is_read() -> None:
    """Sixty-four MiB of padding between the index and the data are never asked for."""
    from lading.imaging.worker import Imager

    data = (SAMPLES / "moov-last.mp4").read_bytes()
    padding = 64 * 2**20
    source = Bytes(data + padding.to_bytes(4, "big") + b"free" + bytes(padding - 8))
    imager = Imager()
    try:
        made = await imager.make(source, [Variant(3)])
    finally:
        await imager.close()
    assert set(made.pictures) == {Variant(3)}
    assert source.was_read < 4 * 2**20


def test_a_film_for_which_there_is_no_decoder_is_read_as_far_as_there_is_one(
    studio: Studio,
) -> None:
    data = (SAMPLES / "vp9.webm").read_bytes().replace(b"V_VP9", b"V_XXX")
    media = studio.make(data).media
    assert media is not None
    assert (media.kind, media.codecs) == ("audio", ("opus",))
    assert studio.make(data.replace(b"A_OPUS", b"A_XXXX")).media is None


def test_a_shape_that_cannot_be_is_no_shape(studio: Studio) -> None:
    """The sample is told to be 65,535 times as wide as it is."""
    data = bytearray((SAMPLES / "wide.mp4").read_bytes())
    at = data.index(b"pasp")
    data[at + 4 : at + 12] = b"\x00\x00\xff\xff\x00\x00\x00\x01"
    media = studio.make(bytes(data)).media
    assert media is not None
    assert media.width is not None
    assert media.width <= 16 * 160


def test_a_sound_that_is_too_long_to_be_heard_whole_has_no_waveform_and_all_else() -> None:
    """The beginning of the sample, then more sound than the child may read."""
    head = bytearray((SAMPLES / "grows.wav").read_bytes())
    at, more = head.index(b"data") + 4, 2 * 2**20
    head[at : at + 4] = (int.from_bytes(head[at : at + 4], "little") + more).to_bytes(4, "little")
    studio = Studio(replace(USUAL_LIMITS, read_bytes=2**20))
    try:
        media = studio.make(bytes(head) + bytes(more)).media
    finally:
        studio.close()
    assert media is not None
    assert (media.kind, media.codecs, media.waveform) == ("audio", ("pcm_s16le",), None)
    assert media.duration


def test_without_its_decoder_a_film_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data, sent = (SAMPLES / "moov-first.mp4").read_bytes(), list[bytes]()

    class Channel:
        def send(self, frame: bytes) -> None:
            sent.append(frame)

        def read(self, start: int, end: int) -> bytes:
            return data[start:end]

    monkeypatch.setattr(work, "films", None)
    work.carry_out(pipe.Job(len(data), ()), Channel(), USUAL_LIMITS)
    assert sent == [pipe.frame(pipe.ABSENT)]
