"""What a refusal for the quota tells its user: which unfinished uploads take the space."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from heapq import nlargest

from lading.protocol.errors import LadingError, QuotaExceeded
from lading.protocol.manifest import Manifest, State
from lading.server.webhooks.announce import announce_quota
from lading.storage.collections.quotas import split_key
from lading.storage.open import Storage

NAMED = 5
"""How many unfinished uploads a refusal names: the largest."""


async def explain(storage: Storage, refused: Manifest, error: QuotaExceeded) -> QuotaExceeded:
    """The refusal, with the user's other unfinished uploads and what to do about them.

    Whoever holds a grant hears nothing of other uploads: they are not theirs to see. Webhooks hear
    of the refusal.
    """
    await announce_quota(storage, refused, error)
    if refused.request_id is not None:
        # Whoever sends it need not know how much its receiver has.
        return QuotaExceeded("There is no room for this file. Tell whoever asked for it.")
    if refused.grant_id is not None:
        return error
    try:
        account = await storage.quotas.account(refused.user_id)
        held = {
            key: size
            for key, size in account.open.items()
            if size and key != refused.id and split_key(key)[1] is None
        }
        ids = nlargest(NAMED, held, key=lambda key: held[key])
        found = await asyncio.gather(*(storage.manifests.get(each) for each in ids))
    except LadingError:
        return error
    uploads = [each for each in found if each is not None and each.state is State.UPLOADING]
    if not uploads:
        return error
    largest = uploads[0]
    count = "1 unfinished upload reserves" if len(held) == 1 else f"{len(held)} unfinished reserve"
    sentence = (
        f"{count} {sum(held.values())} bytes; the largest is {largest.name!r} ({largest.id}, "
        f"{held[largest.id]} bytes, last active {_time(largest.updated_at)}). Resume it, or abort "
        f"it with DELETE /v1/uploads/{largest.id} or `lading rm {largest.id}`."
    )
    unfinished = [
        {
            "id": each.id,
            "name": each.name,
            "reserved": held[each.id],
            "updated_at": _time(each.updated_at),
        }
        for each in uploads
    ]
    return QuotaExceeded(f"{error} {sentence}", **error.extra, unfinished=unfinished)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
