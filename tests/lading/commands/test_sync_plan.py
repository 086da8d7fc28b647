"""The plan of `lading sync`, from lists alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lading.client.types import Manifest
from lading.commands.local_files import LocalFile
from lading.commands.sync_plan import Action, plan

NOW = datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)
NS = int(NOW.timestamp()) * 10**9 + 123_456_789
"""The same time with the digits that the server does not keep."""


def local(path: str, size: int = 5, ns: int | None = NS) -> LocalFile:
    directory, _, _ = f"top/{path}".rpartition("/")
    return LocalFile(f"/disk/{path}", directory, size, ns)


def remote(path: str, size: int = 5, when: datetime | None = NOW, number: int = 0) -> Manifest:
    directory, _, name = f"top/{path}".rpartition("/")
    return Manifest(
        id=f"{number:024x}",
        name=name,
        size=size,
        mime_type="text/plain",
        sha256="0" * 64,
        crc32c=0,
        url="",
        user_id="ann",
        directory=directory,
        tags=(),
        created_at=NOW,
        updated_at=NOW,
        modified_at=when,
    )


def actions(
    here: list[LocalFile], there: list[Manifest], *exclude: str, checksum: bool = False
) -> dict[str, Action]:
    return {step.path: step.action for step in plan(here, there, "top", exclude, checksum=checksum)}


def test_size_and_time_decide() -> None:
    here = [local("new"), local("same"), local("grown", 6), local("touched", ns=NS + 10**9)]
    there = [remote("same"), remote("grown"), remote("touched"), remote("gone")]
    assert actions(here, there) == {
        "top/new": Action.SEND,
        "top/same": Action.SAME,
        "top/grown": Action.SEND,
        "top/touched": Action.COMPARE,
        "top/gone": Action.EXTRA,
    }


def test_times_are_compared_in_milliseconds() -> None:
    there = [remote("a")]
    assert actions([local("a", ns=NS + 400_000)], there) == {"top/a": Action.SAME}
    assert actions([local("a", ns=NS + 10**6)], there) == {"top/a": Action.COMPARE}


def test_without_a_time_the_digest_decides() -> None:
    assert actions([local("a")], [remote("a", when=None)]) == {"top/a": Action.COMPARE}
    assert actions([local("a", ns=-5)], [remote("a")]) == {"top/a": Action.COMPARE}
    assert actions([local("a")], [remote("a")], checksum=True) == {"top/a": Action.COMPARE}


def test_of_several_files_of_a_path_the_newest_counts() -> None:
    newest, older = remote("a", number=2), remote("a", size=9, number=1)
    (step,) = plan([local("a")], [newest, older], "top")
    assert (step.action, step.remote) == (Action.SAME, (newest, older))
    (step,) = plan([local("a", 9)], [newest, older], "top")
    assert step.action is Action.SEND


def test_names_are_compared_in_one_form() -> None:
    assert actions([local("e\u0301")], [remote("\u00e9")]) == {"top/e\u0301": Action.SAME}


def test_what_is_left_out_is_no_extra() -> None:
    there = [remote("a.tmp"), remote("in/b"), remote("in/deep/c"), remote("other/in/d")]
    assert actions([], there, "*.tmp", "in") == {}
    assert actions([], there, "*.tmp", "in/deep") == {
        "top/in/b": Action.EXTRA,
        "top/other/in/d": Action.EXTRA,
    }


def test_of_the_root() -> None:
    file = remote("a")
    assert plan([], [file], "", ["top"]) == []
    (step,) = plan([], [file], "")
    assert step.path == "top/a"


def test_a_change_of_a_minute_is_seen() -> None:
    there = [remote("a", when=NOW + timedelta(minutes=1))]
    assert actions([local("a")], there) == {"top/a": Action.COMPARE}
