"""Kinds of files and their limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from lading.protocol import kinds as domain


class Kind(TypedDict):
    """What a kind of files asks for; null and an empty list set no limit."""

    name: str
    max_size: Annotated[int | None, Field(ge=1, description="The most bytes of a file.")]
    mime_types: Annotated[
        list[str], Field(description="Allowed types, such as `image/png` or `image/*`.")
    ]
    crop: Annotated[Literal["square"] | None, Field(description="How its images are cut.")]
    public: Annotated[bool, Field(description="Whether everyone may fetch its files.")]
    sizes: Annotated[list[int], Field(description="The qualities that its images are made in.")]
    directory: Annotated[str | None, Field(description="Where its files are stored.")]
    expires_in: Annotated[
        float | None, Field(gt=0, description="Seconds after which its files are deleted.")
    ]


class KindList(TypedDict):
    """All kinds of this server."""

    kinds: list[Kind]


def kind_of(kind: domain.Kind) -> Kind:
    """What a kind asks for."""
    rules: Kind = kind.rules()  # type: ignore[assignment]
    return rules
