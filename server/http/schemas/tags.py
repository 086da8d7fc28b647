"""Tags, with the number of files that have each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from lading.server.http.schemas import types
from lading.server.http.schemas.types import RequestBody


class NameTag(RequestBody):
    """The name of a new tag, or the new name of a tag."""

    name: types.Tag


class Tag(TypedDict):
    """A tag, and how many files have it."""

    name: str
    files: Annotated[int, Field(ge=0)]


class TagList(TypedDict):
    """One page of the caller's tags, by name."""

    tags: list[Tag]
    cursor: Annotated[str | None, Field(description="null on the last page")]
