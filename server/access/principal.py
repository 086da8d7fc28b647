"""The principal: who makes a request, and what the credential allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lading.protocol.errors import Forbidden, NotFound
from lading.protocol.grants import Action, Grant
from lading.protocol.manifest import Manifest
from lading.protocol.spec import MAX_USER_ID, check_text


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone with a valid credential. `expires` is in Unix seconds; None means never.

    `admin` acts for every user, and sets quotas; `may_grant` may create grants for others. With a
    `grant` it is the grant's bearer, who acts for the grant's user within its bounds. `session_id`
    is the session of someone who signed in to an account.
    """

    user_id: str
    admin: bool = False
    may_grant: bool = False
    expires: float | None = None
    grant: Grant | None = None
    session_id: str | None = None
    actor: str | None = None
    """The admin who acts for the user."""

    @property
    def who(self) -> str:
        """Whoever makes the request: the admin, or else the user."""
        return self.user_id if self.actor is None else self.actor

    def acting_for(self, user_id: str | None) -> Principal:
        """This principal as it acts for that user, who then owns and pays; None for its own user.

        Raises NotFound, since for everyone but an admin other users do not exist.
        """
        if user_id is None or user_id == self.user_id:
            return self
        check_text("user_id", user_id, MAX_USER_ID, empty=False)
        if not self.admin:
            raise NotFound("There is no such user; only an admin can act for other users.")
        return replace(self, user_id=user_id, actor=self.who)

    def check_action(self, *actions: Action) -> None:
        """Raise Forbidden for a grant that is for none of `actions`."""
        if self.grant is not None and self.grant.action not in actions:
            raise Forbidden(f"This grant allows only one action: {self.grant.action}.")

    def check_quality(self, quality: int) -> None:
        """Raise Forbidden for a grant that excludes this quality of a file; 0 is the original."""
        if self.grant is not None:
            self.grant.check_quality(quality)

    def check_owner(self, manifest: Manifest | None, upload_id: str) -> Manifest:
        """The manifest if it is this principal's; otherwise NotFound, as if it did not exist.

        Every manifest is an admin's. The bearer of a download grant gets Forbidden for every other
        id, whether it exists or not.
        """
        grant = self.grant
        if grant is not None and grant.action is Action.DOWNLOAD and grant.file_id != upload_id:
            raise Forbidden("This grant is for another file.")
        mine = manifest is not None and (self.admin or manifest.user_id == self.user_id)
        if manifest is None or not mine or (grant is not None and not grant.covers(manifest)):
            raise NotFound(f"There is no upload or file {upload_id}.")
        return manifest
