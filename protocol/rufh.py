"""The headers of the IETF's resumable uploads: what they mean, in each version of the draft.

Phones in the field speak interop 3, 5 and 6; the newest text is 8. They differ in names and in what
must be answered, so each version is one row of `DIALECTS`, and nothing else asks for the number.
Values are Structured Fields (RFC 9651). One that is none, or of another type, counts as absent, as
the draft says.
Source: draft-ietf-httpbis-resumable-upload, -01 (interop 3), -03 (5), -05 (6), editor's copy of
2026-07 (8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lading.protocol.errors import InvalidArgument

VERSION_FIELD = "Upload-Draft-Interop-Version"
CONTENT_TYPE = "application/partial-upload"
PROBLEMS = "https://iana.org/assignments/http-problem-types#"

MAX_SIZE = 10**15 - 1
"""The largest Integer of a Structured Field, so the largest length that can be said."""

_PARAMETER = (
    r";[ ]*[a-z*][a-z0-9_.*-]*"
    r'(=(-?[0-9]{1,15}(\.[0-9]{1,3})?|"([ !#-\[\]-~]|\\["\\])*"|:[A-Za-z0-9+/=]*:|\?[01]'
    r"|@-?[0-9]{1,15}|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*))?"
)
_INTEGER = re.compile(rf"[ ]*(-?[0-9]{{1,15}})({_PARAMETER})*[ ]*")
_BOOLEAN = re.compile(rf"[ ]*\?([01])({_PARAMETER})*[ ]*")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one version of the draft does in its own way."""

    version: int
    complete_field: str = "Upload-Complete"
    """The header that says whether this is all; the first drafts said the opposite."""
    lifetime_key: str | None = "max-age"
    """What the rest of the lifetime is called in Upload-Limit; None before there were limits."""
    typed_append: bool = True
    """A PATCH has the media type of its own."""
    created_on_append: bool = False
    """An incomplete PATCH is answered with 201."""
    refuses_state_in_look: bool = False
    """HEAD and DELETE with the headers of an upload are 400."""
    ends_when_too_long: bool = False
    """More bytes than were announced make the upload invalid."""
    announces_progress: bool = True
    """An interim answer may say how far the upload is."""
    gone_is_unknown: bool = False
    """An expired upload is 404, never 410."""
    keeps_location: bool = False
    """The final answer's Location is that of the upload resource, also when it is complete."""

    @property
    def inverted(self) -> bool:
        """Whether true means that more is to come."""
        return self.complete_field == "Upload-Incomplete"


DIALECTS = {
    3: Dialect(
        3,
        complete_field="Upload-Incomplete",
        lifetime_key=None,
        typed_append=False,
        created_on_append=True,
        refuses_state_in_look=True,
        announces_progress=False,
        gone_is_unknown=True,
        keeps_location=True,
    ),
    5: Dialect(
        5,
        lifetime_key=None,
        typed_append=False,
        created_on_append=True,
        refuses_state_in_look=True,
        gone_is_unknown=True,
        keeps_location=True,
    ),
    6: Dialect(
        6,
        lifetime_key="expires",
        created_on_append=True,
        refuses_state_in_look=True,
        gone_is_unknown=True,
        keeps_location=True,
    ),
    8: Dialect(8, ends_when_too_long=True),
}
NEWEST = DIALECTS[8]


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request says of the upload. `length` is None where it says nothing of it."""

    complete: bool
    length: int | None
    offset: int = 0


def parse_integer(value: str | None) -> int | None:
    """A non-negative Integer; None for anything else."""
    found = None if value is None else _INTEGER.fullmatch(value)
    number = -1 if found is None else int(found[1])
    return None if number < 0 else number


def parse_boolean(value: str | None) -> bool | None:
    """A Boolean; None for anything else."""
    found = None if value is None else _BOOLEAN.fullmatch(value)
    return None if found is None else found[1] == "1"


def spoken(headers: Mapping[str, str]) -> Dialect | None:
    """The dialect that a request names; None when it names none that is known here."""
    return DIALECTS.get(parse_integer(headers.get(VERSION_FIELD.lower())) or 0)


def completeness(dialect: Dialect, headers: Mapping[str, str]) -> bool | None:
    """Whether the request's content ends the upload; None when it does not say."""
    said = parse_boolean(headers.get(dialect.complete_field.lower()))
    return said if said is None or not dialect.inverted else not said


def creation(dialect: Dialect, headers: Mapping[str, str], content_length: int | None) -> Upload:
    """What a request that creates an upload says; without a word on it the content is all."""
    complete = completeness(dialect, headers)
    complete = True if complete is None else complete
    return Upload(complete, _length(headers, complete, 0, content_length))


def append(dialect: Dialect, headers: Mapping[str, str], content_length: int | None) -> Upload:
    """What a request that appends says; raises InvalidArgument without its offset."""
    offset = parse_integer(headers.get("upload-offset"))
    if offset is None:
        raise InvalidArgument("A PATCH needs Upload-Offset, a number of bytes.")
    complete = completeness(dialect, headers)
    if complete is None:
        if not dialect.inverted:
            raise InvalidArgument(f"A PATCH needs {dialect.complete_field}: ?1 or ?0.")
        complete = True  # the first drafts leave the header out of the last one
    return Upload(complete, _length(headers, complete, offset, content_length), offset)


def _length(
    headers: Mapping[str, str], complete: bool, offset: int, content_length: int | None
) -> int | None:
    """The length of the upload, from Upload-Length and from the content that ends it."""
    said = parse_integer(headers.get("upload-length"))
    if not complete or content_length is None:
        return said
    length = offset + content_length
    if said not in (None, length):
        raise inconsistent(f"Upload-Length is {said}, but the upload ends with this at {length}.")
    return length


def check_look(dialect: Dialect, headers: Mapping[str, str], *names: str) -> None:
    """Raise InvalidArgument for a HEAD or DELETE that says something of the upload's state.

    `names` are headers that this request must not have either.
    """
    if not dialect.refuses_state_in_look:
        return
    for name in ("Upload-Offset", dialect.complete_field, *names):
        if name.lower() in headers:
            raise InvalidArgument(f"This request must not have {name}.")


def fields(
    dialect: Dialect,
    *,
    offset: int | None = None,
    complete: bool | None = None,
    length: int | None = None,
) -> dict[str, str]:
    """The headers of an answer that tell the state of the upload."""
    found: dict[str, str] = {}
    if offset is not None:
        found["Upload-Offset"] = str(offset)
    if complete is not None:
        found[dialect.complete_field] = "?1" if complete != dialect.inverted else "?0"
    if length is not None:
        found["Upload-Length"] = str(length)
    return found


def limits(dialect: Dialect, max_size: int | None, seconds: float | None) -> dict[str, str]:
    """The limits of an upload, as a header; `seconds` is how long it lives from now."""
    if dialect.lifetime_key is None:
        return {}
    found = [f"max-size={min(MAX_SIZE, MAX_SIZE if max_size is None else max_size)}"]
    if seconds is not None:
        found.append(f"{dialect.lifetime_key}={max(0, int(seconds))}")
    return {"Upload-Limit": ", ".join(found)}


def inconsistent(detail: str) -> InvalidArgument:
    """The refusal of lengths that disagree."""
    return InvalidArgument(detail, type=f"{PROBLEMS}inconsistent-upload-length")
