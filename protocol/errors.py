"""The error tree: every way in which Lading refuses, with its stable code.

Each error has a code, one plain sentence, and whether trying again can help. `codes.py` holds the
one table from codes to HTTP statuses and WebSocket close codes.
Source: page 4 of the design, "Codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class LadingError(Exception):
    """Something was refused.

    `detail` says what happened in this case and what to do; `extra` carries the facts that help
    (`missing`, `offset`, `limit`, `used`, ...) and travels with the problem document.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "The server failed."
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.extra = extra

    def problem(self) -> dict[str, Any]:
        """The problem as a mapping: code, title, detail?, retryable, and the extra facts."""
        problem: dict[str, Any] = {"code": self.code, "title": self.title}
        if self.detail is not None:
            problem["detail"] = self.detail
        problem["retryable"] = self.retryable
        problem.update(self.extra)
        return problem


class InvalidMessage(LadingError):
    code = "invalid-message"
    title = "The message is not part of the protocol."


class InvalidArgument(LadingError):
    code = "invalid-argument"
    title = "A value in the request is not allowed."


class Unauthorized(LadingError):
    code = "unauthorized"
    title = "A valid credential is needed."


class Forbidden(LadingError):
    code = "forbidden"
    title = "This credential does not allow that."


class UploadEnded(LadingError):
    """The upload exists no more: retrying helps nothing. Has no code of its own."""


class NotFound(UploadEnded):
    code = "not-found"
    title = "There is no such thing here."


class Rejected(UploadEnded):
    code = "rejected"
    title = "The site's check refused the file; it was deleted."


class MethodNotAllowed(LadingError):
    code = "method-not-allowed"
    title = "This address does not take that method."


class RequestTimeout(LadingError):
    code = "request-timeout"
    title = "The request took too long to arrive."
    retryable = True


class ChunkConflict(LadingError):
    code = "chunk-conflict"
    title = "Other bytes are already stored at this place."


class Incomplete(LadingError):
    code = "incomplete"
    title = "Parts of the file are still missing."


class AlreadyComplete(LadingError):
    code = "already-complete"
    title = "The upload is already complete."


class OffsetMismatch(LadingError):
    code = "offset-mismatch"
    title = "The bytes do not start where the stored ones end."


class NameTaken(LadingError):
    code = "name-taken"
    title = "That name is already in use."


class InProgress(LadingError):
    code = "in-progress"
    title = "The same request is being carried out."
    retryable = True


class KeyReused(LadingError):
    code = "key-reused"
    title = "This idempotency key belongs to another request."


class NotReady(LadingError):
    code = "not-ready"
    title = "The image is being made; ask again in a moment."
    retryable = True


class Gone(UploadEnded):
    code = "gone"
    title = "The upload expired and was removed."


class PreconditionFailed(LadingError):
    code = "precondition-failed"
    title = "The file is not as the request expects it."


class TooLarge(LadingError):
    code = "too-large"
    title = "The content is larger than allowed."


class UnsupportedMediaType(LadingError):
    code = "unsupported-media-type"
    title = "Content of this type is not taken here."


class RangeNotSatisfiable(LadingError):
    code = "range-not-satisfiable"
    title = "The requested range is not there."


class OutOfBounds(LadingError):
    code = "out-of-bounds"
    title = "The piece does not fit the cells of the upload."


class UnprocessableImage(LadingError):
    code = "unprocessable-image"
    title = "The content cannot be read as an image."


class ChecksumMismatch(LadingError):
    code = "checksum-mismatch"
    title = "The bytes do not match their checksum."
    retryable = True


class RateLimited(LadingError):
    code = "rate-limited"
    title = "Too many requests in a short time."
    retryable = True


class TooManyConnections(LadingError):
    code = "too-many-connections"
    title = "Too many connections are open."
    retryable = True


class WindowExceeded(LadingError):
    code = "window-exceeded"
    title = "More bytes were sent than the window allows."


class Internal(LadingError):
    """A fault on the server's side; the tree's root carries its code and sentence."""


class Unavailable(LadingError):
    code = "unavailable"
    title = "The server cannot do this right now."
    retryable = True


class ShuttingDown(LadingError):
    code = "shutting-down"
    title = "The server is shutting down."
    retryable = True


class QuotaExceeded(LadingError):
    code = "quota-exceeded"
    title = "The quota does not allow this many bytes."


class StorageFull(LadingError):
    code = "storage-full"
    title = "The server has no room left."
    retryable = True


CATALOGUE: Mapping[str, type[LadingError]] = {
    kind.code: kind
    for kind in (
        InvalidMessage,
        InvalidArgument,
        Unauthorized,
        Forbidden,
        NotFound,
        Rejected,
        MethodNotAllowed,
        RequestTimeout,
        ChunkConflict,
        Incomplete,
        AlreadyComplete,
        OffsetMismatch,
        NameTaken,
        InProgress,
        KeyReused,
        NotReady,
        Gone,
        PreconditionFailed,
        TooLarge,
        UnsupportedMediaType,
        RangeNotSatisfiable,
        OutOfBounds,
        UnprocessableImage,
        ChecksumMismatch,
        RateLimited,
        TooManyConnections,
        WindowExceeded,
        Internal,
        Unavailable,
        ShuttingDown,
        QuotaExceeded,
        StorageFull,
    )
}
"""Every code that a peer may meet, with the class that means it."""


def from_problem(problem: Mapping[str, Any]) -> LadingError:
    """The error that a received problem document describes.

    An unknown code becomes `Internal`, with the code kept in `extra["unknown_code"]`, so that an
    older client survives a newer server.
    """
    code = problem.get("code")
    detail = problem.get("detail") or problem.get("title")
    known = {"code", "title", "detail", "retryable", "type", "status"}
    extra = {str(key): value for key, value in problem.items() if key not in known}
    kind = CATALOGUE.get(code) if isinstance(code, str) else None
    if kind is None:
        extra["unknown_code"] = code
        kind = Internal
    error = kind(str(detail) if detail is not None else None)
    error.extra = extra  # not by keywords: the peer chose the names
    return error
