"""The connection itself: TLS, HTTP/2, the upgrade to WebSocket, and how long it may be idle."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import ssl
import time
from contextlib import suppress
from typing import Never
from urllib.parse import urlsplit

from lading.client.backoff import Timing
from lading.client.channel import Channel, beside
from lading.client.errors import unreachable
from lading.client.retry import Again
from lading.doctor.findings import Finding, failed, skipped, warning, well
from lading.doctor.site import Site
from lading.protocol.errors import LadingError
from lading.protocol.messages import SUBPROTOCOL

DAY = 24 * 3600
FORBIDDEN = 403


async def try_tls(site: Site) -> list[Finding]:
    """TLS and its certificate, and HTTP/2. Where this failed, no token may be sent."""
    parts = urlsplit(site.address.url)
    host = parts.hostname or ""
    if not site.secure:
        return [_without_tls(host), skipped("http2", "needs TLS")]
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        async with asyncio.timeout(site.limits.answer_seconds):
            _, writer = await asyncio.open_connection(host, parts.port or 443, ssl=context)
    except ssl.SSLCertVerificationError as error:
        return [failed("tls", f"the certificate is not trusted: {error.verify_message}")]
    except ssl.SSLError as error:
        return [failed("tls", f"no TLS connection can be made: {error.reason or error}")]
    except OSError as error:
        raise unreachable(site.address.url, error) from error
    try:
        session: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return [_session(site, session), _protocol(session)]
    finally:
        writer.transport.abort()


def _without_tls(host: str) -> Finding:
    with suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return skipped("tls", "plain HTTP to this machine itself")
    return failed("tls", "plain HTTP: tokens and files can be read on their way")


def _session(site: Site, session: ssl.SSLObject) -> Finding:
    certificate = session.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = int((ends - time.time()) // DAY)
    detail = f"{session.version()}, the certificate is good for {days} days"
    if days < site.limits.certificate_days:
        return warning("tls", f"{detail}: it should have been renewed")
    return well("tls", detail)


def _protocol(session: ssl.SSLObject) -> Finding:
    if session.selected_alpn_protocol() == "h2":
        return well("http2", "offered")
    return warning("http2", "not offered: a page with many images opens few of them at a time")


async def try_upgrade(site: Site) -> tuple[Finding, Channel | None]:
    """The upgrade to WebSocket, and the channel that was opened if it works."""
    try:
        channel = await Channel.open(
            site.address, site.address.token, Timing(), trust=site.trust, proxy=None
        )
    except Again as failure:
        return failed("upgrade", f"no WebSocket can be opened: {failure.error}"), None
    except LadingError as error:
        return failed("upgrade", f"no WebSocket can be opened: {error}"), None
    return well("upgrade", "a WebSocket was opened and welcomed"), channel


async def opens_for(site: Site, origin: str) -> bool:
    """Whether pages of an origin may open a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
        "Sec-WebSocket-Key": key,
        "Origin": origin,
    }
    async with site.exchange() as exchange:
        await exchange.begin("GET", "/v1/ws", headers)
        answer = await exchange.answer(site.limits.answer_seconds)
    return answer.status != FORBIDDEN


async def try_idle(site: Site, channel: Channel) -> Finding:
    """Whether the channel stays open with no more than its heartbeats."""
    seconds, begun = site.limits.idle_seconds, time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            await beside(_listen(channel), channel.beat())
    except TimeoutError:
        return well("idle", f"a WebSocket was open for {seconds:g} s without an upload")
    except Again as failure:
        after = time.monotonic() - begun
        return failed("idle", f"a WebSocket was cut after {after:.0f} s: {failure.error}")
    finally:
        channel.abort()


async def _listen(channel: Channel) -> Never:
    while True:
        await channel.receive()
