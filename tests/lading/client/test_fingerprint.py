import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.client.fingerprint import (
    SAMPLE,
    SAMPLES,
    dated_fingerprint,
    fingerprint,
    random_fingerprint,
    sample_starts,
)
from lading.protocol.spec import MAX_FINGERPRINT, UploadSpec

BASE = ("movie.mp4", 5000, 1_700_000_000_000_000_000, b"a" * 1024, b"z" * 1024)


def test_they_are_stable() -> None:
    # A new release must recognize an upload that an older one began.
    assert dated_fingerprint(*BASE) == (
        "file-1:5000:1700000000000000000:"
        "cf63bab67f34736626bcbedb63efdf34dbf93c62bb855ee1db1b529e4eb1cdae"
    )
    assert fingerprint("movie.mp4", 5000, [b"a" * 4096, b"z" * 4096]) == (
        "file-2:5000:288acb9c1b9d19e4076182cc50f39a30f11deaeea74d599ec677e05e0eb0a53f"
    )


def test_every_part_counts() -> None:
    others = [
        ("other.mp4", *BASE[1:]),
        (BASE[0], 5001, *BASE[2:]),
        (*BASE[:2], BASE[2] + 1, *BASE[3:]),
        (*BASE[:3], b"b" + BASE[3][1:], BASE[4]),
        (*BASE[:4], BASE[4][:-1] + b"y"),
    ]
    dated = {dated_fingerprint(*BASE), *(dated_fingerprint(*other) for other in others)}
    assert len(dated) == 6
    plain = {fingerprint(name, size, parts) for name, size, _, *parts in (BASE, *others)}
    assert len(plain) == 5  # all but the time


def test_parts_do_not_run_together() -> None:
    assert fingerprint("ab", 1, [b"c"]) != fingerprint("a", 1, [b"bc"])


@pytest.mark.parametrize("size", [0, 1, SAMPLE, SAMPLE + 1, 10 * SAMPLE - 1, SAMPLES * SAMPLE])
def test_the_samples_of_a_small_file_are_all_of_it(size: int) -> None:
    covered = {byte for start in sample_starts(size) for byte in range(start, start + SAMPLE)}
    assert covered >= set(range(size))


def test_the_samples_of_a_large_file_are_spread() -> None:
    starts = sample_starts(10**12)
    assert (len(starts), starts[0], starts[-1]) == (SAMPLES, 0, 10**12 - SAMPLE)
    assert starts == sorted(set(starts))


@given(st.text(min_size=1, max_size=1024), st.integers(0, 2**53), st.integers(-(2**63), 2**63))
def test_the_protocol_takes_it(name: str, size: int, mtime_ns: int) -> None:
    name = name.encode("utf-8", "replace").decode()
    for text in (dated_fingerprint(name, size, mtime_ns, b"", b""), fingerprint(name, size, [])):
        assert len(text) <= MAX_FINGERPRINT
        UploadSpec(name="a", fingerprint=text).check()


def test_a_random_one_is_never_met_again() -> None:
    assert random_fingerprint() != random_fingerprint()
    UploadSpec(name="a", fingerprint=random_fingerprint()).check()
