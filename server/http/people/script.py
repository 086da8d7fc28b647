"""The scripts of pages for people, as Vite names them in the manifest of its build."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from lading.server.http.assets import Asset

MANIFEST = "build.json"


@dataclass(frozen=True, slots=True)
class Script:
    """A module and its style sheets, as paths below that of the server."""

    module: str
    styles: tuple[str, ...]

    def html(self, base: str) -> str:
        """The elements that load them. `base` is the server's path, from the page's address."""
        sheets = (f'<link rel="stylesheet" href="{escape(base + each)}">\n' for each in self.styles)
        return (
            f'{"".join(sheets)}<script type="module" src="{escape(base + self.module)}"></script>\n'
        )


def find(assets: Mapping[str, Asset], name: str) -> Script | None:
    """The script that was built of `src/{name}.ts`; None without a build."""
    if MANIFEST not in assets:
        return None
    built: dict[str, Any] = json.loads(assets[MANIFEST].content)
    entry = f"src/{name}.ts"
    styles = dict.fromkeys(_styles(built, entry, set()))
    return Script(built[entry]["file"], tuple(styles))


def _styles(built: Mapping[str, Any], entry: str, seen: set[str]) -> list[str]:
    """The style sheets of an entry, those of what it imports first."""
    if entry in seen:
        return []
    seen.add(entry)
    found = [
        sheet for each in built[entry].get("imports", ()) for sheet in _styles(built, each, seen)
    ]
    return [*found, *built[entry].get("css", ())]
