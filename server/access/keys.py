"""The keys that JSON Web Tokens are signed with: secrets, public keys, and JWK sets.

Each key is for one algorithm. Source: RFC 7517, RFC 8725; page 5 of the design, security list, 17.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

SHORTEST_SECRET = 32

_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}


class WrongKey(Exception):
    """A key that cannot be trusted; the message says why."""


class Keys(Protocol):
    """A source of keys."""

    async def find(self, kid: str | None) -> Key | None:
        """The key of that id; without an id, the only key."""
        ...


class FixedKeys:
    """Keys that are known from the start."""

    def __init__(self, keys: list[Key]) -> None:
        for key in keys:
            algorithm(key)
        self._keys = keys

    async def find(self, kid: str | None) -> Key | None:
        return self.get(kid)

    def get(self, kid: str | None) -> Key | None:
        """The key of that id; without an id, the only key."""
        if len(self._keys) == 1 and (kid is None or self._keys[0].kid is None):
            return self._keys[0]
        return next((key for key in self._keys if kid is not None and key.kid == kid), None)


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
            raise WrongKey("is a private key; the server needs the public key only")
        algorithm(key)
        return key
    raise WrongKey("must be a public key in PEM: RSA, EC or Ed25519")


def parse_jwks(text: str) -> list[Key]:
    """The signature keys of a JWK set (RFC 7517), without symmetric and encryption keys."""
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
        raise WrongKey(unreadable(error)) from error


def unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Why a file of keys cannot be read."""
    why = error.strerror if isinstance(error, OSError) else "it is not text"
    return f"cannot be read as a file ({why})"


def algorithm(key: Key) -> str:
    """The one algorithm that a key may be used with."""
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
    raise WrongKey("is a key of a type that does not sign; use RSA, EC or Ed25519")
