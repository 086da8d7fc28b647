"""The servers that `lading login` remembers: an address and a token under each name.

They are in one file that only its owner can read: `lading/profiles.json` in `XDG_CONFIG_HOME`, else
in `~/.config`. It is replaced as a whole, so that a reader never sees half of it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.protocol.errors import InvalidArgument

DEFAULT = "default"
"""The profile that is used where none is named."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A server's address, and the token for it."""

    url: str
    token: str | None = field(default=None, repr=False)


def place(environ: Mapping[str, str]) -> Path | None:
    """Where the profiles are kept; None where the environment names no home."""
    configured = environ.get("XDG_CONFIG_HOME", "")
    if configured.startswith("/"):  # a relative path is to be ignored, by its specification
        base = Path(configured)
    elif home := environ.get("HOME"):
        base = Path(home, ".config")
    elif roaming := environ.get("APPDATA"):
        base = Path(roaming)
    else:
        return None
    return base / "lading" / "profiles.json"


def read(environ: Mapping[str, str]) -> dict[str, Profile]:
    """All profiles by name. Raises InvalidArgument for a file that cannot be used."""
    path = place(environ)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))["profiles"]
        return {str(name): _profile(each) for name, each in found.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument(
            f"{path} cannot be used ({error}). Correct it, or delete it and log in again."
        ) from error


def _profile(raw: Mapping[str, Any]) -> Profile:
    token = raw.get("token")
    return Profile(str(raw["url"]), None if token is None else str(token))


def named(name: str, environ: Mapping[str, str]) -> Profile:
    """One profile. Raises InvalidArgument where there is none of that name."""
    found = read(environ)
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise InvalidArgument(
            f"There is no profile {name}. Profiles: {known}. `lading login` creates one."
        )
    return found[name]


def save(name: str, profile: Profile, environ: Mapping[str, str]) -> Path:
    """Create or replace a profile. Returns the file. Raises InvalidArgument."""
    return _write({**read(environ), name: profile}, environ)


def forget(name: str, environ: Mapping[str, str]) -> Profile:
    """Remove a profile; returns it. Raises InvalidArgument where there is none of that name."""
    gone = named(name, environ)
    _write({each: kept for each, kept in read(environ).items() if each != name}, environ)
    return gone


def _write(profiles: Mapping[str, Profile], environ: Mapping[str, str]) -> Path:
    path = place(environ)
    if path is None:
        raise InvalidArgument("Set HOME or XDG_CONFIG_HOME: profiles are kept there.")
    shown = {name: {"url": each.url, "token": each.token} for name, each in profiles.items()}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # `mkstemp` makes a file that only its owner can read.
        descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=".profiles-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"profiles": shown}, file, indent=2)
        Path(fresh).replace(path)
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be written: {error.strerror}.") from error
    return path
