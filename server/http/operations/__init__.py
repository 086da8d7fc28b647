"""What each operation of the HTTP API does, takes and answers: one entry for each method of ROUTES.

A test fails where an entry is missing, and another where a server does not keep to it. Source:
page 4 of the design.
"""

from __future__ import annotations

from lading.server.http.describe import Operation
from lading.server.http.operations import files, grants, media, service, uploads

GROUPS = {
    "Files": "Small files in one request, lists, downloads.",
    "Uploads": "Files of any size, piece by piece; gone on with from any device.",
    "Grants": "Tokens for one upload or download, minted by a site's back end.",
    "Media": "Announce a file, send it to a presigned address, have it published.",
    "Tags": "Words that files are found by.",
    "Usage": "What users have stored and may store.",
    "Service": "Health, and what describes the service.",
}

OPERATIONS: dict[tuple[str, str], Operation] = {
    **files.OPERATIONS,
    **uploads.OPERATIONS,
    **grants.OPERATIONS,
    **media.OPERATIONS,
    **service.OPERATIONS,
}
