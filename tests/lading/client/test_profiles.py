from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from lading.client import profiles
from lading.client.address import find
from lading.client.errors import NoServer
from lading.client.profiles import Profile
from lading.protocol.errors import InvalidArgument

HOME = Profile("http://home:1", "h")
WORK = Profile("http://work:2", "w")


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    found = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    profiles.save("default", HOME, found)
    profiles.save("work", WORK, found)
    return found


def test_what_is_saved_is_read_again(environ: dict[str, str]) -> None:
    assert profiles.read(environ) == {"default": HOME, "work": WORK}
    assert profiles.forget("default", environ) == HOME
    assert profiles.read(environ) == {"work": WORK}


def test_only_the_owner_can_read_it_also_where_others_could_before(
    environ: dict[str, str],
) -> None:
    path = profiles.place(environ)
    assert path is not None
    path.chmod(0o644)
    profiles.save("more", HOME, environ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["profiles.json"]


def test_where_it_is() -> None:
    assert str(profiles.place({"HOME": "/home/ann"})) == "/home/ann/.config/lading/profiles.json"
    relative = {"XDG_CONFIG_HOME": "config", "HOME": "/home/ann"}
    assert profiles.place(relative) == profiles.place({"HOME": "/home/ann"})
    assert profiles.place({}) is None
    assert profiles.read({}) == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"profiles": 1}', '{"profiles": {"a": {}}}'])
def test_a_damaged_file_is_named(environ: dict[str, str], text: str) -> None:
    path = profiles.place(environ)
    assert path is not None
    path.write_text(text)
    with pytest.raises(InvalidArgument, match="cannot be used"):
        profiles.read(environ)


def test_which_server_is_used(environ: dict[str, str]) -> None:
    def used(
        url: str | None = None,
        token: str | None = None,
        profile: str | None = None,
        **more: str,
    ) -> tuple[str, str | None]:
        address = find(url, token, {**environ, **more}, profile)
        return address.url, address.token

    assert used() == ("http://home:1", "h")
    assert used(LADING_PROFILE="work") == ("http://work:2", "w")
    assert used(LADING_TOKEN="t") == ("http://home:1", "t")
    assert used(LADING_URL="http://e:3") == ("http://e:3", None)
    assert used(LADING_URL="http://e:3", LADING_PROFILE="work") == ("http://e:3", None)
    # An option comes before the environment.
    assert used(profile="work", LADING_URL="http://e:3", LADING_TOKEN="t") == ("http://work:2", "w")
    assert used(profile="work", token="o") == ("http://work:2", "o")
    assert used(url="http://o:4", profile="work") == ("http://o:4", None)
    with pytest.raises(InvalidArgument, match="There is no profile x"):
        used(LADING_PROFILE="x")


def test_without_a_profile_the_server_of_this_machine_is_used(
    environ: dict[str, str], tmp_path: Path
) -> None:
    profiles.forget("default", environ)
    with pytest.raises(NoServer):
        find(None, None, environ)
    (tmp_path / "lading-data").mkdir()
    facts = {"url": "http://127.0.0.1:8080", "token": "local"}
    (tmp_path / "lading-data" / "server.json").write_text(json.dumps(facts))
    assert find(None, None, environ).token == "local"
