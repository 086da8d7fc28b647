"""The docs as a site: no dead link, nothing loaded from elsewhere, each page found by a search."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.site import HOME, ROOT, DeadLink, build, navigation, pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout, built once."""
    return build(ROOT, tmp_path_factory.mktemp("docs") / "docs")


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(given["href"])


def test_every_link_and_anchor_is_there(site: Path) -> None:
    found = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(found) > len(pages(ROOT))
    dead = []
    for path, page in found.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            known = found[target].anchors if target in found else {anchor}
            if not target.exists() or (anchor and anchor not in known):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert dead == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert [each for each in Page(path).loaded if urlsplit(each).netloc] == []


def test_a_search_finds_every_page(site: Path) -> None:
    index = json.loads((site / "search.json").read_text("utf-8"))
    found = {item["location"].partition("#")[0] for item in index["items"]}
    expected = {str(page.with_suffix(".html")) for page in pages(ROOT)}
    assert {each.replace("README", "index") for each in expected} <= found
    assert any("lading export" in re.sub("<[^>]*>", "", item["text"]) for item in index["items"])


def test_every_page_is_in_the_table_of_documents() -> None:
    listed = [target for _, target in navigation(ROOT)]
    expected = {str(page) for page in pages(ROOT) if page.parent != Path("docs/decisions")}
    assert sorted(listed) == sorted(expected | {"docs/decisions/"})


def written(root: Path, text: str) -> Path:
    """A checkout with one page beside its README, which says this."""
    (root / "docs" / "decisions").mkdir(parents=True)
    (root / "CHANGELOG.md").write_text("# Changelog\n")
    (root / "docs" / "a.md").write_text("# A\n\n## One thing\n")
    table = "## Documents\n\n| page | |\n| --- | --- |\n| [A](docs/a.md) | a |\n"
    (root / HOME).write_text(f"# Lading\n\n{text}\n\n{table}")
    return root


def test_a_page_without_dead_links_is_built(tmp_path: Path) -> None:
    root = written(tmp_path / "root", "[one](docs/a.md#one-thing), [log](CHANGELOG.md)")
    assert (build(root, tmp_path / "out") / "docs" / "a.html").exists()


@pytest.mark.parametrize("link", ["docs/b.md", "deploy/none.conf", "../outside.md"])
def test_a_link_to_a_file_that_is_not_there_fails(tmp_path: Path, link: str) -> None:
    (tmp_path / "outside.md").write_text("")
    with pytest.raises(DeadLink, match=link):
        build(written(tmp_path / "root", f"[x]({link})"), tmp_path / "out")


@pytest.mark.parametrize("link", ["docs/a.md#another-thing", "#nowhere"])
def test_a_link_to_an_anchor_that_is_not_there_fails(tmp_path: Path, link: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        build(written(tmp_path / "root", f"[x]({link})"), tmp_path / "out")
