import pytest

from lading.commands.common import worst
from tests.lading.commands.conftest import Shell


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([4, 4, 0], 4), ([3, 4], 1), ([1, 0, 2], 1)],
)
def test_one_exit_code_for_many(codes: list[int], code: int) -> None:
    assert worst(codes) == code


def test_a_token_that_cannot_be_one_is_not_shown(shell: Shell) -> None:
    result = shell.run("--token", "bad\ntok", "ls")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("lading: The token holds a space, a line's end")
    assert "tok\n" not in result.stderr
    assert "bad" not in result.stderr
