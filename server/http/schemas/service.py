"""Usage, health, and problems."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from lading.protocol.errors import CATALOGUE
from lading.protocol.manifest import MAX_INTEGER
from lading.server.http.schemas.types import Gap, RequestBody, Size, Whole


class SetQuota(RequestBody):
    """A user's limit in bytes; null for none."""

    quota: Whole | None = Field(ge=0, le=MAX_INTEGER)


class Usage(TypedDict):
    """The bytes that a user has stored and may store."""

    user_id: str
    used: Annotated[Size, Field(description="Bytes of finished files.")]
    reserved: Annotated[Size, Field(description="Bytes of uploads in progress.")]
    quota: Annotated[Size | None, Field(description="null for no limit")]


class OwnUsage(Usage):
    """The same of the caller, and whether that is an admin."""

    admin: Annotated[bool, Field(description="Whether the caller may act for all users.")]


class DeletedUser(TypedDict):
    """How many of each were deleted with the user."""

    user_id: str
    files: Annotated[int, Field(ge=0)]
    uploads: Annotated[int, Field(ge=0, description="Unfinished uploads.")]
    tags: Annotated[int, Field(ge=0)]
    grants: Annotated[int, Field(ge=0)]
    account: NotRequired[Annotated[Literal[True], Field(description="Absent if there was none.")]]


class Status(TypedDict):
    """The process works."""

    status: Literal["ok"]
    version: str


class Health(TypedDict):
    """The state of each part."""

    status: Literal["ok", "unavailable"]
    version: str
    database: Annotated[str, Field(description="`ok`, or the code of the error.")]
    draining: Annotated[bool, Field(description="Whether the server is shutting down.")]


class Unfinished(TypedDict):
    """An unfinished upload that counts for the quota. `DELETE /v1/uploads/{id}` aborts it."""

    id: Annotated[str, Field(description="The id of the upload.")]
    name: str
    reserved: Annotated[Size, Field(description="Bytes that it reserves.")]
    updated_at: Annotated[str, Field(description="When bytes of it came last (RFC 3339).")]


class Problem(BaseModel):
    """Why a request was refused (RFC 9457). Rely on `code`; the texts may change."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(pattern="^urn:lading:problem:[a-z-]+$")
    status: int = Field(ge=400, le=599)
    code: str = Field(json_schema_extra={"enum": list(CATALOGUE)})
    title: str = Field(description="The meaning of the code.")
    detail: str = Field(default="", description="What happened this time, and what to do.")
    request_id: str | None = Field(
        default=None, description="The id of the request, as in `X-Request-Id` and in the log."
    )
    retryable: bool = Field(description="Whether the same request may succeed later.")
    limit: Size | None = Field(default=None, description="The largest number of bytes allowed.")
    used: Size | None = Field(default=None, description="Bytes of finished files.")
    reserved: Size | None = Field(default=None, description="Bytes of uploads in progress.")
    unfinished: list[Unfinished] | None = Field(
        default=None, description="The largest unfinished uploads that reserve space, at most 5."
    )
    free: Size | None = Field(default=None, description="Bytes left on the database's disk.")
    missing: list[Gap] | None = Field(default=None, description="Ranges that are not stored.")
    upload_size: Size | None = Field(default=None, description="The number of stored bytes.")
    size: Size | None = Field(default=None, description="Bytes of the file.")
    retry_after: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Seconds until the same request may succeed."
    )
