"""What a trial found, and what to change in which proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "skipped", "warning", "failed"]

ADVICE: Mapping[str, Mapping[str, str]] = {
    "tls": {
        "nginx": "ssl_certificate must name the whole chain (fullchain.pem); reload nginx after "
        "each renewal",
        "Caddy": "name the site by its host name, then Caddy obtains and renews the certificate",
        "Cloudflare": "SSL/TLS: choose Full (strict), with a certificate of the server itself",
    },
    "http2": {
        "nginx": "listen 443 ssl http2; from 1.25.1 on: http2 on;",
        "Caddy": "on by default: remove `protocols h1` from the global options",
        "Cloudflare": "Speed, Settings, Protocol Optimization: turn HTTP/2 on",
    },
    "upgrade": {
        "nginx": "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        "proxy_set_header Connection $connection_upgrade; with the map of "
        "deploy/nginx/lading.conf",
        "Caddy": "reverse_proxy passes it: remove what changes Connection or Upgrade "
        "(header_up, request_header)",
        "Cloudflare": "Network: turn WebSockets on",
    },
    "idle": {
        "nginx": "proxy_read_timeout 5m; proxy_send_timeout 5m;",
        "Caddy": "remove stream_timeout, and read_timeout and write_timeout of the transport",
        "Cloudflare": "it waits for 100 s, which is enough: look at the balancer behind it, whose "
        "timeout must be longer than 60 s",
    },
    "body limit": {
        "nginx": "client_max_body_size 0;",
        "Caddy": "remove max_size of request_body",
        "Cloudflare": "its plans allow 100 to 500 MB in one request: send larger files in pieces "
        "(WebSocket, or chunkSize of tus), or take the name out of the proxy (DNS only)",
    },
    "streaming": {
        "nginx": "proxy_request_buffering off;",
        "Caddy": "remove request_buffers from reverse_proxy",
        "Cloudflare": "Configuration Rules: Request body buffering must not be Full",
    },
    "address": {
        "Lading": "set LADING_PUBLIC_URL to the address that users see",
        "nginx": "proxy_set_header Host $http_host;",
        "Caddy": "remove `header_up Host` from reverse_proxy",
        "Cloudflare": "Origin Rules: do not override the Host header",
    },
    "range": {
        "nginx": "remove proxy_set_header Range and proxy_cache, or cache slices as "
        "deploy/nginx/grants-cache.conf does",
        "Caddy": "remove `header_up -Range` and `request_header -Range`",
        "Cloudflare": "Transform Rules must not remove Range; a Cache Rule that bypasses the cache "
        "for /v1/ helps, too",
    },
    "cors": {
        "Lading": "add the origin to LADING_ALLOWED_ORIGINS",
        "nginx": "remove add_header Access-Control-…, and every `return` for OPTIONS",
        "Caddy": "remove `header Access-Control-…`, and every `respond` for OPTIONS",
        "Cloudflare": "Access: let OPTIONS requests pass to the origin; Transform Rules must not "
        "add Access-Control-…",
    },
    "clock": {"Lading": "set the clocks of the database, the server and this machine by NTP"},
    "methods": {
        "nginx": "remove limit_except, and every `return` for PATCH and DELETE",
        "Caddy": "remove every `respond` for PATCH and DELETE",
        "Cloudflare": "WAF custom rules must not block PATCH and DELETE",
    },
}
"""What to change, by the name of the trial and the place."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The end of one trial: what was tried, how it went, and where it is not well what to change.

    A `warning` costs comfort or speed, a `failed` one keeps some clients from working.
    """

    name: str
    state: State
    detail: str
    advice: Mapping[str, str] = field(default_factory=dict)


def well(name: str, detail: str) -> Finding:
    """Nothing to change."""
    return Finding(name, "ok", detail)


def skipped(name: str, why: str) -> Finding:
    """Not tried."""
    return Finding(name, "skipped", why)


def warning(name: str, detail: str) -> Finding:
    """It works, and not as well as it could."""
    return Finding(name, "warning", detail, ADVICE.get(name, {}))


def failed(name: str, detail: str) -> Finding:
    """It does not work."""
    return Finding(name, "failed", detail, ADVICE.get(name, {}))
