"""`LADING_AUTH=jwt`: principals from JSON Web Tokens.

A key decides the algorithm, never the token. Source: page 4 of the design, "Access"; page 5,
security list, item 17; RFC 7519, 8725.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from joserfc import errors, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key

from lading.protocol.errors import Unauthorized
from lading.protocol.spec import MAX_USER_ID, check_text
from lading.server.access.jwks import FetchedKeys, jwks_fetcher
from lading.server.access.keys import (
    FixedKeys,
    Keys,
    WrongKey,
    algorithm,
    load_jwks,
    public_key,
    secret_key,
    unreadable,
)
from lading.server.access.principal import Principal
from lading.server.settings import Settings, WrongSettings

LEEWAY_SECONDS = 60.0
"""How far the clock of an issuer may differ from the server's, unless it is set."""

LATEST = 253_402_300_799
"""The end of the year 9999: the latest time that a token may name."""

MAX_TOKEN = 16 * 1024

_MALFORMED = "it is malformed"
_REASONS: Mapping[type[Exception], str] = {
    errors.BadSignatureError: "its signature does not match",
    errors.ExpiredTokenError: "it expired",
    errors.InvalidTokenError: "it is not valid yet",
    errors.InvalidClaimError: "it is not valid yet",
    errors.UnsupportedAlgorithmError: "its algorithm is not the one of the key",
    errors.MissingAlgorithmError: "it names no algorithm",
}


class _Claims(jwt.JWTClaimsRegistry):
    """RFC 7519, section 4.1, by our clock and leeway."""

    def validate_iat(self, value: object) -> None:
        """It must be a number (4.1.6). That an issuer's clock is ahead is no reason to refuse."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise errors.InvalidClaimError("iat")

    def validate_exp(self, value: object) -> None:
        super().validate_exp(value)
        if isinstance(value, (int, float)) and value > LATEST:
            raise errors.InvalidClaimError("exp")  # a number that is no time


class Verifier:
    """Whether a token is signed, and good here and now.

    `leeway` is in seconds: a token is accepted that much before its `nbf` and after its `exp`.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        audience: str,
        issuer: str | None = None,
        leeway: float = LEEWAY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        options: dict[str, Any] = {
            "aud": {"essential": True, "value": audience},
            "exp": {"essential": True},
            "sub": {"essential": True},
        }
        if issuer is not None:
            options["iss"] = {"essential": True, "value": issuer}
        # Not whole seconds, as the library is typed for: `exp` may have a fraction.
        self._claims = _Claims(cast(Any, clock), cast(Any, leeway), **options)

    async def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a token; raises Unauthorized."""
        header = _header(token)
        kid = header.get("kid")
        key = await self._keys.find(kid if isinstance(kid, str) else None)
        if key is None:
            raise Unauthorized("The token is signed with a key that the server does not know.")
        return self._verified(token, key)

    def _verified(self, token: str, key: Key) -> Mapping[str, Any]:
        names = [algorithm(key)]
        if names == ["EdDSA"]:
            names.append("Ed25519")  # the same algorithm by its newer name (RFC 9864)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that EdDSA has a newer name
                claims = jwt.decode(token, key, algorithms=names).claims
            self._claims.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthorized(f"The token is not valid: {_reason(error)}.") from None
        return claims


class JwtAuthenticator:
    """Principals of tokens: `sub` is the user, `scope` may contain `admin` and `grant`.

    The parameters are those of `Verifier`.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        audience: str,
        issuer: str | None = None,
        leeway: float = LEEWAY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._leeway = leeway
        self._verifier = Verifier(
            keys, audience=audience, issuer=issuer, leeway=leeway, clock=clock
        )

    async def principal(self, token: str | None, /) -> Principal:
        if token is None:
            raise Unauthorized("Send a JSON Web Token as a bearer token.")
        return _principal(await self._verifier.claims(token), self._leeway)


def _reason(error: Exception) -> str:
    """Our own words; the library's are made for its callers."""
    if isinstance(error, errors.MissingClaimError):
        return f"it lacks the claim `{error.claim}`"
    if isinstance(error, errors.InvalidClaimError) and error.claim != "nbf":
        return f"its claim `{error.claim}` is not accepted here"
    return next((text for kind, text in _REASONS.items() if isinstance(error, kind)), _MALFORMED)


def _header(token: str) -> Mapping[str, Any]:
    first, _, _ = token.partition(".")
    try:
        if len(token) > MAX_TOKEN:
            raise ValueError("too long")
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise Unauthorized("The token is not a JSON Web Token.") from None
    if not isinstance(header, dict):
        raise Unauthorized("The token is not a JSON Web Token.")
    return header


def _principal(claims: Mapping[str, Any], leeway: float) -> Principal:
    user_id = claims["sub"]
    try:
        check_text("sub", user_id, MAX_USER_ID, empty=False)
    except Exception:
        raise Unauthorized("The claim `sub` of the token is not a valid user id.") from None
    scope = claims.get("scope", "")
    words = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    admin = "admin" in words
    return Principal(
        user_id,
        admin=admin,
        may_grant=admin or "grant" in words,
        # Or a connection would end at once that began within the leeway.
        expires=float(claims["exp"]) + leeway,
    )


def authenticator(settings: Settings, clock: Callable[[], float]) -> JwtAuthenticator:
    """The authenticator of these settings; raises WrongSettings for a key that cannot be used."""
    assert settings.jwt_audience is not None
    keys = _keys(settings)
    return JwtAuthenticator(
        keys,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        leeway=settings.jwt_leeway,
        clock=clock,
    )


def _keys(settings: Settings) -> Keys:
    variable = "LADING_JWT_SECRET"
    try:
        if settings.jwt_secret is not None:
            return FixedKeys([secret_key(settings.jwt_secret.get_secret_value())])
        if settings.jwt_public_key is not None:
            variable = "LADING_JWT_PUBLIC_KEY"
            text = settings.jwt_public_key
            if not text.lstrip().startswith("-----"):
                text = Path(text).read_text(encoding="ascii")
            return FixedKeys([public_key(text)])
        variable = "LADING_JWT_JWKS"
        assert settings.jwt_jwks is not None
        if settings.jwt_jwks.startswith(("https://", "http://")):
            return FetchedKeys(jwks_fetcher(settings.jwt_jwks))
        return FixedKeys(load_jwks(Path(settings.jwt_jwks)))
    except WrongKey as error:
        raise WrongSettings(f"{variable}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{variable}: {unreadable(error)}") from None
