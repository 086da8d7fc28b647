from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell


def test_ones_own(shell: Shell, movie: Path) -> None:
    (before,) = shell.events("usage")
    assert before["user_id"] == "admin"
    shell.put(movie)
    (line,) = shell.lines("usage")
    user, used, reserved, quota = line.split("\t")
    assert (user, quota) == ("admin", "none")
    assert int(used) == before["used"] + 2**20
    assert int(reserved) >= 0


def test_anothers_and_its_limit(shell: Shell) -> None:
    assert shell.lines("usage", "usage-jo", "--quota", "1.5MB") == ["usage-jo\t0\t0\t1500000"]
    assert shell.lines("usage", "usage-jo") == ["usage-jo\t0\t0\t1500000"]
    assert shell.lines("usage", "usage-jo", "--quota", "0") == ["usage-jo\t0\t0\t0"]
    assert shell.lines("usage", "usage-jo", "--quota", "none") == ["usage-jo\t0\t0\tnone"]
    assert shell.events("usage", "usage-jo", "--quota", "4KiB") == [
        {"user_id": "usage-jo", "used": 0, "reserved": 0, "quota": 4096}
    ]


def test_ones_own_limit(shell: Shell) -> None:
    assert shell.events("usage", "--quota", "100TB")[0]["quota"] == 100 * 10**12
    assert shell.events("usage", "--quota", "none")[0]["quota"] is None


@pytest.mark.parametrize("quota", ["much", "-1", "None"])
def test_a_limit_is_a_size(shell: Shell, quota: str) -> None:
    result = shell.run("usage", "--quota", quota)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "32MB or 4MiB, or none." in " ".join(result.stderr.split())


def test_without_the_right(shell: Shell) -> None:
    shell.environ["LADING_TOKEN"] = shell.lines("token", "--upload")[0].split(" ")[0]
    result = shell.run("usage")
    assert (result.exit_code, result.stdout) == (3, "")
