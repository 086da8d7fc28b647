"""The scripts of pages for people are found in the manifest of the build."""

from __future__ import annotations

import json
from typing import Any

from lading.server.http.assets import Asset
from lading.server.http.people.script import MANIFEST, Script, find

BUILT: dict[str, Any] = {
    "src/request.ts": {
        "file": "assets/request-1.js",
        "imports": ["_shared.js"],
        "css": ["assets/request-1.css"],
    },
    "_shared.js": {
        "file": "assets/shared-1.js",
        "imports": ["src/request.ts"],
        "css": ["assets/shared-1.css"],
    },
}


def test_a_script_comes_with_the_styles_of_all_that_it_imports() -> None:
    assets = {MANIFEST: Asset.of(MANIFEST, json.dumps(BUILT).encode())}
    found = find(assets, "request")
    assert found == Script("assets/request-1.js", ("assets/shared-1.css", "assets/request-1.css"))
    assert found.html("../").splitlines() == [
        '<link rel="stylesheet" href="../assets/shared-1.css">',
        '<link rel="stylesheet" href="../assets/request-1.css">',
        '<script type="module" src="../assets/request-1.js"></script>',
    ]


def test_without_a_build_there_is_none() -> None:
    assert find({}, "request") is None
