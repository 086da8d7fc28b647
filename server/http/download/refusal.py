"""Refusals that a player can show.

A browser hands a player no JSON from another site: it blocks the answer, and the player waits for
ever. So what is asked for as a film, sound or image is refused with an empty answer of such a type.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import LadingError
from lading.server.net.problems import problem_response
from lading.server.net.record import record_of

_EMPTY = {"video": "video/mp4", "audio": "audio/mpeg", "image": "image/png"}


def refusal(
    request: Request, error: LadingError, headers: dict[str, str] | None = None
) -> Response:
    """The problem document of an error, or for a browser's player its status and headers only."""
    record_of(request.scope).code = error.code
    response = problem_response(error, headers=headers)
    media_type = _EMPTY.get(request.headers.get("sec-fetch-dest", ""))
    if media_type is None:
        return response
    kept = {
        name: value
        for name, value in response.headers.items()
        if name not in ("content-length", "content-type")
    }
    kept["Cross-Origin-Resource-Policy"] = "cross-origin"
    return Response(status_code=response.status_code, headers=kept, media_type=media_type)
