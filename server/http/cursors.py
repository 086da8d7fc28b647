"""Cursors of lists of files: where the page before ended, as text for a URL.

A cursor of the usual order is the id of a file. Others also hold the value that the file is sorted
by, so that the next page begins at the same place even when that file was changed or deleted. They
are no secret, and a client that makes one itself sees nothing that the list does not show.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from lading.protocol.errors import InvalidArgument
from lading.protocol.manifest import MAX_INTEGER, Manifest
from lading.protocol.spec import ID, MAX_NAME, check_text
from lading.storage.collections.file_lists import Order, Ordering, Place, place_of

LONGEST = 16_384
"""More than the longest name takes as a cursor."""

_LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, in Unix seconds: the last that a database can compare."""


def write(last: Manifest, ordering: Ordering) -> str:
    """The cursor behind a file."""
    place = place_of(last, ordering.by)
    if ordering.by is Order.CREATED:
        return place.id
    data = json.dumps([str(ordering.by), place.value, place.id], ensure_ascii=False)
    return urlsafe_b64encode(data.encode()).decode().rstrip("=")


def read(cursor: str, ordering: Ordering) -> Place:
    """The place that a cursor names; raises InvalidArgument for one of another order."""
    place = _place(cursor, ordering.by)
    if place is None:
        raise InvalidArgument(
            "`cursor` must be that of a page with the same `order`; without it a list begins anew."
        )
    return place


def _place(cursor: str, order: Order) -> Place | None:
    if len(cursor) > LONGEST:
        return None
    if order is Order.CREATED:
        return Place(cursor) if ID.fullmatch(cursor) else None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = json.loads(urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, RecursionError):
        return None
    match found:
        case [str(by), value, str(file_id)] if by == order and ID.fullmatch(file_id):
            return Place(file_id, value) if _is_value(order, value) else None
    return None


def _is_value(order: Order, value: object) -> bool:
    """Whether a file can be sorted by it: nothing else is compared in the database."""
    match order, value:
        case _, bool():
            return False
        case Order.SIZE, int():
            return 0 <= value <= MAX_INTEGER
        case Order.MODIFIED, int() | float():
            return 0 <= value <= _LAST_MOMENT
        case ((Order.NAME | Order.TYPE), str()):
            check_text("cursor", value, MAX_NAME)
            return True
    return False
