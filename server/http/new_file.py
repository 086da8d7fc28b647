"""What the query of a request says of a new file, for the routes that take one in a body."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import InvalidArgument
from lading.protocol.spec import UploadSpec
from lading.server.http.schemas.types import parse_moment


def file_spec(
    request: Request,
    *,
    name: str | None = None,
    size: int | None = None,
    mime_type: str | None = None,
    directory: str = "",
    sha256: str | None = None,
    meta: str | None = None,
    concat: str | None = None,
) -> UploadSpec:
    """The upload that a request asks for: what its query says, then what its headers say.

    `directory` is below the one of the query.
    """
    query = request.query_params
    return UploadSpec(
        name=query.get("name") or name or "unnamed",
        size=size,
        mime_type=mime_type,
        directory="/".join(each for each in (query.get("directory", ""), directory) if each),
        tags=tuple(query.getlist("tag")),
        sha256=sha256,
        kind=query.get("kind"),
        modified_at=_modified(query.get("modified_at")),
        public=query.get("public") == "true",
        meta=meta,
        concat=concat,
    )


def _modified(given: str | None) -> float | None:
    try:
        return parse_moment(given) if given else None
    except ValueError as error:
        raise InvalidArgument(f"modified_at {error}.") from error
