"""What the server believes of the child's messages."""

from __future__ import annotations

import tracemalloc
from dataclasses import asdict, replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.imaging import pipe
from lading.imaging.ladder import Variant
from lading.imaging.made import Media, Picture
from lading.imaging.pipe import Absent, Broken, Done, Drawn, Hello, Read, Refused

WEBP = b"RIFF\0\0\0\0WEBPVP8 "
MOST = 4096
FACTS = Media(kind="video", width=320, height=180, duration=2.0, codecs=("h264",), title="A film")


def parsed(frame: bytes) -> pipe.Reply:
    return pipe.parse(frame[pipe.LENGTH.size :], MOST)


def test_a_job_arrives_as_it_was_sent() -> None:
    variants = (Variant(3), Variant(6, "square"))
    body = pipe.job(77, variants)[pipe.LENGTH.size :]
    assert pipe.read_job(body) == (77, variants)
    assert pipe.read_data(pipe.frame(pipe.DATA, b"bytes")[pipe.LENGTH.size :]) == b"bytes"


@pytest.mark.parametrize(
    ("frame", "reply"),
    [
        (pipe.frame(pipe.HELLO, True, False, True, True), Hello(True, False, True, True)),
        (pipe.frame(pipe.READ, 5, 9), Read(5, 9)),
        (pipe.drawn(Variant(3), Picture(WEBP, 160, 90)), Drawn(Variant(3), Picture(WEBP, 160, 90))),
        (pipe.done(None), Done(None)),
        (pipe.done(FACTS), Done(FACTS)),
        (pipe.frame(pipe.REFUSED, "It is\nbroken."), Refused("It is broken.")),
        (pipe.frame(pipe.ABSENT), Absent()),
    ],
)
def test_a_message_is_read(frame: bytes, reply: pipe.Reply) -> None:
    assert parsed(frame) == reply


def facts(**changes: Any) -> bytes:
    return pipe.frame(pipe.DONE, asdict(FACTS) | changes)


@pytest.mark.parametrize(
    "frame",
    [
        pipe.frame("unknown"),
        pipe.frame(pipe.READ, 5),
        pipe.frame(pipe.READ, 5, 5),
        pipe.frame(pipe.READ, -1, 5),
        pipe.frame(pipe.READ, 0, pipe.MOST_READ + 1),
        pipe.frame(pipe.READ, True, 5),
        pipe.frame(pipe.PICTURE, [3, None], b"<script>alert(1)</script>", 10, 10),
        pipe.frame(pipe.PICTURE, [3, None], WEBP, 161, 10),
        pipe.frame(pipe.PICTURE, [3, None], WEBP, 10, 0),
        pipe.frame(pipe.PICTURE, [0, None], WEBP, 10, 10),
        pipe.frame(pipe.PICTURE, [7, None], WEBP, 10, 10),
        pipe.frame(pipe.PICTURE, 3, WEBP, 10, 10),
        pipe.frame(pipe.PICTURE, [3, None], WEBP + bytes(MOST), 10, 10),
        pipe.frame(pipe.HELLO, 1, 1, 1, 1),
        pipe.frame(pipe.DONE, {"kind": "image"}),
        pipe.frame(pipe.DONE, 7),
        facts(kind="pdf"),
        facts(kind=["image"]),
        facts(width=0),
        facts(width=2**40),
        facts(duration=float("nan")),
        facts(duration=float("inf")),
        facts(duration=-1.0),
        facts(codecs=["h264"] * 9),
        facts(codecs=[1]),
        facts(title=b"bytes"),
        facts(waveform=bytes(801)),
        facts(placeholder="text"),
        facts(alpha=1),
        b"....\xc1",
        b"....\x80",
        b"....",
        b"...." + b"\x91" * 5000,
    ],
)
def test_anything_else_is_broken(frame: bytes) -> None:
    with pytest.raises(Broken):
        parsed(frame)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("A\nB\x00C", "A B C"),
        ("  \x1b[31m ", "[31m"),
        ("abc\u202ecba", "abc cba"),
        ("\0", None),
        ("x" * 9000, "x" * pipe.MOST_TEXT),
    ],
)
def test_titles_are_one_line_that_can_be_shown(told: str, shown: str | None) -> None:
    reply = parsed(facts(title=told))
    assert isinstance(reply, Done)
    assert reply.media is not None
    assert reply.media.title == shown


def test_tags_of_any_length_are_cut_by_the_child() -> None:
    long, cut = "x" * (pipe.OVERHEAD + 1), "x" * pipe.MOST_TEXT
    reply = parsed(pipe.done(replace(FACTS, title=long, artist=long, album=long)))
    assert reply == Done(replace(FACTS, title=cut, artist=cut, album=cut))


def test_a_message_of_many_parts_takes_no_memory() -> None:
    """A list of nothing is one byte on the pipe, and sixty in the server."""
    parts: list[Any] = []
    for _ in range(3):
        parts = [parts] * 60
    body = msgpack.packb([pipe.PICTURE, *[parts] * 4])
    tracemalloc.start()
    try:
        with pytest.raises(Broken):
            pipe.parse(body, len(body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) > 800_000
    assert peak < 100_000


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_broken(body: bytes) -> None:
    try:
        pipe.parse(body, MOST)
    except Broken:
        return


simple = st.sampled_from([None, True, -1, 0, 1, 2**63, 1e300, float("nan"), "", "a", b"", WEBP])
values = simple | st.lists(simple, max_size=3) | st.dictionaries(st.text(max_size=3), simple)


@given(
    kind=st.sampled_from(
        [pipe.HELLO, pipe.READ, pipe.PICTURE, pipe.DONE, pipe.REFUSED, pipe.ABSENT]
    ),
    items=st.lists(values, max_size=5),
)
def test_any_items_are_a_message_or_broken(kind: str, items: list[Any]) -> None:
    try:
        pipe.parse(msgpack.packb([kind, *items]), MOST)
    except Broken:
        return


@given(name=st.sampled_from(sorted(asdict(FACTS))), value=values)
def test_any_fact_is_believed_or_broken(name: str, value: Any) -> None:
    try:
        parsed(facts(**{name: value}))
    except Broken:
        return
