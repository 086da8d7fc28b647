"""The page on which people send what somebody asks for.

Its script lets them choose or drop files, and continue after whatever went wrong. Without the
script there is a form for one file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from starlette.responses import Response

from lading.server.http.people.layout import STYLE_SOURCE, page, size_text, until
from lading.server.http.people.script import Script

POLICY = "; ".join(
    [
        "default-src 'none'",
        # WebAssembly computes digests; compiling it is not evaluating text.
        "script-src 'self' 'wasm-unsafe-eval'",
        f"style-src 'self' {STYLE_SOURCE}",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The `Content-Security-Policy`: its own files, and previews of chosen files."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for. Sizes are bytes, None for no limit.

    `left` is for all files together, `of_one` for each of them.
    """

    token: str
    grant_id: str
    expires_at: float
    left: int | None
    of_one: int | None
    mime_types: Sequence[str]

    def rules(self) -> str:
        """The limits in words; empty where there are none."""
        rules = []
        if self.left is not None:
            rules.append(f"There is room for {size_text(self.left)}.")
        if self.of_one is not None:
            rules.append(f"Each file may have {size_text(self.of_one)}.")
        if self.mime_types:
            rules.append(f"Of this kind: {', '.join(self.mime_types)}.")
        return " ".join(rules)


def page_of(asked: Asked, script: Script | None) -> Response:
    """The page; with its script if there is one, so that the form is for the others."""
    rules = asked.rules()
    told = f'<p class="faint">{escape(rules)}</p>\n' if rules else ""
    form = _form(asked)
    body = (
        "<h1>Send files</h1>\n"
        f"<p>Somebody asked you for files. They are sent to them alone.</p>\n{told}"
    )
    if script is not None:
        types = escape(",".join(asked.mime_types))
        body += (
            f'<div id="request" data-id="{asked.grant_id}" data-types="{types}"></div>\n'
            f"<noscript>\n{form}</noscript>\n"
        )
    else:
        body += form
    head = "" if script is None else script.html("../")
    return page(
        "Send files",
        body + until(asked.expires_at),
        head=head,
        headers={"Content-Security-Policy": POLICY},
    )


def _form(asked: Asked) -> str:
    accepted = f' accept="{escape(",".join(asked.mime_types))}"' if asked.mime_types else ""
    return (
        f'<form method="post" enctype="multipart/form-data" action="../v1/g/{asked.token}">\n'
        f'<label for="file">File</label>\n<input id="file" name="file" type="file" required'
        f"{accepted}>\n"
        '<div class="row"><button type="submit">Send</button></div>\n</form>\n'
    )
