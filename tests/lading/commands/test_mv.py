from pathlib import Path

from tests.lading.commands.conftest import Shell


def paths(shell: Shell, directory: str) -> list[str]:
    return sorted(line.split("\t")[-1] for line in shell.lines("ls", "-r", directory))


def test_a_file_gets_another_name_and_keeps_its_id(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--directory", "mv-1", "--name", "a.mp4")
    assert shell.lines("mv", "mv-1/a.mp4", "mv-1/b.mp4") == [f"{made} mv-1/b.mp4"]
    assert paths(shell, "mv-1") == ["mv-1/b.mp4"]
    assert shell.events("status", made)[0]["_id"] == made


def test_into_a_directory(shell: Shell, movie: Path) -> None:
    """As with `mv`: a slash at the end, several files, or a directory that is there."""
    ids = [shell.put(movie, "--name", f"mv-2-{number}") for number in range(3)]
    assert shell.lines("mv", "mv-2-0", "mv-2/") == [f"{ids[0]} mv-2/mv-2-0"]
    assert shell.lines("mv", ids[1], "mv-2") == [f"{ids[1]} mv-2/mv-2-1"]
    assert shell.lines("mv", ids[2], "mv-2/mv-2-0", "mv-2/in") == [
        f"{ids[2]} mv-2/in/mv-2-2",
        f"{ids[0]} mv-2/in/mv-2-0",
    ]


def test_to_the_top(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--directory", "mv-3", "--name", "mv-3-top.mp4")
    assert shell.lines("mv", made, "/") == [f"{made} mv-3-top.mp4"]


def test_a_directory_moves_with_all_that_is_in_it(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--directory", "mv-4/old", "--name", "a")
    shell.put(movie, "--directory", "mv-4/old/inner", "--name", "b")
    shell.lines("mv", "mv-4/old", "mv-4/new")
    assert paths(shell, "mv-4") == ["mv-4/new/a", "mv-4/new/inner/b"]
    shell.lines("mv", "mv-4/new", "mv-5/")
    assert paths(shell, "mv-5") == ["mv-5/new/a", "mv-5/new/inner/b"]
    result = shell.run("mv", "mv-5", "mv-5/new/deep")
    assert (result.exit_code, "into itself" in result.stderr) == (2, True)


def test_nothing_gets_a_name_that_is_taken(shell: Shell, movie: Path) -> None:
    first, _ = (shell.put(movie, "--directory", "mv-6", "--name", name) for name in "ab")
    result = shell.run("mv", "mv-6/a", "mv-6/b")
    assert result.exit_code == 1
    assert "There is a file mv-6/b already." in result.stderr
    assert paths(shell, "mv-6") == ["mv-6/a", "mv-6/b"]
    assert shell.lines("mv", "mv-6/a", "mv-6/a") == [f"{first} mv-6/a"]  # as it was


def test_a_dry_run_moves_nothing(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--directory", "mv-7", "--name", "a")
    assert shell.lines("mv", "mv-7/a", "mv-7/b", "-n") == [f"would move {made} mv-7/b"]
    assert paths(shell, "mv-7") == ["mv-7/a"]


def test_what_is_not_there(shell: Shell) -> None:
    assert shell.run("mv", "mv-nothing", "x").exit_code == 2
    assert shell.run("mv", "mv-alone").exit_code == 2
