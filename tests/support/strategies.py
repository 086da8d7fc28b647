"""Any message of the protocol, for Hypothesis. Knows the grammar of page 3 and nothing of bytes."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from lading.protocol import messages as m
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import UploadSpec

integers = st.integers(0, MAX_INTEGER) | st.sampled_from(
    [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, MAX_INTEGER]
)
refs = st.integers(0, m.MAX_REF)
crcs = st.integers(0, 2**32 - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
nonces = integers | st.binary(max_size=125) | texts.filter(lambda text: len(text) <= 125)
pairs = st.lists(st.tuples(integers, integers), max_size=5).map(tuple)


T = TypeVar("T")


def maybe(values: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | values


facts = st.none() | st.booleans() | integers | texts | st.lists(integers, max_size=3)
problems = st.dictionaries(texts, facts | st.dictionaries(texts, facts, max_size=2), max_size=4)

specs = st.builds(
    UploadSpec,
    name=texts,
    size=maybe(integers),
    mime_type=maybe(texts),
    directory=texts,
    tags=st.lists(texts, max_size=4).map(tuple),
    sha256=maybe(texts),
    fingerprint=maybe(texts),
    chunk_size=maybe(integers),
    sha256_follows=st.booleans(),
)

client_messages: st.SearchStrategy[m.ClientMessage] = st.one_of(
    st.builds(m.Hello, maybe(texts), maybe(texts)),
    st.builds(m.Create, refs, specs),
    st.builds(m.Resume, refs, texts),
    st.builds(m.Chunk, refs, integers, crcs, st.binary()),
    st.builds(m.Finish, refs, maybe(integers), maybe(texts)),
    st.builds(m.Abort, refs),
    st.builds(m.Detach, refs),
    st.builds(m.Token, texts),
    st.builds(m.Ping, nonces),
)

server_messages: st.SearchStrategy[m.ServerMessage] = st.one_of(
    st.builds(m.Welcome, texts, integers, integers, integers, texts),
    st.builds(
        m.Opened, refs, texts, texts, maybe(integers), integers, integers, pairs, maybe(integers),
        texts,
    ),
    st.builds(m.Stored, refs, pairs, integers),
    st.builds(m.Refused, refs, integers, problems),
    st.builds(m.Window, integers),
    st.builds(m.Complete, refs, texts, integers, texts, maybe(texts), integers, texts),
    st.builds(m.Closed, refs),
    st.builds(m.Problem, maybe(refs), problems),
    st.builds(m.GoAway, texts, integers),
    st.builds(m.Pong, nonces),
    st.builds(m.Verifying, refs, integers, integers),
)  # fmt: skip
