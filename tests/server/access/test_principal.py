"""What a principal may see."""

from __future__ import annotations

import pytest

from lading.protocol.errors import NotFound
from lading.protocol.manifest import Manifest
from lading.server.access.principal import Principal


def owned_by(user_id: str) -> Manifest:
    return Manifest(
        id="0" * 24,
        user_id=user_id,
        name="a",
        size=0,
        chunk_size=1024,
        created_at=0,
        updated_at=0,
        expires_at=None,
    )


def test_what_is_anothers_does_not_exist() -> None:
    mine = owned_by("ann")
    assert Principal("ann").check_owner(mine, mine.id) is mine
    with pytest.raises(NotFound) as others:
        Principal("bob").check_owner(mine, mine.id)
    with pytest.raises(NotFound) as absent:
        Principal("bob").check_owner(None, mine.id)
    assert others.value.problem() == absent.value.problem()
