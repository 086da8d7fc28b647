"""The deployment under examination, and the plain requests to it.

No proxy that this machine's environment names is used: what is to be examined is the way that
users take.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from lading.client.address import Address
from lading.client.api import error_of
from lading.client.errors import unreachable
from lading.doctor.exchange import Exchange
from lading.version import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorLimits:
    """How much is sent, in bytes, and for how long something is waited for, in seconds."""

    upload: int = 64 * 2**20
    """The upload in one request."""
    bodies: tuple[int, ...] = (10 * 2**30, 2**30)
    """Bodies that are announced and not sent: proxies refuse by the announcement."""
    file: int = 256 * 1024
    """The file of which a range is fetched."""
    idle_seconds: float = 70.0
    """How long a channel stays open while nothing is uploaded."""
    hold_seconds: float = 10.0
    """In the middle of the upload, how long the first acknowledgement is waited for."""
    admit_seconds: float = 5.0
    """A proxy that refuses a body by its length does so within this time."""
    answer_seconds: float = 30.0
    clock_seconds: float = 5.0
    """From this difference on, tokens and expiry may be judged wrongly."""
    certificate_days: int = 14
    """A certificate that ends sooner should have been renewed."""


USUAL_LIMITS = DoctorLimits()


@dataclass(slots=True)
class Site:
    """The deployment at an address. Close it when everything was tried."""

    address: Address
    limits: DoctorLimits = USUAL_LIMITS
    trust: ssl.SSLContext | None = field(init=False)
    _http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.trust = ssl.create_default_context() if self.secure else None
        self._http = httpx.AsyncClient(
            timeout=self.limits.answer_seconds,
            verify=self.trust or False,
            trust_env=False,
            headers={"User-Agent": f"lading/{VERSION}", "Accept-Encoding": "identity"},
        )

    @property
    def secure(self) -> bool:
        return self.address.url.startswith("https:")

    @property
    def credential(self) -> dict[str, str]:
        token = self.address.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def close(self) -> None:
        await self._http.aclose()

    def exchange(self) -> Exchange:
        """A connection for one request that is watched."""
        return Exchange(self.address, self.trust, self.limits.answer_seconds)

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """One request with the credential; raises Unreachable."""
        return await self.fetch(
            method, self.address.url + path, {**self.credential, **(headers or {})}, **options
        )

    async def fetch(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """One request without the credential, to any address; raises Unreachable."""
        try:
            return await self._http.request(method, url, headers=headers, **options)
        except httpx.TransportError as error:
            raise unreachable(self.address.url, error) from error

    async def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON object of an answer; raises LadingError for a refusal."""
        answer = await self.ask(method, path, **options)
        check(answer)
        found: dict[str, Any] = answer.json()
        return found


def check(answer: httpx.Response) -> None:
    """Raise LadingError for a refusal."""
    if answer.status_code >= 300:
        raise error_of(answer.status_code, answer.headers, answer.content)
