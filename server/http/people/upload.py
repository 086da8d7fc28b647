"""The page of an upload grant, for people who open its address: a form, and what became of it."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

from lading.protocol.grants import Grant
from lading.server.http.people.layout import page, size_text


def form(base: str, grant: Grant) -> Response:
    """The form. `base` is the last part of the grant's address."""
    rules = []
    if grant.limit is not None:
        rules.append(f"At most {size_text(grant.limit)}.")
    if grant.mime_types:
        rules.append(f"Of this kind: {', '.join(grant.mime_types)}.")
    told = f'<p class="faint" id="rules">{escape(" ".join(rules))}</p>\n' if rules else ""
    described = ' aria-describedby="rules"' if rules else ""
    accepted = f' accept="{escape(",".join(grant.mime_types))}"' if grant.mime_types else ""
    body = (
        "<h1>Send a file</h1>\n<p>Somebody asked you for a file. It is sent to them alone.</p>\n"
        f'{told}<form method="post" enctype="multipart/form-data" action="{escape(base)}">\n'
        f'<label for="file">File</label>\n<input id="file" name="file" type="file" required'
        f"{described}{accepted}>\n"
        '<div class="row"><button type="submit">Send</button></div>\n</form>\n'
    )
    return page("Send a file", body)


def arrived() -> Response:
    """The page behind the form, once the file is durable."""
    return page("It has arrived", "<h1>It has arrived</h1>\n<p>You can close this page.</p>\n", 201)
