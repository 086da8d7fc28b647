"""Approval: somebody else looks at a file before it is published, such as a virus scanner.

    ask      after the proof: what was proven is noted in the manifest, with the step `approve`
    step     `LADING_APPROVE_URL` is asked, with a grant for the bytes: 200 publishes, 403 deletes,
             anything else is asked again later, until the time limit decides
    wait     FINISH waits for the decision, whichever process makes it

The upload stays under way meanwhile, so it can be resumed, aborted and finished again; but nobody
can read its bytes. What is published is what was proven: an upload whose bytes were replaced since
is another attempt, which is asked for anew. Source: page 12 of the design; `docs/decisions/0058`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from lading.protocol.errors import ShuttingDown, Unavailable
from lading.protocol.grants import ORIGINAL, Action, Grant
from lading.protocol.manifest import Approval, Manifest, State
from lading.server.access.grants import new_token
from lading.server.settings import Settings
from lading.server.uploads.arrivals import Arrivals
from lading.server.uploads.open_uploads import OpenUploads
from lading.server.uploads.todo import Died, NotYet
from lading.server.uploads.verifier import Progress
from lading.server.urls import grant_url
from lading.server.webhooks import payload
from lading.server.webhooks.send import Sender
from lading.storage.blobs.base import Check
from lading.storage.collections.manifests import new_id
from lading.storage.open import Storage

log = structlog.get_logger()

APPROVED, REJECTED = 200, 403
"""The statuses that decide."""

GRANT_SECONDS = 3600.0
"""How long the asker's grant is good; it gets another one when half of that is over."""

CHECK_SECONDS = 2.0
"""How often the claim is looked at while somebody is asked."""

LOOK_SECONDS = 1.0
"""How often it is looked whether another process decided."""

EVENT = "upload.approve"
"""The type of what is sent."""


class Undecided(Unavailable):
    """The file waits for approval; the same request meets the decision later."""


class Approvals:
    """Who waits for approval. `required` says whether every upload needs it."""

    def __init__(
        self,
        storage: Storage,
        uploads: OpenUploads,
        arrivals: Arrivals,
        *,
        required: bool,
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called when somebody is to be asked."""
        self.required = required
        self._storage = storage
        self._uploads = uploads
        self._arrivals = arrivals
        self._wake = wake

    def check_readable(self, manifest: Manifest) -> None:
        """Raise Undecided for bytes that nobody may read yet: those of an upload under way."""
        if manifest.state is not State.READY and (self.required or manifest.approving):
            raise Undecided("The file can be fetched once it is approved.")

    async def ask(self, manifest: Manifest, proven: Approval) -> Manifest | None:
        """Note what was proven, and let somebody be asked. None where the upload changed since."""
        asked = await self._storage.outbox.ask(manifest, proven, self._storage.clock())
        self._wake()
        return asked

    async def decided(self, manifest: Manifest, until: float, progress: Progress | None) -> None:
        """Wait until an upload is published, or in another attempt.

        At most `until` then, by the loop's clock. Raises Undecided, ShuttingDown, and for what is
        gone Rejected, NotFound, Gone.
        """
        loop = asyncio.get_running_loop()
        with self._arrivals.waiting(manifest.id, 0) as waiter:
            while (current := await self._uploads.after_end(manifest.id)).approving:
                if self._arrivals.stopped:
                    raise ShuttingDown
                left = min(LOOK_SECONDS, until - loop.time())
                if left <= 0:
                    raise Undecided("The file waits for approval; send the request again.")
                if progress is not None:
                    progress(current.size or 0, current.size or 0)
                await waiter.wait(left)


class _Token(NamedTuple):
    text: str
    expires_at: float


Publish = Callable[[Manifest], Awaitable[object]]
Reject = Callable[[Manifest], Awaitable[object]]


class Approver:
    """Asks, and carries the decision out: the step `approve` of the outbox."""

    def __init__(
        self,
        storage: Storage,
        settings: Settings,
        sender: Sender,
        arrivals: Arrivals,
        *,
        publish: Publish,
        reject: Reject,
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._sender = sender
        self._arrivals = arrivals
        self._publish = publish
        self._reject = reject
        self._tokens: dict[str, _Token] = {}

    async def step(self, manifest: Manifest, check: Check) -> None:
        """Ask for one upload; raises NotYet without a decision, Died where it was rejected."""
        proven = manifest.approval
        if proven is None or not manifest.approving:
            return  # it is published, or its bytes were replaced
        verdict = await self._ask(manifest, check)
        if verdict is None and self._is_over(proven):
            verdict = self._settings.approve_otherwise == "publish"
            log.warning("approval-timed-out", id=manifest.id, published=verdict)
        if verdict is None:
            await self._keep(manifest)
            raise NotYet
        await check()
        if verdict:
            await self._publish(manifest)
        else:
            await self._reject(manifest)
        self._tokens.pop(manifest.id, None)
        self._arrivals.note(manifest.id)
        if not verdict:
            raise Died

    def _is_over(self, proven: Approval) -> bool:
        return self._storage.clock() - proven.since >= self._settings.approve_timeout

    async def _keep(self, manifest: Manifest) -> None:
        """Keep the upload alive: it waits for nothing that its client could do."""
        now = self._storage.clock()
        await self._storage.manifests.touch(
            manifest.id,
            now=now,
            expires_at=now + self._settings.upload_ttl,
            upload_size=manifest.upload_size,
            attempt=manifest.attempt,
        )

    async def _ask(self, manifest: Manifest, check: Check) -> bool | None:
        """Whether the file may be published; None where that was not said. Renews the claim."""
        url = self._settings.approve_url
        assert url is not None
        token = await self._token(manifest)
        data = payload.file(manifest.as_approved(), "approving") | {
            "download": grant_url(self._settings, token.text),
            "token": token.text,
            "expires_at": payload.moment(token.expires_at),
        }
        body = payload.body(EVENT, self._storage.clock(), data).encode()
        asking = asyncio.ensure_future(self._sender.send(url, {}, body))
        try:
            while not (await asyncio.wait({asking}, timeout=CHECK_SECONDS))[0]:
                await check()
            outcome = asking.result()
        finally:
            asking.cancel()
        if outcome.status in (APPROVED, REJECTED):
            return outcome.status == APPROVED
        reason = outcome.error or f"The answer has the status {outcome.status}."
        log.warning("approval-not-given", id=manifest.id, reason=reason)
        return None

    async def _token(self, manifest: Manifest) -> _Token:
        """The token of a grant for the bytes, the same for a while."""
        now = self._storage.clock()
        known = self._tokens.get(manifest.id)
        if known is not None and known.expires_at - now > GRANT_SECONDS / 2:
            return known
        self._tokens = {key: each for key, each in self._tokens.items() if each.expires_at > now}
        fresh = _Token(new_token(), now + GRANT_SECONDS)
        grant = Grant(
            id=new_id(now),
            action=Action.DOWNLOAD,
            user_id=manifest.user_id,
            minter="",
            created_at=now,
            expires_at=fresh.expires_at,
            file_id=manifest.id,
            quality=ORIGINAL,
            approves=True,
        )
        await self._storage.grants.insert(grant, fresh.text)
        self._tokens[manifest.id] = fresh
        return fresh
