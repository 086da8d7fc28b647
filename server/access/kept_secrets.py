"""Secrets that the server makes at its first start and keeps in the data directory.

The admin token is for people and programs. The server secret never leaves the server: from it come
tokens that the database need not hold, and the key of what is stored there sealed. Servers on one
database share it, as they share the admin token.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path


def admin_token(data: Path) -> str:
    """The admin token in the data directory; if absent, one is created that its owner can read."""
    return _kept(data, "admin-token")


class ServerSecret:
    """What only those can compute and read who have the server's secret."""

    def __init__(self, secret: str) -> None:
        if not secret:
            raise ValueError("the server secret is empty: delete the file that holds it")
        self._secret = secret.encode()

    @classmethod
    def of(cls, data: Path) -> ServerSecret:
        """The secret in the data directory; if absent, one is created."""
        return cls(_kept(data, "server-secret"))

    def mac(self, purpose: str, text: str) -> bytes:
        """32 bytes that are always the same for a text, and that nobody else can tell.

        Each `purpose`, a word of ours, has bytes of its own.
        """
        return hmac.new(self._secret, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()

    def grant_token(self, text: str) -> str:
        """The token of a grant that is made of `text`, such as a file and a time."""
        return f"lg_{urlsafe_b64encode(self.mac('grant', text)).decode().rstrip('=')}"

    def seal(self, plain: bytes) -> str:
        """`plain` encrypted and authenticated (JWE, A256GCM)."""
        # Imported here: it takes memory that servers need not spend where nobody asks for it.
        from joserfc import jwe
        from joserfc.jwk import OctKey

        key = OctKey.import_key(self.mac("seal", ""))
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, plain, key)

    def unseal(self, sealed: str) -> bytes | None:
        """What was sealed; None where another secret sealed it, or somebody changed it."""
        from joserfc import jwe
        from joserfc.errors import JoseError
        from joserfc.jwk import OctKey

        key = OctKey.import_key(self.mac("seal", ""))
        registry = jwe.JWERegistry()
        registry.max_ciphertext_length = len(sealed)  # it is our own, so it may be long
        try:
            return jwe.decrypt_compact(sealed, key, registry=registry).plaintext
        except (JoseError, ValueError):
            return None


def _kept(data: Path, name: str) -> str:
    path = data / name
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(32)
    # Written to a draft and linked: two servers that start at once read the same token.
    draft = data / f".{name}-{os.getpid()}"
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
