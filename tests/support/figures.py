"""Figures about the code: lines by room, names defined twice, the longest files and functions.

`scripts/house` prints them, for this checkout or for a commit. Uses the standard library only.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent.parent
LONGEST = 10
TESTS = {"tests", "bench"}
"""Rooms whose names may repeat: every measure has a `measure`, every fault a `trial`."""


@dataclass(frozen=True)
class Module:
    path: PurePosixPath
    lines: int
    tree: ast.Module

    @property
    def room(self) -> str:
        """The folder at the root; in the server and the tests also the folder below."""
        first, *rest = self.path.parts
        deeper = first in {"server", "tests"} and len(rest) > 1
        return f"{first}/{rest[0]}" if deeper else first


def modules(folder: Path) -> list[Module]:
    """The tracked modules of a checkout, or those of a folder that is not one."""
    listed = subprocess.run(
        ["git", "-C", folder, "ls-files", "-z", "*.py"], capture_output=True, text=True, check=False
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    # A room is also linked from `lading/`, and counts once.
    walked = (path for path in folder.rglob("*.py") if path.resolve() == folder.resolve() / path)
    paths = [folder / name for name in names if name] or sorted(walked)
    return [_read(folder, path) for path in paths if path.exists()]


def _read(folder: Path, path: Path) -> Module:
    text = path.read_text("utf-8")
    name = PurePosixPath(path.relative_to(folder).as_posix())
    return Module(name, len(text.splitlines()), ast.parse(text))


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, int]]:
    """The qualified name and the length in lines of each function and method."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            name = f"{prefix}{node.name}"
            if isinstance(node, Function):
                yield name, (node.end_lineno or node.lineno) - node.lineno + 1
            yield from functions(node.body, f"{name}.")


def repeated(found: list[Module]) -> dict[str, list[str]]:
    """Names of top-level functions and classes that more than one module defines."""
    where: defaultdict[str, list[str]] = defaultdict(list)
    for module in found:
        if module.room.split("/")[0] not in TESTS:
            for node in module.tree.body:
                if isinstance(node, Function | ast.ClassDef):
                    where[node.name].append(str(module.path))
    return {name: paths for name, paths in sorted(where.items()) if len(paths) > 1}


def report(found: list[Module]) -> Iterator[str]:
    rooms: defaultdict[str, list[int]] = defaultdict(list)
    for module in found:
        rooms[module.room].append(module.lines)
    yield "Python by room (modules, lines)"
    for room, lengths in sorted(rooms.items()):
        yield f"  {room:24} {len(lengths):4} {sum(lengths):7,}"
    yield f"  {'all':24} {len(found):4} {sum(module.lines for module in found):7,}"
    names = repeated(found)
    public = sum(not name.startswith("_") for name in names)
    yield "\nNames that more than one module defines, without tests and bench"
    yield f"  {public} public, {len(names) - public} private"
    for name, paths in names.items():
        yield f"  {name:24} {', '.join(paths)}"
    yield "\nThe longest files, without tests and bench"
    own = [module for module in found if module.room.split("/")[0] not in TESTS]
    for module in sorted(own, key=lambda module: -module.lines)[:LONGEST]:
        yield f"  {module.lines:4}  {module.path}"
    yield "\nThe longest functions, without tests and bench"
    all_functions = [
        (length, f"{module.path}: {name}")
        for module in own
        for name, length in functions(module.tree.body)
    ]
    for length, name in sorted(all_functions, key=lambda pair: -pair[0])[:LONGEST]:
        yield f"  {length:4}  {name}"


def at_commit(commit: str) -> list[Module]:
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "archive.tar")
        subprocess.run(
            ["git", "-C", ROOT, "archive", f"--output={archive}", commit, "--", ":(glob)**/*.py"],
            check=True,
        )
        tree = Path(folder, "tree")
        with tarfile.open(archive) as files:
            files.extractall(tree, filter="data")
        return modules(tree)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/house", description=__doc__)
    parser.add_argument("commit", nargs="?", help="a commit; this checkout if not given")
    commit = parser.parse_args().commit
    print("\n".join(report(modules(ROOT) if commit is None else at_commit(commit))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
