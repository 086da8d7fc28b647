"""The files of the web page and of the browser client, held in memory from the start.

A request names an entry of a dict: no path is built from what a client sent, and a new build
beside a running server cannot mix two versions of the page.
Source: page 5 of the design, security list, item 21; RFC 9111 (caching).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parents[1] / "page"
"""Where `npm run build` in `widget/` puts the page; distributions include it."""

HASHED = "assets/"
"""Names below it contain a hash of the content, so browsers may cache the files for ever."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_COMPRESSIBLE = (".css", ".html", ".js", ".json", ".svg", ".ts", ".webmanifest")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    is_packed: bool = False
    """Whether the body is in gzip, since that is shorter. The few who do not take it wait for it to
    be unpacked; nobody pays with memory."""

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return gzip.decompress(self.body) if self.is_packed else self.body

    @classmethod
    def of(cls, name: str, body: bytes) -> Asset:
        """The file `name` with its response headers."""
        suffix = PurePath(name).suffix
        lasting = "public, max-age=31536000, immutable" if name.startswith(HASHED) else "no-cache"
        headers = {
            "Content-Type": _TYPES.get(suffix, "application/octet-stream"),
            "Cache-Control": lasting,
            # Weak: the packed form of the same file has the same tag.
            "ETag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        packed = gzip.compress(body, 6, mtime=0) if suffix in _COMPRESSIBLE else None
        if packed is None or len(packed) >= len(body):
            return cls(body, headers)
        return cls(packed, headers, is_packed=True)


def load(folder: Path = FOLDER) -> dict[str, Asset]:
    """Every file below `folder` by its relative path; none without a build."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {
        name: Asset.of(name, path.read_bytes())
        for name, path in zip(names, files, strict=True)
        if not path.name.startswith(".")
    }


def send(request: Request, asset: Asset, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to GET or HEAD of an asset: 200, or 304 if the browser's copy is current."""
    fields = {**asset.headers, **(headers or {})}
    wanted = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    # Weak comparison, of strings.
    if asset.headers["ETag"] in wanted or "*" in wanted:
        del fields["Content-Type"]
        return Response(status_code=304, headers=fields)
    if not asset.is_packed:
        return Response(asset.body, headers=fields)
    if _takes_gzip(request):
        return Response(asset.body, headers={**fields, "Content-Encoding": "gzip"})
    return Response(asset.content, headers=fields)


def _takes_gzip(request: Request) -> bool:
    for each in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
