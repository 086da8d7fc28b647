"""Accounts, sessions, and what begins them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict

from lading.protocol.accounts import LONGEST_PASSWORD, MAX_ACCOUNT_NAME, SHORTEST_PASSWORD
from lading.protocol.manifest import MAX_INTEGER
from lading.server.http.schemas import types
from lading.server.http.schemas.service import Usage
from lading.storage.collections.passkeys import Passkey as KeptPasskey
from lading.storage.collections.sessions import Session as KeptSession
from lading.storage.collections.users import User

Scope = Literal["admin", "grant"]

AccountName = Annotated[
    str,
    Field(
        description="Letters, digits and `._-+@`; it begins with a letter or a digit.",
        json_schema_extra={
            "minLength": 1,
            "maxLength": MAX_ACCOUNT_NAME,
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._@+-]*$",
        },
    ),
]
Password = Annotated[
    str,
    Field(description="The present password.", json_schema_extra={"maxLength": LONGEST_PASSWORD}),
]
NewPassword = Annotated[
    str,
    Field(
        description="Not the name; any characters.",
        json_schema_extra={"minLength": SHORTEST_PASSWORD, "maxLength": LONGEST_PASSWORD},
    ),
]
Scopes = Annotated[
    list[Scope],
    Field(
        description="`admin` acts for all users; `grant` creates grants for others.", max_length=2
    ),
]
Quota = Annotated[types.Whole | None, Field(ge=0, le=MAX_INTEGER, description="null for no limit")]


# -- in requests


class SignIn(types.RequestBody):
    """A name and its password; without both, the bearer token of the request is kept."""

    name: str | None = Field(default=None, max_length=256)
    password: Password | None = None


class SignUp(types.RequestBody):
    """A name, a password, and the token of an invitation where one is needed."""

    name: AccountName
    password: NewPassword
    invitation: Annotated[
        str | None, Field(description="The token of a grant for signup.", max_length=256)
    ] = None


class ChangePassword(types.RequestBody):
    """The present password, and the one that replaces it."""

    password: Password
    new_password: NewPassword


class NewUser(types.RequestBody):
    """An account. Without a password nobody can sign in with one."""

    name: AccountName
    password: NewPassword | None = None
    scopes: Scopes = Field(default_factory=list)
    quota: Quota = None
    disabled: types.Truth = False


class ChangeUser(types.RequestBody):
    """What is given changes; every change but that of the quota ends the account's sessions."""

    password: NewPassword | None = None
    scopes: Scopes | None = None
    quota: Quota = None
    disabled: types.Truth | None = None


class AskPasskey(types.RequestBody):
    """The password of the account, if it has one."""

    password: Password | None = None


class ShownPasskey(types.RequestBody):
    """What the browser made of `options`, as the `toJSON` of its credential says it."""

    state: Annotated[str, Field(description="The `state` that came with `options`.")]
    credential: dict[str, Any]


class AddPasskey(ShownPasskey):
    """A new passkey."""

    label: Annotated[
        str,
        Field(
            description="What its owner calls it.",
            min_length=1,
            max_length=64,
            pattern=types.NO_NUL,
        ),
    ]


# -- in answers


class PasskeyQuestion(TypedDict):
    """What to ask an authenticator, and what to send back with its answer."""

    options: Annotated[
        dict[str, Any],
        Field(description="For `navigator.credentials`, through `parse…OptionsFromJSON`."),
    ]
    state: str


class Passkey(TypedDict):
    """A key with which its owner signs in."""

    id: str
    label: str
    created_at: types.Moment
    used_at: types.Moment | None


class PasskeyList(TypedDict):
    """A user's passkeys, the newest first."""

    passkeys: list[Passkey]


class Account(TypedDict):
    """With what somebody signs in, and what it allows."""

    scopes: Scopes
    disabled: bool
    has_password: bool
    created_at: types.Moment


class UserEntry(Usage):
    """A user, with usage and quota."""

    account: NotRequired[Annotated[Account, Field(description="absent for one without")]]


class UserList(TypedDict):
    """One page of users, by id."""

    users: list[UserEntry]
    cursor: Annotated[str | None, Field(description="null on the last page")]


class SignedIn(TypedDict):
    """A session. The refresh token is in a cookie only."""

    user_id: str
    session_id: types.Id
    token: Annotated[str, Field(description="An access token; send it as a bearer token.")]
    expires_at: Annotated[types.Moment, Field(description="When the access token expires.")]


class Session(TypedDict):
    """One browser or program that is signed in."""

    id: types.Id
    current: Annotated[bool, Field(description="Whether it is the session of this request.")]
    created_at: types.Moment
    used_at: types.Moment
    expires_at: Annotated[types.Moment, Field(description="When it ends unless it is used.")]
    address: Annotated[str, Field(description="The network address that used it last.")]
    agent: Annotated[str, Field(description="The `User-Agent` that used it last.")]


class SessionList(TypedDict):
    """A user's sessions, the last used one first."""

    sessions: list[Session]


class Ended(TypedDict):
    """How many sessions ended."""

    ended: Annotated[int, Field(ge=0)]


class Ways(TypedDict):
    """How one signs in here."""

    ways: Annotated[
        list[Literal["token", "password", "passkey", "oidc"]],
        Field(
            description="`token`: a token is pasted. `password`: a name and a password. `passkey`: "
            "a passkey of this device. `oidc`: at an OpenID provider, by `GET /oidc`."
        ),
    ]
    provider: Annotated[str | None, Field(description="The host of that provider.")]
    signup: Annotated[
        Literal["closed", "invite", "open"],
        Field(description="Who can make an account: nobody, people with an invitation, anyone."),
    ]


def account_of(user: User) -> Account:
    """An account without its hash."""
    return Account(
        scopes=cast(list[Scope], list(user.scopes)),  # nothing else is stored
        disabled=user.disabled,
        has_password=user.password is not None,
        created_at=types.moment(user.created_at),
    )


def passkey_of(passkey: KeptPasskey) -> Passkey:
    """A passkey, as its owner sees it."""
    used = passkey.used_at
    return Passkey(
        id=passkey.text_id,
        label=passkey.label,
        created_at=types.moment(passkey.created_at),
        used_at=None if used is None else types.moment(used),
    )


def session_of(session: KeptSession, current: str | None) -> Session:
    """A session, as its user sees it."""
    return Session(
        id=session.id,
        current=session.id == current,
        created_at=types.moment(session.created_at),
        used_at=types.moment(session.used_at),
        expires_at=types.moment(session.expires_at),
        address=session.address,
        agent=session.agent,
    )
