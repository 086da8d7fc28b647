"""What an account is called, what may be its password, and what it may do.

The name of an account is the id of its user. Two names that a person could take for each other are
the same: they have one key (Unicode Standard Annex 15, NFKC, without regard to case).
Source: page 13 of the design, "Accounts"; RFC 8265 (PRECIS), on which the rules are modelled.
"""

from __future__ import annotations

import unicodedata

from lading.protocol.errors import InvalidArgument
from lading.protocol.names import composed

MAX_ACCOUNT_NAME = 64
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024

SCOPES = ("admin", "grant")
"""`admin` acts for every user; `grant` creates grants for others."""

_SIGNS = "._-+@"


def account_name(text: str) -> str:
    """The name in the form that is kept, NFC; raises InvalidArgument unless it is allowed.

    Letters, digits and `._-+@`, so that an address of e-mail is a name, and a name can stand in an
    address of the API and in a line of a terminal.
    """
    name = composed(text[: MAX_ACCOUNT_NAME * 4])
    if not 0 < len(name) <= MAX_ACCOUNT_NAME:
        raise InvalidArgument(f"name must have from 1 to {MAX_ACCOUNT_NAME} characters.")
    if not all(each in _SIGNS or unicodedata.category(each)[0] in "LMN" for each in name):
        raise InvalidArgument("name may have letters, digits and the signs . _ - + @ only.")
    if unicodedata.category(name[0])[0] not in "LN":
        raise InvalidArgument("name must begin with a letter or a digit.")
    return name


def account_key(text: str) -> str:
    """What is the same for all names that mean the same account, and for no text an error."""
    # A lone surrogate cannot be stored; no name has a `?`.
    text = text.encode("utf-8", "replace").decode()
    # Folding can undo the form, and the form the folding (Unicode Standard, 3.13, D147).
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).casefold()


def password_form(text: str) -> str:
    """The password as it is hashed: NFC, since keyboards differ (RFC 8265, OpaqueString).

    Raises InvalidArgument for what no password can be.
    """
    if len(text) > LONGEST_PASSWORD:
        raise InvalidArgument(f"password may have at most {LONGEST_PASSWORD} characters.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidArgument("password is not valid Unicode.") from error
    return composed(text)


def new_password(text: str, name: str) -> str:
    """The form of a password that is to be set for `name`; raises InvalidArgument for a weak one.

    Length is what counts (NIST SP 800-63B, 3.1.1): no kinds of characters are asked for.
    """
    password = password_form(text)
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidArgument(f"password must have at least {SHORTEST_PASSWORD} characters.")
    if account_key(password) == account_key(name):
        raise InvalidArgument("password must not be the name.")
    return password


def check_scopes(scopes: list[str]) -> tuple[str, ...]:
    """The scopes, each once and in order; raises InvalidArgument for an unknown one."""
    if not set(scopes) <= set(SCOPES):
        raise InvalidArgument("scopes may hold `admin` and `grant` only.")
    return tuple(scope for scope in SCOPES if scope in scopes)
