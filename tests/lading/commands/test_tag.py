from pathlib import Path

from tests.lading.commands.conftest import Shell


def test_tags_are_added_and_removed(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "tag-1", "--tag", "tag-a")
    assert shell.lines("tag", "tag-1") == [f"{made} tag-1: tag-a"]
    assert shell.lines("tag", made, "--add", "tag-b") == [f"{made} tag-1: tag-a, tag-b"]
    assert shell.lines("tag", made, "--remove", "tag-a", "-a", "tag-c") == [
        f"{made} tag-1: tag-b, tag-c"
    ]
    (event,) = shell.events("tag", made)
    assert event == {"event": "tags", "id": made, "name": "tag-1", "tags": ["tag-b", "tag-c"]}


def test_a_dry_run_changes_nothing(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "tag-2")
    assert shell.lines("tag", made, "-a", "x", "-n") == [f"would be {made} tag-2: x"]
    assert shell.lines("tag", made) == [f"{made} tag-2: no tags"]


def test_all_tags_with_their_files(shell: Shell, movie: Path) -> None:
    for number in range(2):
        shell.put(movie, "--name", f"tag-3-{number}", "--tag", "tag-of-two")
    assert "2\ttag-of-two" in shell.lines("tag")
    assert {"name": "tag-of-two", "files": 2} in shell.events("tag")
    assert shell.run("tag", "--add", "x").exit_code == 2


def test_one_that_fails_does_not_stop_the_others(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "tag-4")
    result = shell.run("tag", "tag-nothing", made, "--add", "y")
    assert (result.exit_code, result.stdout) == (2, f"{made} tag-4: y\n")
