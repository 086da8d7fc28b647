"""`lading audit` against a real server."""

from __future__ import annotations

from pathlib import Path

from tests.lading.commands.conftest import Shell


def test_who_did_what_is_listed(shell: Shell, movie: Path) -> None:
    file_id = shell.put(movie, "--user", "audited")
    shell.lines("rm", "--permanent", file_id)
    (deleted, created) = shell.lines("audit", "--owner", "audited")
    assert created.split("\t")[1:6] == ["created", "admin", "audited", file_id, movie.name]
    assert deleted.split("\t")[1] == "deleted"
    assert shell.lines("audit", "--owner", "audited", "--limit", "1") == [deleted]
    assert shell.lines("audit", "--file", file_id, "--act", "created") == [created]
    (entry,) = shell.events("audit", "--by", "admin", "--file", file_id, "--act", "deleted")
    assert entry["name"] == movie.name
    refused = shell.run("audit", "--act", "read")
    assert refused.exit_code == 2
