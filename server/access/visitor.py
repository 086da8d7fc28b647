"""Who asks, as far as a request tells it: what sessions show, and by what attempts are counted."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from lading.server.access.cookie import DEVICE_COOKIE

LONGEST_AGENT = 256


@dataclass(frozen=True, slots=True)
class Visitor:
    """The network address, the program, and the token of the device, if it has one."""

    address: str
    agent: str
    device: str | None = None


def visitor_of(request: Request) -> Visitor:
    """Who makes a request."""
    return Visitor(
        request.client.host if request.client else "",
        request.headers.get("user-agent", "")[:LONGEST_AGENT],
        request.cookies.get(DEVICE_COOKIE),
    )
