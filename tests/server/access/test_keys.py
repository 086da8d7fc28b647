"""The keys that tokens are signed with: which can be used."""

from __future__ import annotations

import json
import warnings

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from lading.server.access.keys import FixedKeys, WrongKey, parse_jwks, public_key, secret_key


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
    other = ECKey.generate_key("P-256", {"kid": "e"}).as_dict(private=False)
    assert [key.kid for key in parse_jwks(json.dumps({"keys": [secret, other]}))] == ["e"]
