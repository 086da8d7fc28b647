"""An OpenID provider that answers whatever a test tells it to, right or wrong.

The usual way is tested with a real one, in `widget/e2e/oidc.spec.ts`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "lading"

KEY = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
OTHERS = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})


@dataclass
class FakeProvider:
    """What it says of itself, of tokens and of people; `changes` replace the usual answers."""

    issuer: str = ""
    nonce: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: KEY)
    algorithm: str = "RS256"
    status: int = 200
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)

    def answer(self, path: str) -> Any:
        match path:
            case "/.well-known/openid-configuration":
                usual = {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/auth",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/jwks",
                    "userinfo_endpoint": f"{self.issuer}/me",
                }
                return usual | self.metadata
            case "/jwks":
                return {"keys": [KEY.as_dict(private=False)]}
            case "/token":
                return {"access_token": "a", "token_type": "Bearer", "id_token": self.token()}
            case "/me":
                return {"sub": "s1", "preferred_username": "ann"} | self.userinfo
        raise AssertionError(path)

    def token(self) -> str:
        usual = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "s1",
            "exp": time.time() + 60,
            "iat": time.time(),
            "nonce": self.nonce,
        }
        claims = {name: value for name, value in (usual | self.claims).items() if value is not None}
        header = {"alg": self.algorithm, "kid": "k1"}
        return jwt.encode(header, claims, self.key, algorithms=[self.algorithm])


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    """Run it, on an address of this machine."""
    provider = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            length = int(self.headers.get("content-length", 0))
            form = parse_qs(self.rfile.read(length).decode())
            if "authorization" in self.headers:
                form["authorization"] = [self.headers["authorization"]]
            provider.asked.append((path, form))
            body = json.dumps(provider.answer(path)).encode()
            self.send_response(provider.status if path == "/token" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
