"""Kinds of files, such as avatars and films: what a site allows of each.

An upload, grant or medium may name its kind; then the limits of the kind hold beside those of the
grant and the server, and the smallest counts. Nothing here reads the file that defines them: that
is `server/kinds.py`. Source: page 9 of the design, "Limits by kind".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lading.protocol.allowed_types import Allowed, check_allowed, is_allowed
from lading.protocol.errors import InvalidArgument, TooLarge, UnsupportedMediaType
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.media_types import essence
from lading.protocol.spec import MAX_KIND, MAX_NAME, check_text

KIND = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""The name of a kind."""

CROPS = ("square",)
MAX_SECONDS = 10_000 * 86400.0
SIZES = range(1, 7)
"""The qualities of the images that can be made of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of files. `max_size` is bytes; None and () set no limit.

    `crop` and `sizes` say which images are made of a file. A file of a kind with `public` can be
    fetched without a credential, and one with `directory` is stored there. `expires_in` is how many
    seconds after its upload a file is deleted.
    """

    name: str
    max_size: int | None = None
    mime_types: Allowed = ()
    crop: str | None = None
    public: bool = False
    sizes: tuple[int, ...] = ()
    directory: str | None = None
    expires_in: float | None = None

    def check(self) -> None:
        """Raise InvalidArgument for the first value that is not allowed; it names the key."""
        if not KIND.fullmatch(self.name):
            raise InvalidArgument(
                "The name of a kind has at most 64 lower-case letters, digits, `-` and `_`."
            )
        if self.max_size is not None and not 1 <= self.max_size <= MAX_INTEGER:
            raise InvalidArgument(f"max_size must lie between 1 and {MAX_INTEGER}.")
        check_allowed(self.mime_types)
        if self.crop is not None and self.crop not in CROPS:
            raise InvalidArgument(f"crop must be {' or '.join(CROPS)}.")
        if len(set(self.sizes)) != len(self.sizes) or not set(self.sizes) <= set(SIZES):
            raise InvalidArgument("sizes must be numbers from 1 to 6, each once.")
        if self.expires_in is not None and not 0 < self.expires_in <= MAX_SECONDS:
            raise InvalidArgument("expires_in must be more than 0 and at most 10,000 days.")
        if self.directory is not None:
            check_text("directory", self.directory, MAX_NAME, empty=False)

    def rules(self) -> dict[str, Any]:
        """All of it as plain data, for clients."""
        return asdict(self) | {"mime_types": list(self.mime_types), "sizes": list(self.sizes)}

    def check_size(self, size: int | None) -> None:
        """Raise TooLarge unless a file of the kind may have this size; None is yet unknown."""
        if None not in (self.max_size, size) and size > self.max_size:  # type: ignore[operator]
            raise TooLarge(
                f"A file of the kind {self.name} may have at most {self.max_size} bytes.",
                limit=self.max_size,
            )

    def check_type(self, mime_type: str) -> None:
        """Raise UnsupportedMediaType unless a file of the kind may have this type."""
        if not is_allowed(mime_type, self.mime_types):
            shown = ", ".join(self.mime_types)
            raise UnsupportedMediaType(
                f"A file of the kind {self.name} must be {shown}, not {essence(mime_type)}."
            )


class Kinds:
    """All kinds of a server, by name."""

    def __init__(self, kinds: Iterable[Kind] = ()) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def get(self, name: str | None) -> Kind | None:
        """The kind of a file that exists; None when it has none, or its kind is no more."""
        return None if name is None else self._kinds.get(name)

    def find(self, name: str | None) -> Kind | None:
        """The kind that a request names; None when it names none. Raises InvalidArgument."""
        if name is None or name in self._kinds:
            return self.get(name)
        if not self._kinds:
            raise InvalidArgument("This server has no kinds of files; leave `kind` out.")
        near = difflib.get_close_matches(name[:MAX_KIND].lower(), self._kinds, n=1)
        known = ", ".join(f"`{each}`" for each in self._kinds)
        advice = f"did you mean `{near[0]}`?" if near else f"known are {known}."
        raise InvalidArgument(f"There is no kind of files with this name; {advice}")
