"""`LADING_AUTH=jwt`: principals from JSON Web Tokens.

It owns which keys are trusted, the one algorithm that each of them is for, and which claims a token
must carry. It refuses to know what a principal may do. A token never chooses its algorithm: its
`kid` chooses a key, and the key's type has one algorithm.
Source: page 4 of the design, "Access"; page 5, security list, item 17; RFC 7519, 7517, 8725.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

from lading.protocol.errors import Unauthorized, Unavailable
from lading.protocol.spec import MAX_USER_ID, check_text
from lading.server.access.principal import Principal
from lading.server.settings import Settings, WrongSettings

log = structlog.get_logger()

LEEWAY_SECONDS = 10
SHORTEST_SECRET = 32
MAX_TOKEN = 16 * 1024

KEYS_SECONDS = 600.0
"""How long fetched keys are good without being asked for again."""

UNKNOWN_KEY_SECONDS = 30.0
"""How soon after a fetch an unknown `kid` may cause another one: a rotated key is found quickly,
and nobody can make the server fetch at every request."""

_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}


class WrongKey(Exception):
    """A key that is not fit to be trusted; the message says why."""


class Keys(Protocol):
    """Where keys come from."""

    async def find(self, kid: str | None) -> Key | None:
        """The key of that id; without an id the only key there is."""
        ...


class FixedKeys:
    """Keys that are known from the start."""

    def __init__(self, keys: list[Key]) -> None:
        for key in keys:
            algorithm(key)
        self._keys = keys

    async def find(self, kid: str | None) -> Key | None:
        if len(self._keys) == 1 and (kid is None or self._keys[0].kid is None):
            return self._keys[0]
        return next((key for key in self._keys if kid is not None and key.kid == kid), None)


class FetchedKeys:
    """Keys of a JWKS address, fetched when they are needed and again when one is not known."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._turn = asyncio.Lock()
        self._keys: FixedKeys | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    async def find(self, kid: str | None) -> Key | None:
        async with self._turn:
            if self._keys is None or self._clock() - self._fetched_at > KEYS_SECONDS:
                await self._refresh()
            found = None if self._keys is None else await self._keys.find(kid)
            if found is None:
                await self._refresh()
                found = None if self._keys is None else await self._keys.find(kid)
            if self._keys is None:
                raise Unavailable("The keys of tokens cannot be fetched right now.")
            return found

    async def _refresh(self) -> None:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < UNKNOWN_KEY_SECONDS:
            return
        self._tried_at = now
        try:
            self._keys = FixedKeys(parse_jwks(await self._fetch()))
        except (WrongKey, httpx.HTTPError) as error:
            # Keys that were good go on being good: an outage there is none here.
            log.warning("jwks-not-fetched", error=str(error)[:500])
        else:
            self._fetched_at = now


def jwks_fetcher(url: str) -> Callable[[], Awaitable[str]]:
    """Fetches the keys of an address; redirects are not followed."""

    async def fetch() -> str:
        async with httpx.AsyncClient(timeout=10, follow_redirects=False, trust_env=False) as client:
            response = await client.get(url)
            response.raise_for_status()
            return response.text

    return fetch


def secret_key(secret: str) -> Key:
    """A key for HS256 from a secret of at least 256 bits."""
    if len(secret.encode()) < SHORTEST_SECRET:
        raise WrongKey(f"must have at least {SHORTEST_SECRET} bytes (256 bits)")
    return OctKey.import_key(secret)


def public_key(text: str) -> Key:
    """A public key from PEM: RSA, EC or Ed25519."""
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            key: Key = kind.import_key(text)
        except (ValueError, TypeError, JoseError):
            continue
        if key.is_private:
            raise WrongKey("is a private key; give the server the public one only")
        algorithm(key)
        return key
    raise WrongKey("must be a public key in PEM: RSA, EC or Ed25519")


def parse_jwks(text: str) -> list[Key]:
    """The signature keys of a JWK set (RFC 7517); symmetric and encryption keys are left out."""
    try:
        content = json.loads(text)
        usable = [
            key for key in content["keys"] if key.get("kty") != "oct" and key.get("use") != "enc"
        ]
        keys = list(KeySet.import_key_set({"keys": usable}).keys)
    except (ValueError, TypeError, KeyError, AttributeError, JoseError) as error:
        raise WrongKey("is not a JWK set") from error
    if not keys:
        raise WrongKey("holds no public signature key")
    return keys


def load_jwks(path: Path) -> list[Key]:
    """The keys of a JWKS file."""
    try:
        return parse_jwks(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongKey(f"cannot be read: {error}") from error


def algorithm(key: Key) -> str:
    """The one algorithm that a key is for."""
    named = key.get("alg")
    if isinstance(key, OctKey):
        return "HS256"
    if isinstance(key, RSAKey):
        if key.raw_value.key_size < 2048:
            raise WrongKey("is an RSA key of less than 2048 bits")
        return named if named in ("RS384", "RS512", "PS256", "PS384", "PS512") else "RS256"
    if isinstance(key, ECKey):
        return _CURVES[key.curve_name]
    if isinstance(key, OKPKey) and key.curve_name == "Ed25519":
        return "EdDSA"
    raise WrongKey("is a key of a type that does not sign")


class JwtAuthenticator:
    """Principals from tokens: `sub` is the user, `scope` may hold `admin` and `grant`."""

    def __init__(
        self,
        keys: Keys,
        *,
        audience: str,
        issuer: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._clock = clock
        options: dict[str, Any] = {
            "aud": {"essential": True, "value": audience},
            "exp": {"essential": True},
            "sub": {"essential": True},
        }
        if issuer is not None:
            options["iss"] = {"essential": True, "value": issuer}
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()), leeway=LEEWAY_SECONDS, **options
        )

    async def principal(self, token: str | None) -> Principal:
        if token is None:
            raise Unauthorized("Send a JSON Web Token as a bearer token.")
        header = _header(token)
        kid = header.get("kid")
        key = await self._keys.find(kid if isinstance(kid, str) else None)
        if key is None:
            raise Unauthorized("The token is signed with a key that is not known here.")
        claims = self._verified(token, key)
        return _principal(claims)

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


def _reason(error: Exception) -> str:
    # The library's texts name claims and faults, never the token's content.
    return str(error).rstrip(".") if isinstance(error, JoseError) else "it is malformed"


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


def _principal(claims: Mapping[str, Any]) -> Principal:
    user_id = claims["sub"]
    try:
        check_text("sub", user_id, MAX_USER_ID, empty=False)
    except Exception:
        raise Unauthorized("The token's sub cannot be a user's id.") from None
    scope = claims.get("scope", "")
    words = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    admin = "admin" in words
    return Principal(
        user_id,
        admin=admin,
        may_grant=admin or "grant" in words,
        expires=float(claims["exp"]),
    )


def authenticator(settings: Settings, clock: Callable[[], float]) -> JwtAuthenticator:
    """The authenticator that the settings describe; WrongSettings when a key is not fit."""
    assert settings.jwt_audience is not None
    keys = _keys(settings)
    return JwtAuthenticator(
        keys, audience=settings.jwt_audience, issuer=settings.jwt_issuer, clock=clock
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
    except (WrongKey, OSError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{variable}: {error}") from None
