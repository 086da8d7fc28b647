"""JSON Web Tokens: which are believed, and which key says so."""

from __future__ import annotations

import base64
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from lading.protocol.errors import Unauthorized, Unavailable
from lading.server.access.jwt import (
    UNKNOWN_KEY_SECONDS,
    FetchedKeys,
    FixedKeys,
    JwtAuthenticator,
    Keys,
    WrongKey,
    authenticator,
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
    assert found.expires == NOW + 600


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


# -- keys


def test_keys_that_are_not_fit_are_refused() -> None:
    with pytest.raises(WrongKey, match="256 bits"):
        secret_key("short")
    with pytest.raises(WrongKey, match="private"):
        public_key(ECKey.generate_key("P-256").as_pem(private=True).decode())
    with pytest.raises(WrongKey, match="PEM"):
        public_key("hello")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is a weak key
        weak = RSAKey.generate_key(1024)
    with pytest.raises(WrongKey, match="2048"):
        FixedKeys([weak])
    with pytest.raises(WrongKey, match="not sign"):
        FixedKeys([OKPKey.generate_key("X25519")])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": []}', '{"keys": [5]}', '{"keys": 5}'])
def test_what_is_no_key_set_is_refused(text: str) -> None:
    with pytest.raises(WrongKey):
        parse_jwks(text)


def test_symmetric_keys_of_a_set_are_left_out() -> None:
    secret = OctKey.generate_key(256, {"kid": "s"}).as_dict(private=True)
    other = public(ECKey.generate_key("P-256", {"kid": "e"}))
    assert [key.kid for key in parse_jwks(json.dumps({"keys": [secret, other]}))] == ["e"]


class Site:
    """A JWKS address that changes its keys."""

    def __init__(self, *keys: Key) -> None:
        self.keys = keys
        self.asked = 0
        self.down = False

    async def fetch(self) -> str:
        self.asked += 1
        if self.down:
            raise httpx.ConnectError("down")
        return json.dumps({"keys": [public(key) for key in self.keys]})


async def test_a_rotated_key_is_found_and_the_site_is_not_asked_at_every_request() -> None:
    now = 0.0
    old, new = (ECKey.generate_key("P-256", {"kid": name}) for name in ("old", "new"))
    site = Site(old)
    auth = trusting(FetchedKeys(site.fetch, clock=lambda: now))
    await auth.principal(signed(old, "ES256"))
    site.keys = (new,)
    with pytest.raises(Unauthorized):  # so soon after the last time nobody asks
        await auth.principal(signed(new, "ES256"))
    assert site.asked == 1
    now += UNKNOWN_KEY_SECONDS
    assert (await auth.principal(signed(new, "ES256"))).user_id == "ann"
    assert site.asked == 2
    with pytest.raises(Unauthorized):
        await auth.principal(signed(old, "ES256"))


async def test_an_outage_of_the_site_is_none_here() -> None:
    now = 0.0
    key = ECKey.generate_key("P-256", {"kid": "k"})
    site = Site(key)
    auth = trusting(FetchedKeys(site.fetch, clock=lambda: now))
    await auth.principal(signed(key, "ES256"))
    site.down, now = True, 10_000.0
    assert (await auth.principal(signed(key, "ES256"))).user_id == "ann"
    assert site.asked == 2


async def test_before_the_first_keys_the_answer_is_to_try_again() -> None:
    site = Site()
    site.down = True
    with pytest.raises(Unavailable):
        await trusting(FetchedKeys(site.fetch)).principal(
            signed(ECKey.generate_key("P-256", {"kid": "k"}), "ES256")
        )


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
