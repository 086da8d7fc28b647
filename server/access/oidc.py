"""Signing in at an OpenID provider: the authorization code flow with PKCE.

The browser is sent to the provider with a state, a nonce and a challenge. What belongs to them
waits in a sealed cookie, so any server can go on when the browser comes back, and nothing is stored
for those who never do. This server exchanges the code; it verifies the ID token as any other JSON
Web Token, by the provider's keys.
Source: OpenID Connect Core 1.0, 3.1; Discovery 1.0; RFC 7636 (PKCE), 9207 (`iss`), 9700.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import structlog

from lading.protocol.errors import Forbidden, Unauthorized, Unavailable
from lading.server.access.accounts import Identity
from lading.server.access.jwks import FetchedKeys, jwks_fetcher
from lading.server.access.jwt import Verifier
from lading.server.access.kept_secrets import ServerSecret
from lading.server.settings import Settings, is_loopback

log = structlog.get_logger()

LONGEST_SUBJECT = 255
"""OpenID Connect Core, section 2."""

METADATA_SECONDS = 600.0
ANSWER_SECONDS = 10.0
_WANTED = ("profile", "email", "groups")
_NAMES = ("preferred_username", "email")
_CLAIMS = (*_NAMES, "email_verified", "groups")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_AWAY = "The provider of sign-ins does not answer; try again."


@dataclass(frozen=True, slots=True)
class _Provider:
    """What the provider publishes about itself, and the keys of its tokens."""

    metadata: Mapping[str, Any]
    verifier: Verifier
    read_at: float


class OpenIdProvider:
    """The provider of `LADING_OIDC_ISSUER`. `clock` is the database's."""

    def __init__(
        self,
        settings: Settings,
        secret: ServerSecret,
        clock: Callable[[], float],
        seconds: float,
    ) -> None:
        """`seconds` is how long somebody may take to sign in there."""
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        self.issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._client_secret = settings.oidc_client_secret
        groups = {"admin": settings.oidc_admin_group, "grant": settings.oidc_grant_group}
        self._groups = {scope: group for scope, group in groups.items() if group is not None}
        self._secret = secret
        self._clock = clock
        self._seconds = seconds
        self._known: _Provider | None = None
        self._reading = asyncio.Lock()

    @property
    def host(self) -> str:
        """The provider's name, for people."""
        return urlsplit(self.issuer).hostname or self.issuer

    # -- the way there

    async def begin(self, redirect_uri: str) -> tuple[str, str]:
        """The address to send the browser to, and what its cookie keeps; raises Unavailable."""
        provider = await self._provider()
        flow = {
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
            "redirect_uri": redirect_uri,
            "until": self._clock() + self._seconds,
        }
        digest = hashlib.sha256(str(flow["verifier"]).encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(_scopes(provider.metadata)),
            "state": flow["state"],
            "nonce": flow["nonce"],
            "code_challenge": urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        endpoint = provider.metadata["authorization_endpoint"]
        joint = "&" if urlsplit(endpoint).query else "?"
        return f"{endpoint}{joint}{urlencode(query)}", self._secret.seal(json.dumps(flow).encode())

    # -- the way back

    async def finish(self, kept: str | None, answer: Mapping[str, str]) -> Identity:
        """Who came back; `answer` is the query of the address, `kept` what the cookie kept.

        Raises Unauthorized for what does not belong together, Forbidden where the provider refused,
        Unavailable.
        """
        flow = self._flow(kept)
        if not hmac.compare_digest(answer.get("state", "").encode(), flow["state"].encode()):
            raise Unauthorized("This answer belongs to no sign-in of this browser.")
        if answer.get("iss", self.issuer) != self.issuer:
            raise Unauthorized("The answer is another provider's.")
        if "code" not in answer:
            raise Forbidden(
                f"The provider refused: {answer.get('error', 'it sent no code')[:100]}."
            )
        provider = await self._provider()
        tokens = await self._exchange(provider, flow, answer["code"])
        claims = await provider.verifier.claims(str(tokens.get("id_token", "")))
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow["nonce"].encode()):
            raise Unauthorized("The provider's token belongs to another sign-in.")
        if claims.get("azp", self._client_id) != self._client_id:
            raise Unauthorized("The provider's token is for another client.")
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise Unauthorized("The provider's token names nobody.")
        more = await self._userinfo(provider, tokens, subject)
        return self._identity({**claims, **more})

    def _flow(self, kept: str | None) -> dict[str, Any]:
        opened = None if kept is None else self._secret.unseal(kept)
        if opened is None:
            raise Unauthorized("This browser began no sign-in; begin it on the page.")
        flow: dict[str, Any] = json.loads(opened)
        if "verifier" not in flow or flow["until"] < self._clock():
            raise Unauthorized("The sign-in took too long; begin it again.")
        return flow

    async def _exchange(
        self, provider: _Provider, flow: Mapping[str, Any], code: str
    ) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": flow["redirect_uri"],
            "code_verifier": flow["verifier"],
        }
        auth = None
        secret = self._client_secret
        methods = provider.metadata.get("token_endpoint_auth_methods_supported")
        basic = not isinstance(methods, list) or "client_secret_basic" in methods
        if secret is not None and basic:
            auth = httpx.BasicAuth(
                *map(_form_encoded, (self._client_id, secret.get_secret_value()))
            )
        else:
            form["client_id"] = self._client_id
            if secret is not None:
                form["client_secret"] = secret.get_secret_value()
        endpoint = provider.metadata["token_endpoint"]
        return await _ask("POST", endpoint, data=form, auth=auth)

    async def _userinfo(
        self, provider: _Provider, tokens: Mapping[str, Any], subject: str
    ) -> Mapping[str, Any]:
        """Further claims; many providers put groups and names only there."""
        endpoint = provider.metadata.get("userinfo_endpoint")
        if endpoint is None or "access_token" not in tokens:
            return {}
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        found = await _ask("GET", _safe(endpoint), headers=headers)
        if found.get("sub") != subject:
            raise Unauthorized("The provider's answers are about two people.")
        return {name: found[name] for name in _CLAIMS if name in found}

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        known = _NAMES if claims.get("email_verified") is not False else _NAMES[:1]
        wishes = [claims.get(name) for name in known]
        groups = claims.get("groups")
        groups = groups if isinstance(groups, list) else []
        scopes = None
        if self._groups:
            scopes = tuple(scope for scope, group in self._groups.items() if group in groups)
        return Identity(
            self.issuer,
            claims["sub"],
            tuple(wish for wish in wishes if isinstance(wish, str)),
            scopes,
        )

    # -- what the provider says of itself

    async def _provider(self) -> _Provider:
        async with self._reading:
            known, now = self._known, self._clock()
            if known is not None and now - known.read_at < METADATA_SECONDS:
                return known
            address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            metadata = await _ask("GET", address)
            if metadata.get("issuer") != self.issuer:
                log.warning("oidc-refused", reason="the provider calls itself by another name")
                raise Unavailable(_AWAY)
            for name in _ENDPOINTS:
                _safe(metadata.get(name))
            keys = FetchedKeys(jwks_fetcher(metadata["jwks_uri"]))
            verifier = Verifier(
                keys, audience=self._client_id, issuer=self.issuer, clock=self._clock
            )
            self._known = _Provider(metadata, verifier, now)
            return self._known


def _scopes(metadata: Mapping[str, Any]) -> list[str]:
    """What is asked for: of the wanted scopes those that the provider has, if it says."""
    supported = metadata.get("scopes_supported")
    known = _WANTED if not isinstance(supported, list) else supported
    return ["openid", *(each for each in _WANTED if each in known)]


def _form_encoded(text: str) -> str:
    """As RFC 6749, 2.3.1, wants both parts of the client's credential."""
    return urlencode({"": text})[1:]


def _safe(address: Any) -> str:
    """The address; raises Unavailable unless only the provider can read what goes there."""
    parts = urlsplit(address if isinstance(address, str) else "")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return str(address)
    log.warning("oidc-refused", reason="the provider names an address without https")
    raise Unavailable(_AWAY)


async def _ask(method: str, address: str, **options: Any) -> Mapping[str, Any]:
    """The JSON object that the provider answers; raises Unavailable, Unauthorized."""
    try:
        context = await asyncio.to_thread(httpx.create_ssl_context)
        async with httpx.AsyncClient(verify=context, timeout=ANSWER_SECONDS) as client:
            answer = await client.request(method, address, **options)
        if answer.status_code in (400, 401):
            log.warning("oidc-refused", status=answer.status_code, reason=_error_of(answer))
            raise Unauthorized("The provider did not confirm the sign-in; begin it again.")
        answer.raise_for_status()
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        log.warning("oidc-unreachable", kind=type(error).__name__, error=str(error)[:200])
        raise Unavailable(_AWAY) from error
    if not isinstance(found, dict):
        raise Unavailable(_AWAY)
    return found


def _error_of(answer: httpx.Response) -> str:
    """The provider's word for what is wrong, such as `invalid_client`."""
    try:
        return str(answer.json()["error"])[:100]
    except (ValueError, TypeError, KeyError):
        return "it does not say"
