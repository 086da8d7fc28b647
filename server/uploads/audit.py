"""The audit log as the domain writes it: who, by which credential, in which request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lading.protocol.manifest import Manifest
from lading.server.access.principal import Principal
from lading.server.hooks import ignore
from lading.server.net.record import current
from lading.storage.clock import Clock
from lading.storage.collections.audit import Act, AuditLog, Entry
from lading.storage.collections.manifests import new_id


@dataclass(frozen=True, slots=True)
class Audit:
    """Notes what was done, once it is done. It never fails. `observe` hears of each act."""

    log: AuditLog
    clock: Clock
    observe: Callable[[Act], None] = ignore

    async def note(
        self,
        act: Act,
        by: Principal | None,
        file: Manifest | None = None,
        *,
        owner: str | None = None,
        grant_id: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Note an act, to a file, an account of `owner`, or a grant.

        `by` is None for what the server does by itself with a file: then its owner did it before,
        or the bearer of the grant that it was uploaded with.
        """
        self.observe(act)
        if not self.log.ttl:
            return
        if by is not None:
            user_id = by.who
            used = None if by.grant is None else by.grant.id
        else:
            assert file is not None
            user_id, used = file.user_id, file.grant_id
        now = self.clock()
        entry = Entry(
            id=new_id(now),
            at=now,
            act=act,
            user_id=user_id,
            owner=owner if file is None else file.user_id,
            file_id=None if file is None else file.id,
            name=None if file is None else file.name,
            grant_id=grant_id or used,
            request_id=current(),
            detail=detail,
        )
        await self.log.add(entry)
