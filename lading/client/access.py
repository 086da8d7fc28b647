"""The part of `Client` about who may do what: grants, media, users, and what an admin sees.

Source: page 4 of the design.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from lading.client import lookup
from lading.client.address import Address
from lading.client.api import new_key
from lading.client.base import Base, segment
from lading.client.http_channel import finish
from lading.client.types import (
    DeletedUser,
    Grant,
    IssuedGrant,
    Manifest,
    Medium,
    PresignedAddress,
    Upload,
    Usage,
)
from lading.client.webhooks import Webhooks
from lading.protocol.spec import check_id


class Access(Base):
    """Grants, media, users, quotas, the audit log and webhooks."""

    address: Address

    # -- grants

    async def grant(
        self,
        file_id: str | None = None,
        *,
        quality: int | None = None,
        name: str | None = None,
        directory: str | None = None,
        size: int | None = None,
        max_size: int | None = None,
        sha256: str | None = None,
        mime_types: Iterable[str] = (),
        kind: str | None = None,
        uses: int | None = None,
        user_id: str | None = None,
        expires_in: float = 3600.0,
    ) -> Grant:
        """Create a token that allows one thing; its bearer needs no other credential.

        With `file_id` it allows to download that file, in every quality or in one. Without, it
        allows `uses` uploads (1 if not given) within the bounds; what is not given is not bounded.
        Sizes are bytes, `expires_in` is seconds. `user_id` is the owner of the uploads, or the
        owner that the file must have.
        """
        bounds: dict[str, Any] = {
            "action": "upload" if file_id is None else "download",
            "file_id": file_id,
            "quality": quality,
            "name": name,
            "directory": directory,
            "size": size,
            "max_size": max_size,
            "sha256": sha256,
            "mime_types": [*mime_types] or None,
            "kind": kind,
            "uses": uses,
            "user_id": user_id,
            "expires_in": expires_in,
        }
        given = {key: value for key, value in bounds.items() if value is not None}
        # Repeated after a lost answer, it must not leave a second token that nobody knows of.
        answer = await self._request("POST", "/v1/grants", body=given, key=new_key())
        return lookup.read(self._api, self._grant, answer)

    def _grant(self, raw: dict[str, Any]) -> Grant:
        """A grant whose addresses are absolute."""
        socket = raw["ws_url"]
        absolute = {
            "url": self.address.absolute(raw["url"]),
            "ws_url": self.address.socket_url if socket.startswith("/") else socket,
        }
        return Grant.of({**raw, **absolute})

    async def share(
        self,
        file_id: str | None = None,
        *,
        directory: str | None = None,
        expires_in: float = 7 * 86_400.0,
        uses: int | None = None,
        password: str | None = None,
    ) -> Grant:
        """A link with which everyone sees and downloads a file, or a directory.

        Its `url` is a page; with `/download` behind it, the file or a zip. It works for
        `expires_in` seconds, and for `uses` visitors if that is given.
        """
        wanted: dict[str, Any] = {
            "action": "share",
            "file_id": file_id,
            "directory": directory,
            "expires_in": expires_in,
            "uses": uses,
            "password": password,
            **self._api.for_user,
        }
        given = {key: value for key, value in wanted.items() if value is not None}
        answer = await self._request("POST", "/v1/grants", body=given, key=new_key())
        return lookup.read(self._api, self._grant, answer)

    async def request(
        self,
        directory: str,
        *,
        max_size: int | None = None,
        mime_types: Iterable[str] = (),
        kind: str | None = None,
        expires_in: float = 7 * 86_400.0,
        uses: int | None = None,
    ) -> Grant:
        """A link with which people without an account send files into a directory.

        Its `url` is a page. `max_size` is in bytes, for all files together; `uses` is how many
        files may be sent. It works for `expires_in` seconds.
        """
        wanted: dict[str, Any] = {
            "action": "request",
            "directory": directory,
            "max_size": max_size,
            "mime_types": [*mime_types] or None,
            "kind": kind,
            "expires_in": expires_in,
            "uses": uses,
            **self._api.for_user,
        }
        given = {key: value for key, value in wanted.items() if value is not None}
        answer = await self._request("POST", "/v1/grants", body=given, key=new_key())
        return lookup.read(self._api, self._grant, answer)

    def links(self) -> AsyncIterator[IssuedGrant]:
        """The links that the caller created, to files and to send files, the newest first."""
        return self.grants(action=("share", "request"))

    async def grants(self, *, action: str | Sequence[str] = ()) -> AsyncIterator[IssuedGrant]:
        """The grants that the caller created and that are in force, the newest first.

        With `action` those for that, or those, alone: `upload`, `download`, `share` or `request`.
        """
        params: dict[str, Any] = {"limit": lookup.LONG_PAGE, **self._api.for_user}
        if action:
            params["action"] = [action] if isinstance(action, str) else [*action]
        while True:
            answer = await self._request("GET", "/v1/grants", params)
            for raw in self._entries(answer, "grants"):
                yield lookup.read(self._api, IssuedGrant.of, raw)
            if not answer.get("cursor"):
                return
            params = {**params, "cursor": answer["cursor"]}

    async def revoke(self, grant_id: str) -> None:
        """Revoke a grant: its token works no longer."""
        await self._request("DELETE", f"/v1/grants/{check_id(grant_id)}")

    # -- media

    async def announce(
        self,
        name: str,
        *,
        size: int,
        sha256: str,
        directory: str = "",
        tags: Iterable[str] = (),
        mime_type: str | None = None,
        kind: str | None = None,
    ) -> Medium:
        """Announce a file that somebody else will send; `upload` of the result says where to.

        Whoever has that address can send these bytes without a token, and nothing else.
        `finalize` publishes them.
        """
        given = {"mime_type": mime_type, "kind": kind, "directory": directory or None}
        body: dict[str, Any] = {"name": name, "size": size, "sha256": sha256, "tags": [*tags]}
        body |= {key: value for key, value in given.items() if value is not None}
        body |= self._api.for_user
        answer = await self._request("POST", "/v1/media", body=body, key=new_key())
        return lookup.read(self._api, self._medium, answer)

    async def medium(self, file_id: str, *, expires_in: int | None = None) -> Medium:
        """An announced file, or any other: with an address that expires, to download it."""
        params = {} if expires_in is None else {"expires_in": expires_in}
        answer = await self._request("GET", f"/v1/media/{check_id(file_id)}", params)
        return lookup.read(self._api, self._medium, answer)

    async def finalize(self, file_id: str) -> Manifest:
        """Verify and publish what was sent to the address of an announced file."""
        path = f"/v1/media/{check_id(file_id)}/finalize"
        return lookup.manifest_of(
            self._api, await finish(self._api, path, patience=self._request_patience)
        )

    def _medium(self, raw: dict[str, Any]) -> Medium:
        media = raw["media"]
        return Medium(
            file=(
                lookup.manifest_of(self._api, media)
                if media["state"] == "ready"
                else Upload.of(media)
            ),
            upload=self._presigned(raw.get("upload")),
            download=self._presigned(raw.get("download")),
            raw=raw,
        )

    def _presigned(self, raw: Mapping[str, Any] | None) -> PresignedAddress | None:
        if raw is None:
            return None
        return PresignedAddress.of({**raw, "url": self.address.absolute(raw["url"])})

    # -- users

    async def usage(self, user_id: str | None = None) -> Usage:
        """What a user has stored and may store; without `user_id`, the one that this client acts
        for."""
        user_id = self._api.for_user.get("user_id") if user_id is None else user_id
        path = "/v1/usage" if user_id is None else f"{_user(user_id)}/quota"
        return lookup.read(self._api, Usage.of, await self._request("GET", path))

    async def users(self) -> AsyncIterator[Usage]:
        """All users, by id, with their usage and account. Only an admin may."""
        params: dict[str, Any] = {}
        while True:
            answer = await self._request("GET", "/v1/users", params)
            for raw in self._entries(answer, "users"):
                yield lookup.read(self._api, Usage.of, raw)
            if not answer.get("cursor"):
                return
            params = {"cursor": answer["cursor"]}

    async def create_user(
        self,
        name: str,
        password: str | None = None,
        *,
        scopes: Iterable[str] = (),
        quota: int | None = None,
    ) -> Usage:
        """Make an account; without a password nobody can sign in with one. Only an admin may.

        `scopes` may have `admin` and `grant`. `quota` is in bytes; without it the server's default
        counts. Raises NameTaken.
        """
        body = {"name": name, "password": password, "scopes": [*scopes], "quota": quota}
        given = {key: value for key, value in body.items() if value is not None}
        return lookup.read(
            self._api, Usage.of, await self._request("POST", "/v1/users", body=given)
        )

    async def change_user(
        self,
        user_id: str,
        *,
        password: str | None = None,
        scopes: Iterable[str] | None = None,
        disabled: bool | None = None,
    ) -> Usage:
        """Change an account, which ends its sessions. Only an admin may."""
        body = {
            "password": password,
            "scopes": None if scopes is None else [*scopes],
            "disabled": disabled,
        }
        given = {key: value for key, value in body.items() if value is not None}
        return lookup.read(
            self._api, Usage.of, await self._request("PATCH", _user(user_id), body=given)
        )

    async def invite(self, uses: int = 1, expires_in: float = 7 * 24 * 3600.0) -> Grant:
        """An invitation: at its `url` people make `uses` accounts. Only an admin may.

        `expires_in` is in seconds. The server must have `LADING_SIGNUP=invite` or `open`.
        """
        body = {"action": "signup", "uses": uses, "expires_in": expires_in}
        answer = await self._request("POST", "/v1/grants", body=body, key=new_key())
        return lookup.read(self._api, self._grant, answer)

    async def delete_user(self, user_id: str) -> DeletedUser:
        """Delete a user with all files, uploads, tags and grants. Only an admin may."""
        answer = await self._request("DELETE", _user(user_id))
        return lookup.read(self._api, DeletedUser.of, answer)

    async def set_quota(self, user_id: str, quota: int | None) -> Usage:
        """Set how many bytes a user may store, None for no limit. Only an admin may."""
        answer = await self._request("PUT", f"{_user(user_id)}/quota", body={"quota": quota})
        return lookup.read(self._api, Usage.of, answer)

    # -- operation

    async def audit(
        self,
        *,
        act: str | None = None,
        user_id: str | None = None,
        owner: str | None = None,
        file_id: str | None = None,
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The entries of the audit log, the newest first, as the server sends them.

        Those of an act, of `user_id` who did it, of the `owner` or the file that it was done to.
        Only an admin may.
        """
        wanted = {"act": act, "user_id": user_id, "owner": owner, "file_id": file_id}
        params: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        while True:
            answer = await self._request("GET", "/v1/audit", params)
            for each in self._entries(answer, "entries"):
                yield each
            if not answer.get("cursor"):
                return
            params = {**params, "cursor": answer["cursor"]}

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the server. Only an admin may."""
        return Webhooks(self._api, self._request)


def _user(user_id: str) -> str:
    return f"/v1/users/{segment(user_id)}"
