"""Passkeys: signing in by a key that a device keeps, and uses after it has seen its owner.

A challenge is sealed and travels with the browser, as nothing is stored for those who give up; it
is good once, which is counted as attempts are. A passkey is for one host name: a page of another
site cannot ask for it, and its answer would name that site.
Source: Web Authentication Level 3, 7.1 and 7.2; page 13 of the design, "Accounts".
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
import webauthn
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from lading.protocol.errors import Forbidden, InvalidArgument, NotFound, Unauthorized
from lading.server.access.accounts import Accounts
from lading.server.access.kept_secrets import ServerSecret
from lading.server.access.principal import Principal
from lading.server.access.sessions import SignedIn
from lading.server.access.visitor import Visitor
from lading.storage.collections.attempts import Counted
from lading.storage.collections.passkeys import MOST, Passkey
from lading.storage.open import Storage

log = structlog.get_logger()

_ADD, _USE = "add", "use"


@dataclass(frozen=True, slots=True)
class Party:
    """The server as authenticators know it: its host name, and the origin of its page."""

    host: str
    origin: str

    @classmethod
    def at(cls, base: str) -> Party:
        """The one at an address, which a request used or which is the public one."""
        parts = urlsplit(base)
        return cls(parts.hostname or "", f"{parts.scheme}://{parts.netloc}")


@dataclass(frozen=True, slots=True)
class Question:
    """What the page asks an authenticator, and the sealed state that it sends back."""

    options: Mapping[str, Any]
    state: str


class PasskeyService:
    """The passkeys of accounts. `seconds` is how long an authenticator may take."""

    def __init__(
        self, storage: Storage, accounts: Accounts, secret: ServerSecret, seconds: float
    ) -> None:
        self._passkeys = storage.passkeys
        self._attempts = storage.attempts
        self._clock: Callable[[], float] = storage.clock
        self._accounts = accounts
        self._secret = secret
        self._seconds = seconds

    # -- adding one

    async def ask_to_add(
        self, principal: Principal, password: str | None, base: str, visitor: Visitor
    ) -> Question:
        """What to ask for a new passkey of the caller, who proves the password if there is one.

        Otherwise a session that somebody stole for a moment would become a key for ever. Raises
        what signing in raises, and Forbidden.
        """
        await self._accounts.check_owner(principal, password, visitor)
        name = principal.user_id
        known = await self._passkeys.of_user(name)
        if len(known) >= MOST:
            raise Forbidden(f"An account has at most {MOST} passkeys; delete one first.")
        challenge = secrets.token_bytes(32)
        options = webauthn.generate_registration_options(
            rp_id=Party.at(base).host,
            rp_name="Lading",
            user_name=name,
            # The authenticator keeps it: nothing that tells who it is (WebAuthn, 14.6.1).
            user_id=self._secret.mac("passkey-user", name),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each.id) for each in known],
        )
        state = self._seal(_ADD, challenge, name)
        return Question(options_to_json_dict(options), state)

    async def add(
        self,
        principal: Principal,
        state: str,
        credential: Mapping[str, Any],
        label: str,
        base: str,
    ) -> Passkey:
        """Store what the authenticator made; raises Unauthorized, NameTaken."""
        party = Party.at(base)
        challenge = await self._take(_ADD, state, principal.user_id)
        with _refusing(principal.user_id):
            verified = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=party.host,
                expected_origin=party.origin,
                require_user_verification=True,
            )
        passkey = Passkey(
            id=verified.credential_id,
            user_id=principal.user_id,
            public_key=verified.credential_public_key,
            label=label,
            sign_count=verified.sign_count,
            created_at=self._clock(),
        )
        await self._passkeys.insert(passkey)
        return passkey

    # -- signing in

    def ask_to_sign_in(self, base: str) -> Question:
        """What to ask whoever wants to sign in: any passkey for this host will do."""
        challenge = secrets.token_bytes(32)
        options = webauthn.generate_authentication_options(
            rp_id=Party.at(base).host,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return Question(options_to_json_dict(options), self._seal(_USE, challenge, ""))

    async def sign_in(
        self, state: str, credential: Mapping[str, Any], base: str, visitor: Visitor
    ) -> SignedIn:
        """Begin a session; raises Unauthorized, Forbidden (disabled)."""
        party = Party.at(base)
        challenge = await self._take(_USE, state, "")
        passkey = await self._passkeys.get(_id_of(credential))
        if passkey is None:
            raise Unauthorized("This passkey is not known here.")
        with _refusing(passkey.user_id):
            verified = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=party.host,
                expected_origin=party.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        await self._passkeys.used(passkey, verified.new_sign_count, self._clock())
        return await self._accounts.begin(passkey.user_id, visitor)

    # -- which there are

    async def of_user(self, user_id: str) -> list[Passkey]:
        """A user's, the newest first."""
        return await self._passkeys.of_user(user_id)

    async def remove(self, user_id: str, passkey_id: str) -> None:
        """Delete one of a user; raises NotFound."""
        if not await self._passkeys.remove(_decoded(passkey_id), user_id):
            raise NotFound("There is no such passkey.")

    # -- challenges

    def _seal(self, purpose: str, challenge: bytes, name: str) -> str:
        state = {
            "passkey": purpose,
            "challenge": challenge.hex(),
            "name": name,
            "until": self._clock() + self._seconds,
        }
        return self._secret.seal(json.dumps(state).encode())

    async def _take(self, purpose: str, sealed: str, name: str) -> bytes:
        """The challenge of a state; it cannot be taken twice."""
        opened = self._secret.unseal(sealed)
        state = {} if opened is None else json.loads(opened)
        fits = isinstance(state, dict) and state.get("passkey") == purpose
        if not fits or state["name"] != name or state["until"] < self._clock():
            raise Unauthorized("This took too long; try again.")
        once = Counted(f"challenge {state['challenge']}", 1)
        if await self._attempts.count(once, state["until"], self._seconds) is not None:
            raise Unauthorized("This passkey was shown before; try again.")
        return bytes.fromhex(state["challenge"])


@contextmanager
def _refusing(user_id: str) -> Iterator[None]:
    """Whatever the library stumbles over in what a stranger sent is a passkey that is not accepted.

    It raises its own errors for what the standard forbids, and plain ones for bytes that are cut
    off or are something else.
    """
    try:
        yield
    except Exception as error:
        cause = str(error)[:200]
        log.warning("passkey-refused", user_id=user_id, kind=type(error).__name__, error=cause)
        raise Unauthorized("The passkey was not accepted; try again.") from None


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise InvalidArgument("The id of a passkey is Base64.") from None


def _id_of(credential: Mapping[str, Any]) -> bytes:
    found = credential.get("id")
    if not isinstance(found, str) or len(found) > 2048:
        raise InvalidArgument("`credential` must be what the browser made of the passkey.")
    return _decoded(found)
