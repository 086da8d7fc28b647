"""GridFS behind Starlette, as many sites have it: `python gridfs_app.py URL DATABASE PORT`.

The bucket of PyMongo's async API with its defaults; only the write concern is Lading's. A POST
stores its body, a GET sends the file.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from gridfs.asynchronous import AsyncGridFSBucket
from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

DURABLE = WriteConcern(w="majority", j=True)


def application(url: str, database: str) -> Starlette:
    """The site."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncMongoClient[dict[str, Any]](url) as client:
            app.state.bucket = AsyncGridFSBucket(client[database], write_concern=DURABLE)
            yield

    return Starlette(
        routes=[
            Route("/files/{name}", store, methods=["POST"]),
            Route("/files/{name}", send, methods=["GET"]),
        ],
        lifespan=lifespan,
    )


async def store(request: Request) -> Response:
    bucket: AsyncGridFSBucket = request.app.state.bucket
    async with bucket.open_upload_stream(request.path_params["name"]) as file:
        async for data in request.stream():
            await file.write(data)
    return Response(status_code=201)


async def send(request: Request) -> Response:
    bucket: AsyncGridFSBucket = request.app.state.bucket
    file = await bucket.open_download_stream_by_name(request.path_params["name"])

    async def body() -> AsyncIterator[bytes]:
        while data := await file.readchunk():
            yield data

    return StreamingResponse(body(), headers={"Content-Length": str(file.length)})


def main(url: str, database: str, port: str) -> None:
    """Serve until told to stop, with uvicorn as Lading runs it."""
    uvicorn.run(
        application(url, database),
        host="127.0.0.1",
        port=int(port),
        access_log=False,
        log_level="warning",
        loop="uvloop",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
