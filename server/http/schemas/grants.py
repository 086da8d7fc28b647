"""Grants: what creates one, and how it is shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, RootModel, model_validator
from typing_extensions import TypeAliasType, TypedDict

from lading.protocol import grants as domain
from lading.protocol.allowed_types import MAX_MIME_TYPES
from lading.protocol.grants import HIGHEST_QUALITY, MAX_SECONDS, ORIGINAL
from lading.protocol.manifest import MAX_INTEGER
from lading.server.http.schemas import types
from lading.server.http.schemas.kinds import Kind

HOUR = 3600.0
WEEK = 7 * 24 * HOUR
SHORTEST = 0.001
"""A shorter time would vanish when it is added to the clock."""

# -- creating


class _NewGrant(types.RequestBody):
    """The fields of both kinds."""

    user_id: types.UserId | None = None
    expires_in: float = Field(default=HOUR, ge=SHORTEST, le=MAX_SECONDS)


class NewUploadGrant(_NewGrant):
    """A grant to upload; the bearer chooses whatever is left out."""

    action: Literal["upload"]
    name: types.Name | None = None
    directory: types.Directory | None = None
    size: types.Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    max_size: types.Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    sha256: types.Digest | None = None
    mime_types: list[types.MimeTypes] | None = Field(
        default=None, min_length=1, json_schema_extra={"maxItems": MAX_MIME_TYPES}
    )
    kind: types.KindName | None = None
    uses: types.Whole | None = Field(default=None, ge=1, le=MAX_INTEGER)


class NewDownloadGrant(_NewGrant):
    """A grant to download one file, in every quality or in one."""

    action: Literal["download"]
    file_id: types.FileId
    quality: types.Whole | None = Field(default=None, ge=ORIGINAL, le=HIGHEST_QUALITY)


class NewShareGrant(_NewGrant):
    """A link to a file or a directory, for people."""

    action: Literal["share"]
    file_id: types.FileId | None = None
    directory: types.Directory | None = None
    expires_in: float = Field(default=WEEK, ge=SHORTEST, le=MAX_SECONDS)
    uses: types.Whole | None = Field(
        default=None, ge=1, le=MAX_INTEGER, description="Visitors who may download; all, if null."
    )
    password: types.LinkPassword | None = None


class NewRequest(_NewGrant):
    """A link with which people without an account send files into a directory."""

    action: Literal["request"]
    directory: types.Directory
    expires_in: float = Field(default=WEEK, ge=SHORTEST, le=MAX_SECONDS)
    uses: types.Whole | None = Field(
        default=None, ge=1, le=MAX_INTEGER, description="Files that may be sent; all, if null."
    )
    max_size: types.Whole | None = Field(
        default=None, ge=0, le=MAX_INTEGER, description="Bytes of all these files together."
    )
    mime_types: list[types.MimeTypes] | None = Field(
        default=None, min_length=1, json_schema_extra={"maxItems": MAX_MIME_TYPES}
    )
    kind: types.KindName | None = None


class NewInvitation(types.RequestBody):
    """A grant to make accounts; only an admin can create one."""

    action: Literal["signup"]
    uses: types.Whole | None = Field(default=None, ge=1, le=MAX_INTEGER)
    expires_in: float = Field(default=WEEK, ge=SHORTEST, le=MAX_SECONDS)


AnyNewGrant = NewUploadGrant | NewDownloadGrant | NewShareGrant | NewRequest | NewInvitation

_ACTIONS = ("upload", "download", "share", "request", "signup")


class NewGrant(RootModel[AnyNewGrant]):
    """A grant; `action` selects its kind."""

    root: Annotated[AnyNewGrant, Field(discriminator="action")]

    @model_validator(mode="before")
    @classmethod
    def _has_action(cls, value: Any) -> Any:
        if value.get("action") not in _ACTIONS:
            named = ", ".join(f'"{each}"' for each in _ACTIONS[:-1])
            raise ValueError(f'`action` must be {named} or "{_ACTIONS[-1]}"')
        return value


class NewSender(types.RequestBody):
    """Somebody who sends what was asked for."""

    name: types.SenderName


class FileInJson(types.RequestBody):
    """A file as a page's script has it; it is decoded as it arrives."""

    data: str = Field(
        description="A data URL in Base64.",
        pattern="^data:[^,]*;base64,[A-Za-z0-9+/]*=*$",
    )
    name: types.Name | None = None


class MintedGrant(TypedDict):
    """A new grant. Its token is shown only here."""

    id: types.Id
    token: str
    url: Annotated[str, Field(description="The address to use it at, over HTTP.")]
    ws_url: Annotated[str, Field(description="The address to use it at, over WebSocket.")]
    expires_at: types.Moment
    kind_rules: NotRequired[Kind]
    """What its kind asks for; only where one was named."""


# -- showing


class _AnyGrant(TypedDict):
    id: types.Id
    user_id: str
    minter: str
    created_at: types.Moment
    expires_at: types.Moment


class UploadGrant(_AnyGrant):
    """A grant to upload; a field that is null sets no bound."""

    action: Literal["upload"]
    name: str | None
    directory: str | None
    size: types.Size | None
    max_size: types.Size | None
    sha256: types.Sha256 | None
    mime_types: list[str]
    kind: str | None
    uses: Annotated[int, Field(ge=1)]
    used: Annotated[int, Field(ge=0)]


class DownloadGrant(_AnyGrant):
    """A grant to download one file."""

    action: Literal["download"]
    file_id: types.Id
    quality: Annotated[int | None, Field(ge=0, le=6)]


class ShareGrant(_AnyGrant):
    """A link to a file or a directory."""

    action: Literal["share"]
    file_id: types.Id | None
    directory: str | None
    uses: Annotated[int | None, Field(ge=1, description="null for all visitors.")]
    used: Annotated[int, Field(ge=0, description="Visitors who downloaded.")]
    password: Annotated[bool, Field(description="Whether it has one.")]


class RequestGrant(_AnyGrant):
    """A link with which people send files."""

    action: Literal["request"]
    directory: str
    max_size: Annotated[
        types.Size | None, Field(description="Of all files together; null for no limit.")
    ]
    mime_types: list[str]
    kind: str | None
    uses: Annotated[int | None, Field(ge=1, description="null for any number of files.")]
    used: Annotated[int, Field(ge=0, description="Files that were sent or begun.")]
    taken: Annotated[types.Size, Field(description="Bytes that were sent, or are reserved.")]
    senders: Annotated[int, Field(ge=0, description="People who gave a name.")]


class Invitation(_AnyGrant):
    """A grant to make accounts."""

    action: Literal["signup"]
    uses: Annotated[int, Field(ge=1)]
    used: Annotated[int, Field(ge=0)]


class ChangeGrant(types.RequestBody):
    """The changes to a grant; fields that are left out keep their values."""

    expires_in: float | None = Field(
        default=None, ge=SHORTEST, le=MAX_SECONDS, description="Seconds from now."
    )
    uses: types.Whole | None = Field(default=None, ge=1, le=MAX_INTEGER)
    max_size: types.Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    password: types.LinkPassword | None = None


Grant = TypeAliasType(
    "Grant",
    Annotated[
        UploadGrant | DownloadGrant | ShareGrant | RequestGrant | Invitation,
        Field(discriminator="action", description="A grant, without its token."),
    ],
)


class GrantList(TypedDict):
    """One page of the grants that the caller created."""

    grants: list[Grant]
    cursor: Annotated[types.Id | None, Field(description="null on the last page")]


def grant_of(grant: domain.Grant) -> Grant:
    """A grant without its token, which is not stored."""
    common = _AnyGrant(
        id=grant.id,
        user_id=grant.user_id,
        minter=grant.minter,
        created_at=types.moment(grant.created_at),
        expires_at=types.moment(grant.expires_at),
    )
    if grant.action is domain.Action.UPLOAD:
        return UploadGrant(
            **common,
            action="upload",
            name=grant.name,
            directory=grant.directory,
            size=grant.size,
            max_size=grant.max_size,
            sha256=grant.sha256,
            mime_types=list(grant.mime_types),
            kind=grant.kind,
            uses=grant.uses,
            used=grant.used,
        )
    if grant.action is domain.Action.SHARE:
        return ShareGrant(
            **common,
            action="share",
            file_id=grant.file_id,
            directory=grant.directory,
            uses=None if grant.uses == MAX_INTEGER else grant.uses,
            used=grant.used,
            password=grant.password is not None,
        )
    if grant.action is domain.Action.REQUEST:
        assert grant.directory is not None
        return RequestGrant(
            **common,
            action="request",
            directory=grant.directory,
            max_size=grant.max_size,
            mime_types=list(grant.mime_types),
            kind=grant.kind,
            uses=None if grant.uses == MAX_INTEGER else grant.uses,
            used=grant.used,
            taken=grant.taken,
            senders=grant.senders,
        )
    if grant.action is domain.Action.SIGNUP:
        return Invitation(**common, action="signup", uses=grant.uses, used=grant.used)
    assert grant.file_id is not None
    return DownloadGrant(**common, action="download", file_id=grant.file_id, quality=grant.quality)
