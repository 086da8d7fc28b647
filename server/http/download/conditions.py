"""The conditional fields of a request; `protocol/conditions.py` judges them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from starlette.requests import Request

from lading.protocol.conditions import Conditions, Validators, Verdict, evaluate, range_applies
from lading.protocol.errors import PreconditionFailed
from lading.protocol.manifest import Manifest, State
from lading.server.http.download.headers import etag, manifest_etag

READING = ("GET", "HEAD")


def _this_year() -> int:
    return datetime.now(UTC).year


def _field(request: Request, name: str) -> str | None:
    """A field that was sent in one or several lines (RFC 9110, 5.3)."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


def conditions(request: Request) -> Conditions:
    """The conditional fields of the request."""
    return Conditions(
        if_match=_field(request, "if-match"),
        if_unmodified_since=_field(request, "if-unmodified-since"),
        if_none_match=_field(request, "if-none-match"),
        if_modified_since=_field(request, "if-modified-since"),
        if_range=_field(request, "if-range"),
    )


def unchanged(request: Request, current: Validators) -> bool:
    """Whether the answer is 304; raises PreconditionFailed."""
    reading = request.method in READING
    verdict = evaluate(conditions(request), current, reading=reading, this_year=_this_year())
    if verdict is Verdict.FAILED:
        raise PreconditionFailed("It was changed since, or is not the one that you know.")
    return verdict is Verdict.NOT_MODIFIED


def range_field(request: Request, current: Validators) -> str | None:
    """The `Range` field, unless `If-Range` shows that the client has a part of something else.

    `Range` applies to GET only (RFC 9110, 14.2).
    """
    if request.method != "GET" or not range_applies(conditions(request), current, _this_year()):
        return None
    return _field(request, "range")


def expected(request: Request) -> Callable[[Manifest], None] | None:
    """For changes: what raises PreconditionFailed for another state than the client expects.

    None for a request without conditions. `If-Match` may name the tag of the file, which says that
    it is the same bytes, or that of its manifest, which says that nothing at all was changed.
    """
    asked = conditions(request)
    if asked == Conditions(if_modified_since=asked.if_modified_since, if_range=asked.if_range):
        return None  # these two have a meaning for reading only

    def check(manifest: Manifest) -> None:
        ready = manifest.state is State.READY
        tags = (etag(manifest), manifest_etag(manifest)) if ready else ()
        unchanged(request, Validators(tags, manifest.updated_at))

    return check
