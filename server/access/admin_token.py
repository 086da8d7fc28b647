"""The admin token of a server that was started without further settings."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def admin_token(data: Path) -> str:
    """The admin token in the data directory; if absent, one is created that its owner can read."""
    path = data / "admin-token"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(32)
    # Written to a draft and linked: two servers that start at once read the same token.
    draft = data / f".admin-token-{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    finally:
        draft.unlink()
    return token
