"""Names, directories and tags: which of them are the same, and the form that is kept.

Two texts that look alike and mean the same may be written in several ways: `é` is one character, or
two (NFC and NFD, Unicode Standard Annex 15). macOS writes the second. A file's name is data and is
kept as it was given; names are compared in NFC. A directory and a tag are looked up by other
requests, so each of them has one form, and that form is kept; the one of a tag is NFC. A search
compares less strictly, by `search_form`.
"""

from __future__ import annotations

import unicodedata


def composed(text: str) -> str:
    """The text in NFC, in which texts are compared."""
    return unicodedata.normalize("NFC", text)


_ACCENTS = dict.fromkeys(range(0x300, 0x370))
"""Combining Diacritical Marks: those of Latin, Greek and Cyrillic letters."""


def search_form(text: str) -> str:
    """The text as names are searched and sorted: without case, accents and compatibility forms.

    `Éclair ①.JPG` is `eclair 1.jpg`. Source: Unicode Standard, 3.13, D147 (NFKC_Casefold).
    """
    folded = unicodedata.normalize("NFD", text).casefold()
    folded = unicodedata.normalize("NFKD", folded).casefold()
    return unicodedata.normalize("NFKC", folded.translate(_ACCENTS))


def canonical_directory(directory: str) -> str:
    """The one form of a directory: NFC, no slash at the ends, none twice, no segment `.`.

    `..` stays: it is data, and no path is ever built from it.
    """
    segments = composed(directory).split("/")
    return "/".join(segment for segment in segments if segment not in ("", "."))


def is_within(directory: str, above: str) -> bool:
    """Whether a directory is `above` or lies below it; both in their one form."""
    return directory == above or directory.startswith(f"{above}/")


SAVED_BYTES = 255
"""The longest name that the usual file systems take, in bytes of UTF-8."""

_LONGEST_ENDING = 32


def saved_name(name: str) -> str:
    """The name under which others can save the file: cut to `SAVED_BYTES`, with its ending.

    It is cut between two characters, and no accent is cut off its letter.
    """
    if len(name.encode("utf-8", "replace")) <= SAVED_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    tail = dot + ending
    if not stem or len(tail.encode("utf-8", "replace")) > _LONGEST_ENDING:
        stem, tail = name, ""
    room = SAVED_BYTES - len(tail.encode("utf-8", "replace"))
    kept = stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    if len(kept) < len(stem) and _continues(stem[len(kept)]):
        kept = kept.rstrip("".join(c for c in kept if _continues(c)))[:-1]
    return kept + tail


def _continues(character: str) -> bool:
    """Whether the character belongs to the one before: an accent, a joiner, a variant."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me") or character == "\u200d"
