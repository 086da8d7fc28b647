"""The application: the one place where the parts are put together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from protocol.messages import OVERHEAD
from server.auth import Authenticator, OpenAuthenticator, TokenAuthenticator, admin_token
from server.errors import handlers
from server.limits import ByteBudget
from server.routes import channel, files, health, manifests, pages, uploads
from server.services import Services
from server.settings import Settings, load
from server.uploads import Uploads
from storage.blobs.mongo import MongoBlobs
from storage.chunks import Chunks
from storage.database import Database, connect
from storage.embedded import EmbeddedMongo
from storage.manifests import Manifests

Handler = Callable[[Request], Awaitable[Response]]


def _route(path: str, **handlers: Handler) -> Route:
    """One address with a handler for each method, so that 405 names all of them."""

    async def dispatch(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await handlers[method](request)

    return Route(path, dispatch, methods=list(handlers))


ROUTES = [
    _route("/", GET=pages.home),
    _route("/livez", GET=health.live),
    _route("/readyz", GET=health.ready),
    _route("/healthz", GET=health.healthy),
    _route("/v1/files", GET=files.listing, POST=files.create),
    _route("/v1/files/{id}", GET=files.fetch, DELETE=files.remove),
    _route("/v1/manifests/{id}", GET=manifests.show),
    _route("/v1/uploads", GET=uploads.listing),
    _route("/v1/uploads/{id}", GET=uploads.show, DELETE=uploads.abort),
    WebSocketRoute("/v1/ws", channel.channel),
    _route("/v1/ws", GET=channel.not_an_upgrade),
]


def create_app(
    settings: Settings | None = None,
    *,
    client: Any = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The server as an ASGI application.

    `client` may be a MongoDB client made elsewhere: PyMongo's async one, Motor's or
    mongomock-motor's; else the database of the settings is used, or a private one is started.
    """
    chosen = settings or load()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            services = await _assemble(chosen, client, clock, stack)
            app.state.services = services
            yield {"services": services}
            await services.settle()

    return Starlette(routes=ROUTES, lifespan=lifespan, exception_handlers=handlers())


async def _assemble(
    settings: Settings, client: Any, clock: Callable[[], float], stack: AsyncExitStack
) -> Services:
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    authenticator: Authenticator = OpenAuthenticator()
    if settings.auth == "token":
        authenticator = TokenAuthenticator(admin_token(settings.data))
    if client is None:
        url = settings.database_url
        if url is None:
            embedded = EmbeddedMongo(settings.data, mongod=settings.mongod)
            stack.push_async_callback(embedded.stop)
            url = await embedded.start()
        client = connect(url)
    database = Database(client)
    stack.push_async_callback(database.close)
    await database.prepare()
    chunk_store, manifest_store = Chunks(database), Manifests(database)
    mongo = MongoBlobs(chunk_store)
    # Uploads begun under a larger LADING_CHUNK_SIZE must still be able to go on.
    largest = max(settings.chunk_size, await manifest_store.largest_open_chunk())
    return Services(
        settings=settings,
        database=database,
        uploads=Uploads(settings, manifest_store, chunk_store, {mongo.name: mongo}, clock),
        authenticator=authenticator,
        budget=ByteBudget(settings.byte_budget),
        max_message=largest + OVERHEAD,
        clock=clock,
    )
