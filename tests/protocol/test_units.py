import pytest

from lading.protocol.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123", 123),
        ("7b", 7),
        ("32MB", 32_000_000),
        ("32mb", 32_000_000),
        ("4MiB", 4 * 2**20),
        ("4 MiB", 4 * 2**20),
        (" 1.5GiB ", 3 * 2**29),
        ("2GB", 2 * 10**9),
        ("1TB", 10**12),
        ("1tib", 2**40),
        ("64kB", 64_000),
        ("64KiB", 65_536),
        (4096, 4096),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5h", 5400), ("24h", 86_400), ("2d", 172_800), ("5m", 300)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_a_duration_may_be_shorter_than_a_second() -> None:
    assert parse_duration("250ms") == pytest.approx(0.25)


@pytest.mark.parametrize("text", ["", "MB", "4 MiB x", "-1", "1e3", "4XB", "0x10", "1,5MB", "nan"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="32MB or 4MiB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "h", "-1s", "1 week", "1e3", "12:00", "inf"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="90s or 24h"):
        parse_duration(text)
