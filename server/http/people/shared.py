"""What a link leads to: one file, or a folder, or the question for its password.

Addresses in a page are relative to that of the link, which may lie below any path of a site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlencode

from starlette.responses import Response

from lading.protocol.manifest import Manifest
from lading.protocol.media_types import essence
from lading.server.http.people.layout import page, size_text, until
from lading.storage.collections.directories import Directory

_OPENED = ("application/pdf", "text/plain")
"""Types that a browser shows in a tab of its own."""

SVG = "image/svg+xml"

THUMBNAIL, LARGE, POSTER = 3, 6, 5
"""Qualities: 160, 1080 and 640 pixels on the long side."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a link leads. `base` is the last part of its address, `whole` all of it.

    `is_grant` for the address of a download grant, which is for one file and not for other sites.
    """

    base: str
    whole: str
    expires_at: float
    is_folder: bool = False
    is_grant: bool = False
    has_password: bool = False

    def bytes_of(self, file: Manifest, quality: int | None = None) -> str:
        """The address of a file's bytes, or of an image that was made of it."""
        if self.is_grant:
            return f"{self.base}/{quality or 0}"  # without a quality it would be the page again
        address = f"{self.base}/files/{file.id}"
        return address if quality is None else f"{address}/{quality}"

    def whole_address(self, file: Manifest, quality: int | None = None) -> str:
        """The same with a host."""
        return self.whole.removesuffix(self.base) + self.bytes_of(file, quality)

    def opened(self, **query: str) -> str:
        """The address of a page of this link."""
        given = {name: value for name, value in query.items() if value}
        return f"{self.base}?{urlencode(given)}" if given else self.base


@dataclass(frozen=True, slots=True)
class Contents:
    """A page of a folder. `inside` is its path within what is shared, which is called `name`."""

    name: str
    inside: str
    directories: Sequence[Directory]
    files: Sequence[Manifest]
    cursor: str | None


# -- one file


def file_page(link: Link, file: Manifest, inside: str = "") -> Response:
    """One file: shown or played, and to be downloaded."""
    address = link.bytes_of(file)
    body = ""
    if link.is_folder:
        back = escape(link.opened(**{"in": inside}))
        body += f'<nav aria-label="Folder"><a href="{back}">Back to the folder</a></nav>\n'
    body += f"<h1>{escape(file.name)}</h1>\n{_shown(link, file)}"
    body += f'<div class="row"><a class="button" href="{address}?download=1" download>Download</a>'
    if essence(file.mime_type) in _OPENED:
        body += f' <a href="{address}">Open</a>'
    body += f'</div>\n<p class="faint">{_facts(file)}</p>\n{_embedding(link, file)}'
    body += until(link.expires_at)
    return page(file.name, body, head=_graph(link, file))


def _shown(link: Link, file: Manifest) -> str:
    name, kind, address = escape(file.name), essence(file.mime_type), link.bytes_of(file)
    large = link.bytes_of(file, LARGE) if file.pictures else None
    if kind.startswith("image/") and kind != SVG:
        source = large or address
        return (
            f'<a href="{address}"><img class="shown" src="{source}" alt="{name}"{_measures(file)}>'
            "</a>\n"
        )
    if kind.startswith("video/"):
        poster = f' poster="{large}"' if large else ""
        return (
            f'<video class="shown" src="{address}" controls playsinline preload="metadata"'
            f' aria-label="{name}"{poster}{_measures(file)}></video>\n'
        )
    if kind.startswith("audio/"):
        return (
            f'<audio class="shown" src="{address}" controls preload="metadata"'
            f' aria-label="{name}"></audio>\n'
        )
    return ""


def _embedding(link: Link, file: Manifest) -> str:
    """The code with which another site's page shows the file; a password would stand in its way."""
    name, address = escape(file.name), escape(link.whole_address(file))
    shown = {
        "image": f'<img src="{address}" alt="{name}"{_measures(file)}>',
        "video": f'<video src="{address}" controls playsinline{_measures(file)}></video>',
        "audio": f'<audio src="{address}" controls></audio>',
    }
    code = shown.get(essence(file.mime_type).partition("/")[0])
    if code is None or link.is_grant or link.has_password or essence(file.mime_type) == SVG:
        return ""
    return (
        "<details><summary>Show it in a page of another site</summary>\n"
        f'<pre class="code" tabindex="0"><code>{escape(code)}</code></pre></details>\n'
    )


def _measures(file: Manifest) -> str:
    media = file.media or {}
    width, height = media.get("width"), media.get("height")
    return f' width="{int(width)}" height="{int(height)}"' if width and height else ""


def _facts(file: Manifest) -> str:
    media = file.media or {}
    facts = [size_text(file.size), essence(file.mime_type)]
    if media.get("width") and media.get("height"):
        facts.append(f"{media['width']} \N{MULTIPLICATION SIGN} {media['height']}")
    if media.get("duration"):
        facts.append(_duration(float(media["duration"])))
    return escape(" · ".join(filter(None, facts)))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _graph(link: Link, file: Manifest) -> str:
    """What other sites show of the link (the Open Graph protocol)."""
    kind = essence(file.mime_type)
    video = kind.startswith("video/")
    tags = {
        "og:title": file.name,
        "og:type": "video.other" if video else "website",
        "og:url": link.whole,
        "og:description": f"{size_text(file.size)}, {kind}",
    }
    if file.pictures:
        tags |= _poster(link, file)
    if video:
        tags |= {"og:video": link.whole_address(file), "og:video:type": kind}
    return _properties(tags)


def _poster(link: Link, file: Manifest) -> dict[str, str]:
    return {"og:image": link.whole_address(file, POSTER), "og:image:type": "image/webp"}


def _properties(tags: dict[str, str]) -> str:
    return "".join(
        f'<meta property="{name}" content="{escape(value)}">\n' for name, value in tags.items()
    )


# -- a folder


def folder_page(link: Link, contents: Contents) -> Response:
    """A folder: the folders and files in it."""
    name, inside, files = contents.name, contents.inside, contents.files
    directories, cursor = contents.directories, contents.cursor
    own = inside.rpartition("/")[2] or name
    zipped = f"{link.base}/zip" + (f"?{urlencode({'in': inside})}" if inside else "")
    body = _way(link, name, inside)
    body += f"<h1>{escape(own)}</h1>\n"
    if directories or files:
        body += f'<div class="row"><a class="button" href="{escape(zipped)}" download>'
        body += "Download all as a zip file</a></div>\n"
    else:
        body += "<p>There is nothing in this folder.</p>\n"
    if directories:
        rows = "".join(_directory_row(link, inside, each) for each in directories)
        body += f'<h2>Folders</h2>\n<ul class="list">\n{rows}</ul>\n'
    if files:
        rows = "".join(_file_row(link, inside, each) for each in files)
        body += f'<h2>Files</h2>\n<ul class="list">\n{rows}</ul>\n'
    if cursor is not None:
        more = escape(link.opened(**{"in": inside, "cursor": cursor}))
        body += f'<p class="row"><a class="button" href="{more}">More files</a></p>\n'
    tags = {"og:title": own, "og:type": "website", "og:url": link.whole}
    pictured = next((each for each in files if each.pictures), None)
    if pictured is not None:
        tags |= _poster(link, pictured)
    return page(own, body + until(link.expires_at), head=_properties(tags))


def _way(link: Link, name: str, inside: str) -> str:
    """The folders above, each a link."""
    if not inside:
        return ""
    steps, path = [(name, "")], ""
    for part in inside.split("/")[:-1]:
        path = f"{path}/{part}" if path else part
        steps.append((part, path))
    items = "".join(
        f'<li><a href="{escape(link.opened(**{"in": path}))}">{escape(text)}</a></li>'
        for text, path in steps
    )
    return f'<nav aria-label="Folders above"><ol>{items}</ol></nav>\n'


def _directory_row(link: Link, inside: str, directory: Directory) -> str:
    path = f"{inside}/{directory.name}" if inside else directory.name
    count = "1 file" if directory.files == 1 else f"{directory.files} files"
    return (
        f'<li><a class="name" href="{escape(link.opened(**{"in": path}))}">'
        f'{escape(directory.name)}</a><span class="size">{count}, {size_text(directory.size)}'
        "</span></li>\n"
    )


def _file_row(link: Link, inside: str, file: Manifest) -> str:
    address = link.bytes_of(file)
    opened = escape(link.opened(file=file.id, **{"in": inside}))
    picture = '<span class="none"></span>'
    if file.pictures:
        picture = f'<img src="{link.bytes_of(file, THUMBNAIL)}" alt="" loading="lazy">'
    saved = escape(f"Download {file.name}")
    return (
        f'<li>{picture}<a class="name" href="{opened}">{escape(file.name)}</a>'
        f'<span class="size">{size_text(file.size)}</span>'
        f'<a href="{address}?download=1" download aria-label="{saved}">Download</a></li>\n'
    )


# -- a password


def password_page(link: Link, problem: str | None = None, status: int = 200) -> Response:
    """The question for the password. It says nothing of what is behind."""
    alert = ""
    described = ""
    if problem is not None:
        alert = f'<p class="alert" role="alert" id="problem">{escape(problem)}</p>\n'
        described = ' aria-describedby="problem" aria-invalid="true"'
    body = (
        "<h1>This link has a password</h1>\n"
        "<p>Whoever sent it to you knows it.</p>\n"
        f'{alert}<form method="post" action="{quote(link.base)}">\n'
        '<label for="password">Password</label>\n'
        '<input id="password" name="password" type="password" required autofocus '
        f'autocomplete="current-password" maxlength="1024"{described}>\n'
        '<div class="row"><button type="submit">Open</button></div>\n</form>\n'
    )
    return page("A link with a password", body, status)
