"""The audit log. Source: page 12 of the design."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from lading.server.http.schemas import types
from lading.storage.collections.audit import Act


class Entry(TypedDict):
    """Who did what, and to what."""

    id: types.Id
    at: types.Moment
    act: Annotated[str, Field(json_schema_extra={"enum": [str(each) for each in Act]})]
    user_id: Annotated[
        str, Field(description="Who did it; for an admin who acts for a user, the admin.")
    ]
    owner: Annotated[str | None, Field(description="Whose file or account it is.")]
    file_id: types.Id | None
    name: Annotated[str | None, Field(description="The file's name then.")]
    grant_id: Annotated[
        types.Id | None,
        Field(description="The grant that was used, minted or revoked. Its bearer used it."),
    ]
    request_id: Annotated[str | None, Field(description="The `X-Request-Id` of the request.")]
    detail: str | None


class EntryList(TypedDict):
    """One page of entries; `cursor` requests the next page."""

    entries: list[Entry]
    cursor: Annotated[types.Id | None, Field(description="null on the last page")]
