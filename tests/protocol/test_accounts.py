"""What accounts are called, what their passwords may be, and which scopes there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol.accounts import (
    LONGEST_PASSWORD,
    MAX_ACCOUNT_NAME,
    account_key,
    account_name,
    check_scopes,
    new_password,
    password_form,
)
from lading.protocol.errors import InvalidArgument


@pytest.mark.parametrize(
    "name",
    ["ann", "Ann.Lee", "ann+files@example.org", "zo\u00eb", "\u5f20\u4f1f", "7of9", "a" * 64],
)
def test_names_that_people_have(name: str) -> None:
    assert account_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "-rf",
        "_ann",
        "ann/quota",
        "ann lee",
        " ann",
        "ann\n",
        "ann\0",
        "ann\u200b",
        "ann\u202e",
        "\u0301ann",
        "$ne",
        "a" * (MAX_ACCOUNT_NAME + 1),
        "a" * 100_000,
        "\ud800",
    ],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        account_name(name)


def test_a_name_is_kept_in_one_form() -> None:
    assert account_name("zoe\u0308") == "zo\u00eb"


@pytest.mark.parametrize(
    ("one", "other"),
    [("ann", "ANN"), ("zoe\u0308", "ZO\u00cb"), ("ﬁn", "FIN"), ("stra\u00dfe", "STRASSE")],
)
def test_names_that_look_alike_have_one_key(one: str, other: str) -> None:
    assert account_key(one) == account_key(other)


@given(st.text(max_size=80))
def test_any_text_has_a_key_that_is_its_own(text: str) -> None:
    assert account_key(account_key(text)) == account_key(text)


def test_a_password_is_the_same_on_every_keyboard() -> None:
    assert password_form("cafe\u0301 au lait") == password_form("caf\u00e9 au lait")
    assert new_password("12345678", "ann") == "12345678"


@pytest.mark.parametrize("password", ["", "1234567", "Ann-Lee-1", "\ud800" * 9, "x" * 1025])
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(InvalidArgument):
        new_password(password, "ann-lee-1")


def test_the_longest_password() -> None:
    assert len(password_form("x" * LONGEST_PASSWORD)) == LONGEST_PASSWORD


def test_scopes_are_known_and_in_order() -> None:
    assert check_scopes([]) == ()
    assert check_scopes(["grant", "admin", "grant"]) == ("admin", "grant")
    with pytest.raises(InvalidArgument):
        check_scopes(["root"])
