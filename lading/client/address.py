"""Where the server is and with which credential to come.

It owns the rules by which a command finds its server: what it was given, then the environment,
then the `server.json` that a server on this machine wrote. It refuses to know HTTP and WebSocket.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit, urlunsplit

from lading.client.errors import NoServer
from lading.protocol.errors import InvalidArgument

Token = str | Callable[[], str | Awaitable[str]] | None
"""A credential, or a function that gives one and is called again when it has expired."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address without a slash at its end, and the credential found with it."""

    url: str
    token: str | None = field(default=None, repr=False)

    @property
    def socket_url(self) -> str:
        """The WebSocket address of the channel."""
        return "ws" + self.url.removeprefix("http") + "/v1/ws"

    def absolute(self, url: str) -> str:
        """An address that the server gave, made absolute."""
        return urljoin(self.url + "/", url)


def find(url: str | None, token: str | None, environ: Mapping[str, str]) -> Address:
    """The server to talk to.

    `url` and `token` come first, then `LADING_URL` and `LADING_TOKEN`, then the `server.json` in
    `LADING_DATA` or `./lading-data`. Raises NoServer when nothing is known, InvalidArgument for
    what is no HTTP address.
    """
    url = url or environ.get("LADING_URL") or None
    token = token or environ.get("LADING_TOKEN") or None
    if url is None:
        local = _local(Path(environ.get("LADING_DATA") or "lading-data") / "server.json")
        if local is None:
            raise NoServer()
        url, token = local.url, token or local.token
    return parse(url, token)


def parse(url: str, token: str | None = None) -> Address:
    """An address as people paste it: the page's own, with its `?token=`, works too."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgument(f"{url} is not an address such as http://host:8000.")
    found = parse_qs(parts.query).get("token")
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return Address(base, token or (found[0] if found else None))


def _local(path: Path) -> Address | None:
    try:
        facts = json.loads(path.read_text("utf-8"))
        return Address(str(facts["url"]), facts.get("token"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoServer(f"{path} cannot be used ({error}). Set LADING_URL or --server.") from error


class Credential:
    """The token in use. A token that comes from a function is renewed when it is refused.

    Raises InvalidArgument, when made or asked, for what cannot be a token.
    """

    def __init__(self, token: Token) -> None:
        self._source = token
        self._value = _checked(token) if isinstance(token, str) else None

    @property
    def renewable(self) -> bool:
        return callable(self._source)

    def forget(self) -> None:
        """The token was refused: ask for another before the next use."""
        if self.renewable:
            self._value = None

    async def get(self) -> str | None:
        """The token to send, or None for a server that asks for none."""
        if self._value is None and callable(self._source):
            value = self._source()
            self._value = _checked(await value if inspect.isawaitable(value) else value)
        return self._value


def _checked(token: str) -> str:
    """The token; raises InvalidArgument, which does not tell it, when no header can carry it."""
    if not all("!" <= character <= "~" for character in token):
        raise InvalidArgument(
            "The token holds a space, a line's end or another character that no token has."
        )
    return token
