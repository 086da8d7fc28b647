from hypothesis import given
from hypothesis import strategies as st

from lading.client.fingerprint import fingerprint, random_fingerprint
from lading.protocol.spec import MAX_FINGERPRINT, UploadSpec

BASE = ("movie.mp4", 5000, 1_700_000_000_000_000_000, b"a" * 1024, b"z" * 1024)


def test_it_is_stable() -> None:
    # A new release must know an upload again that an older one began.
    assert fingerprint(*BASE) == (
        "file-1:5000:1700000000000000000:"
        "cf63bab67f34736626bcbedb63efdf34dbf93c62bb855ee1db1b529e4eb1cdae"
    )


def test_every_part_counts() -> None:
    others = [
        ("other.mp4", *BASE[1:]),
        (BASE[0], 5001, *BASE[2:]),
        (*BASE[:2], BASE[2] + 1, *BASE[3:]),
        (*BASE[:3], b"b" + BASE[3][1:], BASE[4]),
        (*BASE[:4], BASE[4][:-1] + b"y"),
    ]
    assert len({fingerprint(*BASE), *(fingerprint(*other) for other in others)}) == 6


def test_parts_do_not_run_together() -> None:
    assert fingerprint("ab", 1, 1, b"c", b"") != fingerprint("a", 1, 1, b"bc", b"")


@given(st.text(min_size=1, max_size=1024), st.integers(0, 2**53), st.integers(-(2**63), 2**63))
def test_the_protocol_takes_it(name: str, size: int, mtime_ns: int) -> None:
    text = fingerprint(name.encode("utf-8", "replace").decode(), size, mtime_ns, b"", b"")
    assert len(text) <= MAX_FINGERPRINT
    UploadSpec(name="a", fingerprint=text).check()


def test_a_random_one_is_never_met_again() -> None:
    assert random_fingerprint() != random_fingerprint()
    UploadSpec(name="a", fingerprint=random_fingerprint()).check()
