"""JSON Web Tokens: which are believed, and which key says so."""

from __future__ import annotations

import base64
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from lading.protocol.errors import Unauthorized
from lading.server.access.jwt import LATEST, JwtAuthenticator, authenticator
from lading.server.access.keys import (
    FixedKeys,
    Keys,
    load_jwks,
    parse_jwks,
    public_key,
    secret_key,
)
from lading.server.settings import WrongSettings, load

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0

KINDS: dict[str, Callable[[], Key]] = {
    "RS256": lambda: RSAKey.generate_key(2048, {"kid": "one"}),
    "ES256": lambda: ECKey.generate_key("P-256", {"kid": "one"}),
    "ES384": lambda: ECKey.generate_key("P-384", {"kid": "one"}),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519", {"kid": "one"}),
}


def signed(key: Key, algorithm: str, **claims: Any) -> str:
    usual = {"sub": "ann", "aud": "lading", "exp": int(NOW) + 600}
    content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    header = {"alg": algorithm} | ({"kid": key.kid} if key.kid else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that EdDSA has a newer name
        return jwt.encode(header, content, key, algorithms=[algorithm])


def public(key: Key) -> dict[str, Any]:
    assert isinstance(key, (RSAKey, ECKey, OKPKey))
    return dict(key.as_dict(private=False))


def trusting(keys: Keys, issuer: str | None = None) -> JwtAuthenticator:
    return JwtAuthenticator(keys, audience="lading", issuer=issuer, clock=lambda: NOW)


def by_secret() -> JwtAuthenticator:
    return trusting(FixedKeys([secret_key(SECRET)]))


async def test_the_claims_make_the_principal() -> None:
    token = signed(secret_key(SECRET), "HS256", scope="grant other")
    found = await by_secret().principal(token)
    assert (found.user_id, found.admin, found.may_grant) == ("ann", False, True)
    assert found.expires == NOW + 600 + 60  # the leeway


async def test_an_admin_may_grant() -> None:
    found = await by_secret().principal(signed(secret_key(SECRET), "HS256", scope="admin"))
    assert (found.admin, found.may_grant) == (True, True)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": "another"},
        {"exp": None},
        {"exp": int(NOW) - 60},
        {"exp": NOW - 60.5},
        {"exp": 10**400},
        {"exp": 1e300},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": str(int(NOW) + 600)},
        {"exp": [int(NOW) + 600]},
        {"nbf": int(NOW) + 61},
        {"nbf": "now"},
        {"nbf": True},
        {"iat": "now"},
        {"iat": True},
        {"iat": [int(NOW)]},
        {"aud": []},
        {"aud": ["another", "Lading"]},
        {"aud": [["lading"]]},
        {"aud": ["lading", 5]},
        {"aud": "lading "},
        {"aud": {"lading": True}},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": int(NOW) + 600},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": "a\0b"},
        {"sub": "x" * 300},
    ],
    ids=str,
)
async def test_a_token_with_wrong_claims_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        await by_secret().principal(signed(secret_key(SECRET), "HS256", **claims))


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": int(NOW) + 20},
        {"iat": int(NOW) + 3600},
        {"iat": int(NOW) - 10**6},
        {"iat": NOW + 0.25},
        {"nbf": int(NOW) + 20},
        {"nbf": int(NOW) + 60},
        {"nbf": NOW - 0.5},
        {"exp": int(NOW) - 59},
        {"exp": NOW - 59.5},
        {"exp": NOW + 600.75},
        {"exp": LATEST},
        {"aud": ["lading"]},
        {"aud": ["another", "lading"]},
    ],
    ids=str,
)
async def test_clocks_may_differ_and_dates_have_fractions(claims: dict[str, Any]) -> None:
    found = await by_secret().principal(signed(secret_key(SECRET), "HS256", **claims))
    assert found.expires is not None
    assert found.expires > NOW  # a connection does not end at once


@pytest.mark.parametrize(("late", "is_valid"), [(-0.25, True), (0.0, False), (0.25, False)])
async def test_without_leeway_a_token_ends_at_the_very_moment(late: float, is_valid: bool) -> None:
    """RFC 7519, 4.1.4: the current time must be before the expiration time."""
    exact = JwtAuthenticator(
        FixedKeys([secret_key(SECRET)]), audience="lading", leeway=0, clock=lambda: NOW + late
    )
    token = signed(secret_key(SECRET), "HS256", exp=int(NOW))
    if is_valid:
        assert (await exact.principal(token)).expires == NOW
    else:
        with pytest.raises(Unauthorized):
            await exact.principal(token)


async def test_the_leeway_is_that_of_the_settings() -> None:
    usual = {"auth": "jwt", "jwt_secret": SECRET, "jwt_audience": "lading"}
    token = signed(secret_key(SECRET), "HS256", exp=int(NOW) - 100)
    patient = authenticator(load(**usual, jwt_leeway="2m"), lambda: NOW)
    assert (await patient.principal(token)).user_id == "ann"
    with pytest.raises(Unauthorized):
        await authenticator(load(**usual), lambda: NOW).principal(token)


async def test_the_issuer_counts_where_one_is_set() -> None:
    auth = trusting(FixedKeys([secret_key(SECRET)]), issuer="us")
    key = secret_key(SECRET)
    assert (await auth.principal(signed(key, "HS256", iss="us"))).user_id == "ann"
    for issuer in ("them", None):
        with pytest.raises(Unauthorized):
            await auth.principal(signed(key, "HS256", iss=issuer))


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


CLAIMS = {"sub": "ann", "aud": "lading", "exp": int(NOW) + 600}


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        ".",
        "..",
        "abc",
        "a.b.c",
        f"{_part({'alg': 'none'})}.{_part(CLAIMS)}.",
        f"{_part({'alg': 'None'})}.{_part(CLAIMS)}.AAAA",
        f"{_part([])}.{_part(CLAIMS)}.AAAA",
        f"{_part({'alg': 'HS256', 'kid': {'$ne': None}})}.{_part(CLAIMS)}.AAAA",
        f"{_part({'alg': 'HS256', 'crit': ['x']})}.{_part(CLAIMS)}.AAAA",
        "A" * 100_000,
        "[" * 10_000 + ".x.y",
    ],
    ids=lambda token: str(token)[:20],
)
async def test_what_is_no_token_is_refused_plainly(token: str | None) -> None:
    with pytest.raises(Unauthorized):
        await by_secret().principal(token)


async def test_another_secret_is_refused() -> None:
    with pytest.raises(Unauthorized):
        await by_secret().principal(signed(secret_key(SECRET[::-1]), "HS256"))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (signed(secret_key(SECRET[::-1]), "HS256"), "its signature does not match"),
        (signed(secret_key(SECRET), "HS256", exp=int(NOW) - 60), "it expired"),
        (signed(secret_key(SECRET), "HS256", nbf=int(NOW) + 600), "it is not valid yet"),
        (signed(secret_key(SECRET), "HS256", aud=None), "it lacks the claim `aud`"),
        (signed(secret_key(SECRET), "HS256", aud="b"), "its claim `aud` is not accepted here"),
        (signed(secret_key(SECRET), "HS256", exp="soon"), "its claim `exp` is not accepted here"),
        (signed(secret_key(SECRET * 2), "HS512"), "its algorithm is not the one of the key"),
        (f"{_part({'alg': 'HS256'})}.x.y", "it is malformed"),
    ],
)
async def test_the_reason_is_ours_and_no_librarys(token: str, reason: str) -> None:
    with pytest.raises(Unauthorized) as told:
        await by_secret().principal(token)
    assert told.value.detail == f"The token is not valid: {reason}."


@pytest.mark.parametrize("algorithm", KINDS)
async def test_public_keys_verify_from_pem_and_from_a_set(algorithm: str) -> None:
    key = KINDS[algorithm]()
    assert isinstance(key, (RSAKey, ECKey, OKPKey))
    pem = public_key(key.as_pem(private=False).decode())
    for keys in ([pem], parse_jwks(json.dumps({"keys": [public(key)]}))):
        found = await trusting(FixedKeys(keys)).principal(signed(key, algorithm))
        assert found.user_id == "ann"


async def test_a_public_key_is_never_taken_for_a_secret() -> None:
    """The classic confusion: HS256 with the text of the RSA key as the secret."""
    key = RSAKey.generate_key(2048)
    pem = key.as_pem(private=False)
    header, claims = _part({"alg": "HS256", "typ": "JWT"}), _part(CLAIMS)
    import hashlib
    import hmac

    mac = hmac.new(pem, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    forged = f"{header}.{claims}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    with pytest.raises(Unauthorized):
        await trusting(FixedKeys([public_key(pem.decode())])).principal(forged)


async def test_an_algorithm_of_the_same_family_is_refused() -> None:
    key = RSAKey.generate_key(2048)
    auth = trusting(FixedKeys([public_key(key.as_pem(private=False).decode())]))
    with pytest.raises(Unauthorized):
        await auth.principal(signed(key, "PS256"))


# -- settings


def test_each_way_to_name_a_key_works(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k"})
    pem, jwks = tmp_path / "key.pem", tmp_path / "keys.json"
    pem.write_bytes(key.as_pem(private=False))
    jwks.write_text(json.dumps({"keys": [public(key)]}))
    assert load_jwks(jwks)[0].kid == "k"
    for named in (
        {"jwt_secret": SECRET},
        {"jwt_public_key": str(pem)},
        {"jwt_public_key": pem.read_text()},
        {"jwt_jwks": str(jwks)},
        {"jwt_jwks": "https://issuer.example/keys"},
    ):
        authenticator(load(auth="jwt", jwt_audience="lading", **named), time.time)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "exactly one of"),
        ({"jwt_secret": SECRET, "jwt_jwks": "x"}, "exactly one of"),
        ({"jwt_secret": SECRET, "jwt_audience": None}, "LADING_JWT_AUDIENCE"),
        ({"jwt_secret": "short"}, "LADING_JWT_SECRET: must have"),
        ({"jwt_public_key": "/does/not/exist"}, "LADING_JWT_PUBLIC_KEY"),
        ({"jwt_jwks": "/does/not/exist"}, "LADING_JWT_JWKS"),
        ({"jwt_jwks": "http://issuer.example/keys"}, "https://"),
    ],
    ids=str,
)
def test_wrong_settings_are_told_in_one_line(values: dict[str, Any], told: str) -> None:
    with pytest.raises(WrongSettings) as error:
        authenticator(load(auth="jwt", **{"jwt_audience": "lading", **values}), time.time)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)
