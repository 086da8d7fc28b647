"""Which addresses a webhook may have: the whole list, and the ways around it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lading.protocol.errors import InvalidArgument
from lading.server.webhooks.addresses import Refused, choose, is_public, parse, system

NOT_PUBLIC = {
    "0.0.0.0": "this host",
    "0.1.2.3": "this network",
    "10.0.0.1": "private",
    "100.64.0.1": "shared by customers of a carrier",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local: metadata of clouds",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.1": "protocol assignments",
    "192.0.0.192": "metadata of a cloud",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4 relay",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "compatible with IPv4",
    "::808:808": "compatible with IPv4, of a public address",
    "::ffff:127.0.0.1": "mapped",
    "::ffff:8.8.8.8": "mapped, of a public address",
    "::ffff:0:127.0.0.1": "translated",
    "64:ff9b::7f00:1": "NAT64",
    "64:ff9b::808:808": "NAT64, of a public address",
    "64:ff9b:1::a00:1": "NAT64 of a local network",
    "100::1": "discard",
    "2001::1": "Teredo",
    "2001:10::1": "ORCHID",
    "2001:20::1": "ORCHID",
    "2001:db8::1": "documentation",
    "2002:7f00:1::1": "6to4 of a loopback address",
    "2002:a9fe:a9fe::1": "6to4 of metadata",
    "3fff::1": "documentation",
    "5f00::1": "segment routing",
    "fc00::1": "unique local",
    "fd00:ec2::254": "unique local: metadata of a cloud",
    "fe80::1": "link-local",
    "fe80::1%lo": "link-local with a zone",
    "2606:4700::1111%lo": "public with a zone",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}

PUBLIC = ("8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1")


async def never(_host: str, _port: int) -> list[str]:
    raise AssertionError("nothing is to be resolved")


@pytest.mark.parametrize("address", NOT_PUBLIC, ids=lambda each: f"{each} {NOT_PUBLIC[each]}")
def test_an_address_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_name_of_such_an_address_is_refused(address: str) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return [address]

    target = parse("https://rebound.example.org/hook", private=False)
    with pytest.raises(Refused, match="not public"):
        await choose(target, resolve, private=False)


@pytest.mark.parametrize("others", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"]])
async def test_one_such_address_among_others_is_refused(others: list[str]) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return others

    target = parse("https://mixed.example.org/", private=False)
    with pytest.raises(Refused, match="not public"):
        await choose(target, resolve, private=False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00::1]",
    ],
)
async def test_the_system_resolves_it_and_it_is_refused(host: str) -> None:
    """Numbers in other forms are what the system takes them for."""
    with pytest.raises((Refused, InvalidArgument)):
        await choose(parse(f"https://{host}/", private=False), system, private=False)


async def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(Refused, match="has no address"):
        await choose(parse("https://nowhere.invalid/", private=False), system, private=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org/",
        "http://example.org/",
        "HTTP://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https://",
        "https:///hook",
        "https://user@example.org/",
        "https://user:secret@example.org/",
        "https://example.org@127.0.0.1/",
        "https://example.org#@127.0.0.1/",
        "https://example.org\\@127.0.0.1/",
        "https://127.0.0.1\\.example.org/",
        "https://example.org/#part",
        "https://example.org/ space",
        "https://example.org/\nHost: other",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:port/",
        "https://exämple.org/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https://%31%32%37.0.0.1/",
        "https://[fe80::1%25lo]/",
        "https://[fe80::1%lo]/",
        "https://[::1/",
        "https://[zz]/",
        "https://example.org/" + "x" * 2048,
    ],
)
def test_what_is_no_address_of_a_webhook(url: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(url, private=False)


def test_the_parts_of_an_address() -> None:
    target = parse("https://hooks.example.org:8443/a/b?c=%20d", private=False)
    assert (target.host, target.port, target.path) == ("hooks.example.org", 8443, "/a/b?c=%20d")
    assert target.authority == "hooks.example.org:8443"
    assert parse("https://example.org", private=False).path == "/"
    assert parse("https://example.org?a=b", private=False).path == "/?a=b"
    assert parse("https://[2606:4700::1111]/", private=False).authority == "[2606:4700::1111]"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"])
async def test_private_addresses_are_allowed_where_the_operator_says_so(address: str) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return [address]

    for url in ("https://inside.example.org/", "http://inside.example.org/"):
        assert await choose(parse(url, private=True), resolve, private=True) == address


async def test_plain_http_goes_to_no_public_address() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8"]

    with pytest.raises(Refused, match="https"):
        await choose(parse("http://example.org/", private=True), resolve, private=True)
