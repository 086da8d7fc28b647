"""Who is asking: from a credential to a principal.

It owns the ways to authenticate and the principal that stands behind all of them. It refuses to
know objects: whether a principal may touch one is asked where the object is fetched.
Source: page 4 of the design, "Access".
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lading.protocol.errors import Forbidden, NotFound, Unauthorized
from lading.protocol.grants import Action, Grant
from lading.protocol.manifest import Manifest

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone with a valid credential. `expires` is in Unix seconds, None for ever.

    `admin` may set quotas and see every user's; `may_grant` may mint grants for others. With a
    `grant` it is the grant's bearer, who acts for its user and may do what it allows, no more.
    """

    user_id: str
    admin: bool = False
    may_grant: bool = False
    expires: float | None = None
    grant: Grant | None = None

    def check_action(self, action: Action | None) -> None:
        """Raise Forbidden unless `action` is allowed; None is what no grant is for."""
        if self.grant is not None and self.grant.action is not action:
            raise Forbidden(f"This is a grant for {self.grant.action}, and for nothing else.")

    def check_quality(self, quality: int) -> None:
        """Raise Forbidden unless a file may be had in this quality; 0 is the original."""
        if self.grant is not None:
            self.grant.check_quality(quality)

    def check_owner(self, manifest: Manifest | None, upload_id: str) -> Manifest:
        """The manifest, if it is this principal's; what is another's does not exist.

        The bearer of a download grant hears Forbidden of every other id, whether it exists or not.
        """
        grant = self.grant
        if grant is not None and grant.action is Action.DOWNLOAD and grant.file_id != upload_id:
            raise Forbidden("This grant is for another file.")
        mine = manifest is not None and manifest.user_id == self.user_id
        if manifest is None or not mine or (grant is not None and not grant.covers(manifest)):
            raise NotFound(f"There is no upload or file {upload_id}.")
        return manifest


class Authenticator(Protocol):
    """Checks a credential."""

    async def principal(self, token: str | None) -> Principal:
        """Who the bearer of `token` is; raises Unauthorized."""
        ...


class TokenAuthenticator:
    """One random token for the one user of a server that was just started."""

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("the admin token is empty: remove the file that holds it")
        self._token = token.encode()

    async def principal(self, token: str | None) -> Principal:
        if token is None:
            raise Unauthorized("Send the token that the server printed when it started.")
        if not secrets.compare_digest(token.encode("utf-8", "surrogatepass"), self._token):
            raise Unauthorized("The token is not the one that the server printed.")
        return Principal(ADMIN, admin=True, may_grant=True)


class OpenAuthenticator:
    """No credential: everyone who reaches the loopback interface is the same user."""

    async def principal(self, token: str | None) -> Principal:  # noqa: ARG002
        return Principal(ADMIN, admin=True, may_grant=True)


def admin_token(data: Path) -> str:
    """The admin token in the data directory; made, readable by its owner alone, if absent."""
    path = data / "admin-token"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(32)
    # Written beside and linked, so that of two servers that start at once both read one token.
    draft = data / f".admin-token-{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    finally:
        draft.unlink()
    return token
