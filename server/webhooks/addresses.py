"""Where a webhook may be: https, and an address that everybody can reach.

An address that only this machine or its network can reach would let whoever may add webhooks send
requests to services that trust their network. So a name is resolved once, every address that it has
is judged, and the connection goes to one of those that were judged: a second resolution, which may
return another one, never happens. Numbers in other forms (`0x7f000001`, `2130706433`, `127.1`) are
resolved by the system like any name, and judged by what they mean.
Source: page 12 of the design, webhooks; RFC 6890 and the IANA special-purpose registries.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from lading.protocol.errors import InvalidArgument

MAX_URL = 2048

Address = IPv4Address | IPv6Address

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name, as text; raises OSError."""

_ALLOWED = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[!-~]*|\?[!-~]*)?")
"""Printable ASCII, no credentials: parsers differ in what they make of anything else."""

_SPECIAL_V4 = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; a cloud has its metadata there
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
)
"""Of these, or of some addresses in them, the library says that they are public."""

_PUBLIC_V6 = IPv6Network("2000::/3")
"""All that is public by IPv6 so far. NAT64, mapped and translated addresses are outside."""

_SPECIAL_V6 = tuple(
    IPv6Network(each)
    for each in (
        "2001::/23",  # Teredo, ORCHID and other protocols
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address may be inside
        "3fff::/20",  # documentation
    )
)


class Refused(Exception):
    """Nothing is sent to this address; the message says why, for whoever added the webhook."""


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a webhook's URL."""

    secure: bool
    host: str
    port: int
    path: str
    """Path and query, as the request names them."""

    @property
    def authority(self) -> str:
        """What the header `Host` says."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == (443 if self.secure else 80) else f"{shown}:{self.port}"


def parse(url: str, *, private: bool) -> Target:
    """The parts of a URL; raises InvalidArgument unless it can be a webhook.

    With `private` also one that begins with `http://`.
    """
    if len(url) > MAX_URL:
        raise InvalidArgument(f"`url` may have at most {MAX_URL} characters.")
    if not _ALLOWED.fullmatch(url) or "#" in url or "\\" in url:
        raise InvalidArgument(
            "`url` must be an address such as https://example.org/hook, without credentials, "
            "fragment, or characters outside ASCII."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0:
        raise InvalidArgument("`url` has no host, or a port that is none.")
    secure = parts.scheme == "https"
    if not secure and not private:
        raise InvalidArgument("`url` must begin with https://.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)


def is_public(address: Address) -> bool:
    """Whether everybody can reach an address, and it hides no other one."""
    if isinstance(address, IPv4Address):
        special = any(address in network for network in _SPECIAL_V4)
        return address.is_global and not address.is_multicast and not special
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False
    return address.is_global and not any(address in network for network in _SPECIAL_V6)


async def system(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


async def choose(target: Target, resolve: Resolve, *, private: bool) -> str:
    """The address to connect to; raises Refused.

    Every address of the name must be public, unless `private`. Without TLS none may be.
    """
    try:
        found = [ip_address(each) for each in await resolve(target.host, target.port)]
    except (OSError, UnicodeError, ValueError):
        found = []
    if not found:
        raise Refused(f"The name {target.host} has no address.")
    public = [is_public(each) for each in found]
    if not private and not all(public):
        raise Refused(
            f"{target.host} has an address that is not public; webhooks are sent there only with "
            "LADING_WEBHOOK_PRIVATE=true."
        )
    if not target.secure and any(public):
        raise Refused(f"{target.host} has a public address: its URL must begin with https://.")
    return str(found[0])
