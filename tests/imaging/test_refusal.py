"""What is said of a file that cannot be decoded."""

from __future__ import annotations

import pytest

from lading.imaging.refusal import BROKEN, UNKNOWN, undecoded


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "heif: Invalid input: Bitstream not supported by this decoder (2.0)",
            UNKNOWN,
        ),
        ("VipsJpeg: premature end of JPEG image", BROKEN),
    ],
    ids=["large", "damaged"],
)
def test_a_large_avif_is_not_called_damaged(said: str, reason: str) -> None:
    assert str(undecoded(ValueError(said))) == reason
