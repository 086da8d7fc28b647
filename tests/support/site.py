"""The docs as a static site that can be searched: `scripts/docs` builds it into build/docs/site.

The pages are README.md and docs/ as they are, at the same places, so that their links are right in
the repository and on the site. What they link to beside them, such as a recipe of deploy/, is put
there, too. The table of documents in README.md is the navigation. A dead link fails the build: one
to a file here, one to a page or an anchor in the generator's strict mode.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "docs"

HOME, LIST = "README.md", "## Documents"
DECISIONS = "docs/decisions"

CONFIG = """\
[project]
site_name = "Lading"
site_description = "A media server whose uploads survive anything"
docs_dir = "source"
site_dir = "site"
use_directory_urls = false
nav = [
{nav}
]

[project.theme]
font = false
features = ["navigation.top", "search.highlight", "content.code.copy", "toc.follow"]

[project.markdown_extensions.tables]
[project.markdown_extensions.attr_list]
[project.markdown_extensions.toc]
permalink = true
[project.markdown_extensions.pymdownx.superfences]
[project.markdown_extensions.pymdownx.highlight]
pygments_lang_class = true
"""

LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"^(\s*)```(\w*)[^\n]*$", re.MULTILINE)


class DeadLink(Exception):
    """A page links to a file that is not there."""


def pages(root: Path) -> list[Path]:
    """The pages, relative to the root."""
    found = [*sorted((root / "docs").glob("**/*.md"))]
    return [Path(HOME), Path("CHANGELOG.md"), *(page.relative_to(root) for page in found)]


def links(text: str) -> Iterator[str]:
    """The local addresses that a page links to, without their anchors."""
    for inside, part in enumerate(re.split(r"^\s*```.*$", text, flags=re.MULTILINE)):
        if inside % 2 == 0:
            yield from (each for each in LINK.findall(part) if "://" not in each)


def navigation(root: Path) -> list[tuple[str, str]]:
    """Title and page of each entry in the table of documents."""
    table = (root / HOME).read_text("utf-8").split(LIST)[1]
    found = re.findall(r"^\| \[([^\]]+)\]\(([^)]+)\) \|", table, re.MULTILINE)
    return [("Lading", HOME), *found]


def stage(root: Path, place: Path) -> None:
    """Lay the pages out, and what they link to, with the generator's settings beside them."""
    source = place / "source"
    shutil.rmtree(place, ignore_errors=True)
    written = pages(root)
    for page in written:
        text = (root / page).read_text("utf-8")
        for link in links(text):
            _place_linked(root, source, page, link)
        _write(source / page, FENCE.sub(r"\1```\2", text))  # what follows is for the tests
    decisions = [page for page in written if page.parent == Path(DECISIONS)]
    rows = [f"- [{_title(root / page)}]({page.name})" for page in decisions]
    _write(source / DECISIONS / "index.md", "\n".join(["# Decisions", "", *rows, ""]))
    entries = [(title, _page_of(target)) for title, target in navigation(root)]
    nav = [f'  {{"{title}" = "{target}"}},' for title, target in entries]
    _write(place / "zensical.toml", CONFIG.format(nav="\n".join(nav)))


def _page_of(target: str) -> str:
    return f"{target}index.md" if target.endswith("/") else target


def _title(page: Path) -> str:
    return page.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def _place_linked(root: Path, source: Path, page: Path, link: str) -> None:
    target = (root / page.parent / link).resolve()
    if not target.exists() or not target.is_relative_to(root):
        raise DeadLink(f"{page} links to {link}, which is not there.")
    if target.is_file() and target.suffix != ".md":
        copy = source / target.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(target, copy)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def build(root: Path = ROOT, place: Path = PLACE) -> Path:
    """Build the site; returns its folder. Raises DeadLink and CalledProcessError."""
    stage(root, place)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    subprocess.run([*command, "--config-file", str(place / "zensical.toml")], cwd=place, check=True)
    return place / "site"


if __name__ == "__main__":
    print(build() / "index.html")
