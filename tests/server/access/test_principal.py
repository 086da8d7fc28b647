"""What a principal may see."""

from __future__ import annotations

import pytest

from lading.protocol.errors import InvalidArgument, NotFound
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


def test_every_manifest_is_an_admins() -> None:
    theirs = owned_by("ann")
    assert Principal("root", admin=True).check_owner(theirs, theirs.id) is theirs
    with pytest.raises(NotFound):
        Principal("root", admin=True).check_owner(None, theirs.id)


def test_an_admin_acts_for_every_user_and_others_for_themselves() -> None:
    root, ann = Principal("root", admin=True), Principal("ann", may_grant=True)
    assert root.acting_for("ann") == Principal("ann", admin=True, actor="root")
    assert root.acting_for(None) is root
    assert ann.acting_for("ann") is ann
    with pytest.raises(NotFound):
        ann.acting_for("bob")


@pytest.mark.parametrize("user_id", ["", "a\0", "x" * 300])
def test_what_is_no_user_id_is_refused(user_id: str) -> None:
    with pytest.raises(InvalidArgument):
        Principal("root", admin=True).acting_for(user_id)
