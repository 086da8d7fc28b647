"""Answers of tus: the headers that each has, and refusals as text that a client shows."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol import tus
from lading.protocol.codes import STATUSES
from lading.protocol.errors import LadingError, OffsetMismatch
from lading.protocol.manifest import MAX_INTEGER, Manifest, State
from lading.server.net.problems import problem_response
from lading.server.net.record import record_of

PATH = "/v1/tus"
GRANTS = "/v1/g/"
_ALWAYS = "tus_headers"


def speaks_tus(request: Request) -> bool:
    """Whether a request is answered in the way of tus."""
    path = request.url.path
    if path == PATH or path.startswith(f"{PATH}/"):
        return True
    return path.startswith(GRANTS) and "tus-resumable" in request.headers


def answer(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without content."""
    usual = {"Tus-Resumable": tus.VERSION, "Cache-Control": "no-store"}
    return Response(status_code=status, headers={**usual, **(headers or {})})


def refusal(request: Request, error: LadingError, status: int | None = None) -> Response:
    """The refusal as a sentence; as a problem document where the client asks for JSON."""
    record_of(request.scope).code = error.code
    row = STATUSES[error.code]
    response = problem_response(error, status or row.tus or row.http)
    if "json" not in request.headers.get("accept", ""):
        kept = {
            name: value
            for name, value in response.headers.items()
            if name not in ("content-type", "content-length")
        }
        response = Response(f"{error}\n", response.status_code, kept, media_type="text/plain")
    response.headers["Tus-Resumable"] = tus.VERSION
    response.headers.update(getattr(request.state, _ALWAYS, {}))
    if isinstance(error, tus.WrongVersion):
        response.headers["Tus-Version"] = tus.VERSION
    if isinstance(error, OffsetMismatch) and "offset" in error.extra:
        response.headers["Upload-Offset"] = str(error.extra["offset"])
    return response


def always(request: Request, headers: Mapping[str, str]) -> None:
    """Headers that the answer to this request has, also where it is a refusal."""
    setattr(request.state, _ALWAYS, headers)


def offers(largest: int | None) -> dict[str, str]:
    """What OPTIONS tells; `largest` is the most bytes that an upload here may have."""
    return {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": ",".join(tus.EXTENSIONS),
        "Tus-Max-Size": str(MAX_INTEGER if largest is None else largest),
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
    }


def expires(manifest: Manifest) -> dict[str, str]:
    """When the upload expires unless it is continued (RFC 9110, 5.6.7)."""
    if manifest.expires_at is None or manifest.state is State.READY:
        return {}
    return {"Upload-Expires": formatdate(int(manifest.expires_at), usegmt=True)}
