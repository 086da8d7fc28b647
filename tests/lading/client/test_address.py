import json
from pathlib import Path

import pytest

from lading.client.address import Address, Credential, find, parse
from lading.client.client import Client
from lading.client.errors import NoServer
from lading.protocol.errors import InvalidArgument


@pytest.fixture
def data(tmp_path: Path) -> Path:
    note = {"url": "http://127.0.0.1:9", "token": "local", "pid": 1}
    (tmp_path / "server.json").write_text(json.dumps(note))
    return tmp_path


def test_what_is_given_comes_first(data: Path) -> None:
    environ = {"LADING_URL": "http://env", "LADING_TOKEN": "env", "LADING_DATA": str(data)}
    assert find("http://given", "given", environ) == Address("http://given", "given")
    assert find("http://given", None, environ) == Address("http://given", "env")
    assert find(None, None, environ) == Address("http://env", "env")


def test_a_server_on_this_machine_is_found(data: Path) -> None:
    assert find(None, None, {"LADING_DATA": str(data)}) == Address(
        "http://127.0.0.1:9", "local", is_direct=True
    )
    assert find(None, "mine", {"LADING_DATA": str(data)}).token == "mine"


def test_its_token_is_for_it_alone(data: Path) -> None:
    assert find("http://elsewhere", None, {"LADING_DATA": str(data)}).token is None


def test_the_usual_data_directory(
    data: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    with pytest.raises(NoServer, match="LADING_URL"):
        find(None, None, {})
    (here / "lading-data").symlink_to(data)
    assert find(None, None, {}).token == "local"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"'])
def test_a_broken_note_is_told(data: Path, text: str) -> None:
    (data / "server.json").write_text(text)
    with pytest.raises(NoServer, match=r"server\.json cannot be used"):
        find(None, None, {"LADING_DATA": str(data)})


@pytest.mark.parametrize(
    ("pasted", "url", "token"),
    [
        ("http://host:8080/", "http://host:8080", None),
        ("host:8080", "http://host:8080", None),
        ("https://host/media/", "https://host/media", None),
        ("http://host:8080/?token=abc", "http://host:8080", "abc"),
        ("http://[::1]:8080", "http://[::1]:8080", None),
    ],
)
def test_addresses_as_people_paste_them(pasted: str, url: str, token: str | None) -> None:
    assert parse(pasted) == Address(url, token)


@pytest.mark.parametrize("wrong", ["ftp://host", "http://", "http:///path", "://"])
def test_what_is_no_address(wrong: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(wrong)


def test_addresses_made_of_it() -> None:
    address = Address("https://host/media")
    assert address.socket_url == "wss://host/media/v1/ws"
    assert Address("http://host").socket_url == "ws://host/v1/ws"
    assert Address("http://host").absolute("/v1/files/a") == "http://host/v1/files/a"
    assert address.absolute("https://cdn/v1/files/a") == "https://cdn/v1/files/a"


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(Address("http://host", "secret"))


async def test_a_fixed_token() -> None:
    credential = Credential("a")
    credential.forget()
    assert await credential.get() == "a"
    assert not credential.renewable
    assert await Credential(None).get() is None


async def test_a_token_that_is_fetched() -> None:
    given = iter("ab")

    async def fetch() -> str:
        return next(given)

    credential = Credential(fetch)
    assert credential.renewable
    assert [await credential.get(), await credential.get()] == ["a", "a"]
    credential.forget()
    assert await credential.get() == "b"


async def test_a_token_from_a_plain_function() -> None:
    assert await Credential(lambda: "a").get() == "a"


@pytest.mark.parametrize(
    "wrong", ["bad\ntok", "tok\r", "bad tok", " secret", "b\x00d", "gehe\u00ed"]
)
async def test_what_no_header_can_carry_is_no_token(wrong: str) -> None:
    for make in (lambda: Credential(wrong), lambda: Client("http://host", wrong)):
        with pytest.raises(InvalidArgument) as fixed:
            make()
        assert wrong not in str(fixed.value)
    with pytest.raises(InvalidArgument) as fetched:
        await Credential(lambda: wrong).get()
    assert wrong not in str(fetched.value)
