import pytest

from lading.commands.common import worst


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([4, 4, 0], 4), ([3, 4], 1), ([1, 0, 2], 1)],
)
def test_one_exit_code_for_many(codes: list[int], code: int) -> None:
    assert worst(codes) == code
