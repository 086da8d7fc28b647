"""The server's address and the credential, and how they are found.

What the caller gives comes first, then the environment, then the profile of `lading login`, then
the `server.json` that a server on this machine wrote.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit, urlunsplit

from lading.client import profiles
from lading.client.errors import NoServer
from lading.protocol.errors import InvalidArgument
from lading.protocol.spec import ID

Token = str | Callable[[], str | Awaitable[str]] | None
"""A token, or a function that returns one and is called again when the server refuses it."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address without a slash at its end, and the token found with it."""

    url: str
    token: str | None = field(default=None, repr=False)
    is_direct: bool = False
    """Whether it is the server's own, with no proxy in between."""

    @property
    def socket_url(self) -> str:
        """The WebSocket address."""
        return "ws" + self.url.removeprefix("http") + "/v1/ws"

    def absolute(self, url: str) -> str:
        """An address that the server sent, made absolute. A path begins below the server's own."""
        return self.url + url if url.startswith("/") else urljoin(self.url + "/", url)


def find(
    url: str | None, token: str | None, environ: Mapping[str, str], profile: str | None = None
) -> Address:
    """The server to use. The first of these that is there names it:

    `url`; `profile`; `LADING_URL`; the profile that `LADING_PROFILE` names, else the one called
    `default`; the `server.json` in `LADING_DATA` or `./lading-data`. The token is `token`, else
    that of `profile`, else `LADING_TOKEN`, else the one that is kept with the address.

    Raises NoServer when there is none, InvalidArgument for an address that is not HTTP and for a
    profile that does not exist.
    """
    given = environ.get("LADING_TOKEN") or None
    if url:
        return parse(url, token or given)
    if profile is not None:
        return _profiled(profiles.named(profile, environ), token)
    if named := environ.get("LADING_URL"):
        return parse(named, token or given)
    chosen = environ.get("LADING_PROFILE") or None
    kept = (
        profiles.read(environ).get(profiles.DEFAULT)
        if chosen is None
        else profiles.named(chosen, environ)
    )
    if kept is not None:
        return _profiled(kept, token or given)
    local = _local(Path(environ.get("LADING_DATA") or "lading-data") / "server.json")
    if local is None:
        raise NoServer()
    return replace(local, token=token or given or local.token)


def _profiled(profile: profiles.Profile, token: str | None) -> Address:
    return parse(profile.url, token or profile.token)


def parse(url: str, token: str | None = None) -> Address:
    """An address as people paste it; that of the web page, with its `?token=`, works too."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgument(f"{url} is not an address such as http://host:8000.")
    found = parse_qs(parts.query).get("token")
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return Address(base, token or (found[0] if found else None))


def _local(path: Path) -> Address | None:
    try:
        facts = json.loads(path.read_text("utf-8"))
        return Address(str(facts["url"]), facts.get("token"), is_direct=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoServer(f"{path} cannot be used ({error}). Set LADING_URL or --server.") from error


def is_link(text: str) -> bool:
    """Whether it is an address, and not an id or a name."""
    return text.startswith(("http://", "https://"))


def origin(link: str) -> str:
    """The server of a link, without what follows."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def id_in(link: str, address: Address) -> str | None:
    """The id in an address of the client's own server, such as `lading put` prints."""
    found = link.removeprefix(address.url + "/v1/files/")
    return found if ID.fullmatch(found) else None


class Credential:
    """The current token. A token from a function is renewed when the server refuses it.

    Creating it and `get` raise InvalidArgument for text that cannot be a token.
    """

    def __init__(self, token: Token) -> None:
        self._source = token
        self._value = _checked(token) if isinstance(token, str) else None

    @property
    def renewable(self) -> bool:
        return callable(self._source)

    def forget(self) -> None:
        """The server refused the token: get another one before the next use."""
        if self.renewable:
            self._value = None

    async def get(self) -> str | None:
        """The token to send, or None to send none."""
        if self._value is None and callable(self._source):
            value = self._source()
            self._value = _checked(await value if inspect.isawaitable(value) else value)
        return self._value


def _checked(token: str) -> str:
    """The token. Raises InvalidArgument, without showing it, when no header can carry it."""
    if not all("!" <= character <= "~" for character in token):
        raise InvalidArgument(
            "The token contains a space, a line break or another character that is not allowed."
        )
    return token
