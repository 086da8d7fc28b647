"""Lists of the media types that are allowed: `image/png` for one, `image/*` for all of a kind.

Grants and kinds of files both have such a list; an empty one allows every type. Parameters such as
a charset are not compared.
"""

from __future__ import annotations

import re

from lading.protocol.errors import InvalidArgument
from lading.protocol.media_types import MAX_MEDIA_TYPE, UNNAMED, by_name, essence
from lading.protocol.spec import check_mime_type, check_text

MAX_MIME_TYPES = 64

Allowed = tuple[str, ...]

_ANY_OF_A_KIND = re.compile(r"[a-z0-9!#$&^_.+-]+/\*")


def check_allowed(allowed: Allowed) -> None:
    """Raise InvalidArgument for a list that is too long, or an entry that means nothing."""
    if len(allowed) > MAX_MIME_TYPES:
        raise InvalidArgument(f"mime_types may have at most {MAX_MIME_TYPES} entries.")
    for each in allowed:
        _check_entry(each)


def _check_entry(value: str) -> None:
    """Raise InvalidArgument unless it is a type without parameters, or all types of a kind."""
    if value != value.lower() or ";" in value:
        raise InvalidArgument("mime_types must be in lower case and without parameters.")
    if _ANY_OF_A_KIND.fullmatch(value):
        return
    try:
        check_text("mime_types", value, MAX_MEDIA_TYPE, empty=False)
        check_mime_type(value.replace("*", "\0"))  # a star anywhere else would mean nothing
    except InvalidArgument:
        raise InvalidArgument(
            "mime_types must be media types such as image/png, or image/* for all of a kind."
        ) from None


def is_allowed(mime_type: str, allowed: Allowed) -> bool:
    """Whether a list has this type, its parameters aside."""
    plain = essence(mime_type)
    return not allowed or any(
        plain == essence(each) or (each.endswith("/*") and plain.startswith(each[:-1]))
        for each in allowed
    )


def assumed_type(name: str, *lists: Allowed) -> str:
    """The type of a file that nobody named, until its first bytes decide.

    The one that its name suggests, if every list has it; else the only one that a list has.
    """
    only = [each[0] for each in lists if len(each) == 1 and not each[0].endswith("/*")]
    suggested = by_name(name) or UNNAMED
    for mime_type in (suggested, *only, UNNAMED):
        if all(is_allowed(mime_type, each) for each in lists):
            return mime_type
    return suggested
