"""A proxy before an S3 that makes trouble for the objects of some files.

What a request is signed for stays as it is: method, address, `Host`, headers. Only its body may be
damaged, or the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from lading.storage.blobs.s3_client import S3Client, S3Error

LARGEST = 64 * 2**20

TROUBLES = ("down", "slow", "503", "500 after", "cut", "wrong checksum", "lost id")

_ERROR = '<?xml version="1.0"?><Error><Code>{0}</Code><Message>{0}</Message></Error>'

_NOT_PASSED_ON = ("transfer-encoding", "connection", "content-length", "content-encoding")


@dataclass
class S3Proxy:
    """Forwards to `target`. `plans` has for the id of a file its troubles, one for each request."""

    target: str
    bucket: S3Client
    url: str = ""
    plans: dict[str, list[str]] = field(default_factory=dict)
    met: int = 0
    """How often there was trouble."""

    def _trouble(self, request: web.Request) -> str:
        plan = next((plan for key, plan in self.plans.items() if f"/{key}/" in request.path), [])
        trouble = plan.pop(0) if plan else ""
        self.met += trouble != ""
        return trouble

    async def answer(self, request: web.Request) -> web.StreamResponse:
        trouble = self._trouble(request)
        body = bytearray(await request.read())
        match trouble:
            case "down" | "cut":
                if trouble == "cut" and body:
                    await self._half(request, bytes(body))
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=500)
            case "slow":
                await asyncio.sleep(0.2)
            case "503":
                return _refusal(503, "SlowDown")
            case "wrong checksum" if body:
                body[len(body) // 2] ^= 1
            case "lost id" if "uploadId" in request.query:
                await self._lose(request)
        answer = await self._forward(request, bytes(body))
        return _refusal(500, "InternalError") if trouble == "500 after" else answer

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            address = URL(self.target + request.raw_path, encoded=True)
            async with session.request(
                request.method,
                address,
                headers=request.headers,
                data=BytesIO(body) if body else None,
            ) as answer:
                headers = CIMultiDict(answer.headers)
                for name in _NOT_PASSED_ON:
                    headers.popall(name, None)
                if request.method == "HEAD":
                    headers["Content-Length"] = answer.headers.get("Content-Length", "0")
                    return web.Response(status=answer.status, headers=headers)
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    async def _half(self, request: web.Request, body: bytes) -> None:
        """Let the store have half of a body, and no end of it."""
        head = f"{request.method} {request.raw_path} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        target = URL(self.target)
        _, writer = await asyncio.open_connection(target.host, target.port)
        writer.write(head.encode() + b"\r\n" + body[: len(body) // 2])
        await writer.drain()
        writer.transport.abort()

    async def _lose(self, request: web.Request) -> None:
        """The store forgets the upload in parts that the request is for."""
        key = request.path.split("/", 2)[2]
        try:
            await self.bucket.call(
                "abort_multipart_upload", Key=key, UploadId=request.query["uploadId"]
            )
        except S3Error as error:
            if error.s3_code != "NoSuchUpload":
                raise


def _refusal(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=_ERROR.format(code), content_type="application/xml")


@asynccontextmanager
async def s3_proxy(target: str, bucket: S3Client) -> AsyncIterator[S3Proxy]:
    """A proxy before the S3 at `target` while the context is open."""
    proxy = S3Proxy(target, bucket)
    application = web.Application(client_max_size=LARGEST)
    application.router.add_route("*", "/{path:.*}", proxy.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield proxy
    finally:
        await runner.cleanup()
