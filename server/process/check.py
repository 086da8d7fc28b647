"""`lading check`: every setting with its source, and a trial of all that a server needs.

The database, the home of bytes, the disks, the child that makes images, the keys of tokens, the
public address. Each trial ends with `ok`, `warning` or `failed`, and what to do; one that fails
stops no other. Beside a running server it changes nothing that others see. Source: page 12 of the
design.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import struct
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import httpx
import structlog
from pydantic import SecretStr

from lading.imaging.ladder import Variant
from lading.imaging.worker import Imager
from lading.protocol.errors import LadingError
from lading.server.access.jwks import jwks_fetcher
from lading.server.access.keys import WrongKey, parse_jwks
from lading.server.app import make_authenticator
from lading.server.assembly import Assembly, open_assembly
from lading.server.settings import MAY_BE_SECRET, Settings, WrongSettings, load, unknown
from lading.storage import inspection
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.database import cause_of
from lading.storage.embedded.mongod import find
from lading.storage.embedded.process import EmbeddedError, EmbeddedMongo, running
from lading.storage.homes import path_of, scheme

DONE, FAILED, USAGE = 0, 1, 2

SLOW_SYNC = 0.02
"""Seconds from which a disk makes every acknowledgement slow: consumer disks without a cache."""

CLOCK_SECONDS = 5.0
"""The difference of two clocks from which credentials may be judged wrongly."""

PUBLIC_SECONDS = 5.0

HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Finding:
    """The end of one trial: what was tried, how it went, and for a failure what to do."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str


Trial = Callable[[], Awaitable[Finding]]


def check(*, as_json: bool) -> int:
    """Show the settings, try everything, and return the exit code."""
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    try:
        settings = load()
    except WrongSettings as error:
        print(error, file=sys.stderr)
        return USAGE
    _show_settings(settings, as_json=as_json)
    findings = asyncio.run(_all(settings, as_json=as_json))
    bad = sum(each.state == "failed" for each in findings)
    doubtful = sum(each.state == "warning" for each in findings)
    if as_json:
        print(json.dumps({"event": "checked", "failed": bad, "warnings": doubtful}))
    else:
        print(f"\n{len(findings)} checks: {bad} failed, {doubtful} warnings")
    return FAILED if bad else DONE


# -- settings


def sources(settings: Settings) -> list[tuple[str, str, str]]:
    """Each variable, its value as it may be shown, and where it is from."""
    found = []
    for name in Settings.model_fields:
        variable = f"LADING_{name.upper()}"
        source = "environment" if name in settings.model_fields_set else "default"
        found.append((variable, _shown(variable, getattr(settings, name)), source))
    return found


def _shown(variable: str, value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, SecretStr) or variable in MAY_BE_SECRET:
        return HIDDEN  # it may contain a password
    if isinstance(value, tuple):
        return ",".join(str(getattr(each, "name", each)) for each in value)
    return str(value)


def _show_settings(settings: Settings, *, as_json: bool) -> None:
    table = sources(settings)
    for variable, value, source in table:
        if as_json:
            facts = {"name": variable, "value": value, "source": source}
            print(json.dumps({"event": "setting", **facts}))
        else:
            print(f"{variable:<28} {source:<12} {value}")
    if not as_json:
        print()


# -- trials


async def _all(settings: Settings, *, as_json: bool) -> list[Finding]:
    """Every trial in its order; each is shown as soon as it has ended."""
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        if as_json:
            facts = {"name": finding.name, "state": finding.state, "detail": finding.detail}
            print(json.dumps({"event": "check", **facts}), flush=True)
        else:
            print(f"{finding.state:<8} {finding.name}: {finding.detail}", flush=True)

    for name in unknown(os.environ):
        note(Finding("settings", "warning", f"{name} is no setting; is it misspelt?"))
    async for finding in _stored(settings):
        note(finding)
    for directory in _directories(settings):
        note(disk(directory, settings.free_space_floor))
    for trial in (images, keys, public):
        note(await trial(settings))
    return findings


async def _stored(settings: Settings) -> AsyncIterator[Finding]:
    """The database, and on it the home of bytes."""
    try:
        async with _opened(settings) as parts:
            if parts is None:
                detail = f"there is no data directory {settings.data} yet; the first start makes it"
                yield Finding(
                    "database", "ok", f"{find(settings.mongod)} will be started; {detail}"
                )
                return
            yield await database(parts)
            yield await home(parts)
            yield await cors(parts)
    except (LadingError, EmbeddedError, OSError) as error:
        reason = cause_of(error.__cause__ or error)
        advice = "start it, or correct LADING_DATABASE_URL or LADING_BLOBS"
        yield Finding("database", "failed", f"{reason}; {advice}")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Assembly | None]:
    """The storage as a server has it; None where the embedded database was never started."""
    async with AsyncExitStack() as stack:
        url = settings.database_url or running(settings.data)
        if url is None:
            if not settings.data.is_dir():
                yield None
                return
            embedded = EmbeddedMongo(settings.data, mongod=settings.mongod)
            url = (await stack.enter_async_context(embedded)).url
        yield await open_assembly(settings, stack, url=url)


async def database(parts: Assembly) -> Finding:
    """What the database is, and whether it makes writes durable."""
    found = await inspection.inspect_database(parts.storage.database)
    kind = "standalone"
    if found.sharded:
        kind = "sharded"
    elif found.replica_set is not None:
        kind = f"replica set {found.replica_set}"
    write = f"a durable write takes {found.write_seconds * 1000:.1f} ms"
    detail = f"MongoDB {found.version}, {kind}; {write}; clock {found.clock_ahead:+.1f} s"
    if found.sharded:
        detail += (
            '; shard once: sh.shardCollection("lading.manifests", {_id: "hashed"}), '
            'sh.shardCollection("lading.chunks", {upload_id: "hashed"})'
        )
    if abs(found.clock_ahead) > CLOCK_SECONDS:
        detail += "; set the clocks by NTP: tokens and expiry are judged by the database's clock"
        return Finding("database", "warning", detail)
    return Finding("database", "ok", detail)


async def home(parts: Assembly) -> Finding:
    """Whether files can be written, read and deleted where they will live."""
    name, blobs = parts.storage.blobs.home, parts.storage.blobs
    try:
        await inspection.try_home(blobs.bare(name), parts.storage.clock())
    except LadingError as error:
        return Finding("home", "failed", f"{name}: {error}")
    return Finding("home", "ok", f"{name}: written, read, deleted")


async def cors(parts: Assembly) -> Finding:
    """Whether pages may send files to the bucket."""
    homes, settings = parts.storage.blobs, parts.settings
    bucket = homes.bare(homes.home)
    origins = [*settings.allowed_origins, *([settings.public_url] if settings.public_url else [])]
    if not isinstance(bucket, S3Blobs) or not origins:
        return Finding("cors", "ok", "not needed: no page sends files to a bucket")
    origin = "/".join(origins[0].split("/")[:3])
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    try:
        address = await inspection.presigned_put(bucket, parts.storage.clock())
        async with httpx.AsyncClient(timeout=PUBLIC_SECONDS) as client:
            answer = await client.options(address, headers=asked)
    except (LadingError, httpx.HTTPError) as error:
        return Finding("cors", "failed", f"{homes.home}: {error or type(error).__name__}")
    if answer.headers.get("access-control-allow-origin") in (origin, "*"):
        return Finding("cors", "ok", f"{homes.home}: pages of {origin} may send files")
    advice = f"allow PUT from {origin} in the bucket's CORS rules, or uploads go through the server"
    return Finding("cors", "warning", f"{homes.home}: pages of {origin} may not; {advice}")


def _directories(settings: Settings) -> list[Path]:
    """The directories whose disks make uploads durable."""
    found = [settings.data] if settings.database_url is None and settings.data.is_dir() else []
    if scheme(settings.blobs) == "file":
        found.append(Path(path_of(settings.blobs)))
    return found


def disk(directory: Path, floor: int) -> Finding:
    """What a durable write costs on a disk, and how much is free."""
    try:
        seconds, free = inspection.sync_seconds(directory), inspection.free_bytes(directory)
    except OSError as error:
        detail = f"{directory}: {error.strerror}; the server's user must be able to write there"
        return Finding("disk", "failed", detail)
    detail = f"{directory}: fsync {seconds * 1000:.1f} ms, {free / 2**30:.1f} GiB free"
    if free < floor:
        advice = "below LADING_FREE_SPACE_FLOOR nothing is taken; make space"
        return Finding("disk", "failed", f"{detail}; {advice}")
    if seconds > SLOW_SYNC:
        return Finding("disk", "warning", f"{detail}; slow: every acknowledgement waits for it")
    return Finding("disk", "ok", detail)


async def images(settings: Settings) -> Finding:
    """Whether a child process makes a picture."""
    if not settings.imaging:
        return Finding("images", "ok", "this server makes none (LADING_IMAGING=0)")
    imager, begun = Imager(1), time.perf_counter()
    try:
        made = await imager.make(_Bytes(_png()), [Variant(1)])
    except (LadingError, OSError) as error:
        return Finding("images", "failed", f"no child process makes images: {error}")
    finally:
        await imager.close()
    if not made.pictures:
        return Finding("images", "failed", "the child process made no image of a PNG")
    video = "videos, too" if find_spec("av") else "no videos: pip install 'lading[video]'"
    seconds = time.perf_counter() - begun
    return Finding("images", "ok", f"an image in {seconds:.1f} s, start included; {video}")


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A file in memory, for the child."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]


def _png(side: int = 32) -> bytes:
    """A grey square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = (b"\x00" + b"\x80" * side) * side
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


async def keys(settings: Settings) -> Finding:
    """Whether credentials can be judged."""
    if settings.has_admin_token:
        return _token(settings.data / "admin-token")
    if settings.auth == "none":
        return Finding("credentials", "ok", "none are asked for; only this machine may connect")
    detail, address = "the key of the tokens can be used", settings.jwt_jwks or ""
    try:
        make_authenticator(settings, time.time)
        if address.startswith(("http://", "https://")):
            found = parse_jwks(await jwks_fetcher(address)())
            detail = f"{len(found)} keys at {address}"
    except (WrongSettings, WrongKey, httpx.HTTPError) as error:
        return Finding("credentials", "failed", str(error) or type(error).__name__)
    return Finding("credentials", "ok", detail)


def _token(path: Path) -> Finding:
    if not path.exists():
        return Finding("credentials", "ok", "the first start makes the token")
    if path.stat().st_mode & 0o077:
        return Finding("credentials", "failed", f"others can read {path}: chmod 600 {path}")
    return Finding("credentials", "ok", f"the token is in {path}")


async def public(settings: Settings) -> Finding:
    """Whether the public address leads to a Lading, from here."""
    url = settings.public_url
    if url is None:
        return Finding("public address", "ok", "LADING_PUBLIC_URL is not set")
    try:
        async with httpx.AsyncClient(timeout=PUBLIC_SECONDS) as client:
            answer = await client.get(f"{url}/livez")
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        advice = "does the server run, and does the name lead to its proxy from here?"
        return Finding("public address", "warning", f"{url}: {reason}; {advice}")
    if answer.status_code == 200 and "version" in answer.text:
        return Finding("public address", "ok", f"{url} leads to a server")
    detail = f"{url}/livez returns {answer.status_code}, and is no Lading; look at the proxy"
    return Finding("public address", "failed", detail)
