"""The application: the only place where the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from lading.imaging.made import Maker
from lading.imaging.measure import Measured
from lading.imaging.measure import Observe as ObserveImages
from lading.imaging.worker import Imager
from lading.protocol.errors import LadingError
from lading.protocol.messages import OVERHEAD
from lading.server.access.authenticate import (
    Authenticator,
    OpenAuthenticator,
    TokenAuthenticator,
)
from lading.server.access.grants import GrantAuthenticator
from lading.server.access.kept_secrets import ServerSecret, admin_token
from lading.server.assembly import open_assembly
from lading.server.background import Background
from lading.server.channel import admission, drain
from lading.server.http.endpoints import routes
from lading.server.http.exception_handlers import handlers
from lading.server.http.middleware import Observe, middleware
from lading.server.http.openapi import document
from lading.server.http.routes import (
    file_list,
    files,
    grants,
    health,
    kinds,
    manifests,
    media,
    pages,
    pictures,
    public,
    session,
    tags,
    uploads,
    usage,
    users,
    websocket,
)
from lading.server.limits import USUAL_LIMITS, Limits
from lading.server.net.byte_budget import ByteBudget
from lading.server.net.connection_counts import ConnectionCounts
from lading.server.services import Services
from lading.server.settings import Settings, load
from lading.storage.blobs.base import Unusable
from lading.storage.embedded.process import EmbeddedError, EmbeddedMongo

OPERATIONS = [
    operation
    for module in (
        pages,
        health,
        files,
        file_list,
        pictures,
        kinds,
        public,
        manifests,
        uploads,
        websocket,
        grants,
        media,
        tags,
        usage,
        users,
        session,
    )
    for operation in module.api
]
"""Every operation of the HTTP API: the routes and the OpenAPI document are made of these."""

ROUTES = [WebSocketRoute("/v1/ws", admission.channel), *routes(OPERATIONS)]


def create_app(
    settings: Settings | None = None,
    *,
    client: Any = None,
    clock: Callable[[], float] | None = None,
    connection_counts: ConnectionCounts | None = None,
    limits: Limits = USUAL_LIMITS,
    observe: Observe | None = None,
    maker: Maker | None = None,
    observe_images: ObserveImages | None = None,
) -> Starlette:
    """The server as an ASGI application.

    `client` may be an existing MongoDB client: PyMongo's async one, Motor's or mongomock-motor's.
    Without it, the database of the settings is used, or a private one is started.
    `connection_counts` counts the connections of all processes if there are several. `limits` are
    the deadlines and bounds that no setting changes. `observe` gets the method, route, status and
    duration of every request, for metrics. `maker` makes pictures; by default child processes do.
    `observe_images` gets the outcome, duration and number of pictures of each file, for metrics.
    """
    chosen = settings or load()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            try:
                services = await _assemble(
                    chosen,
                    stack,
                    client=client,
                    clock=clock,
                    connection_counts=connection_counts,
                    limits=limits,
                    maker=maker,
                    observe_images=observe_images,
                )
            except (EmbeddedError, LadingError, OSError) as error:
                app.state.failure = _explain(error, chosen)
                raise
            app.state.services = services
            yield {"services": services, "bounds": services.bounds()}
            await services.settle()

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        middleware=middleware(chosen, observe),
        exception_handlers=handlers(chosen.allowed_origins),
    )
    # Starlette would build the address from what a proxy sent, without LADING_PUBLIC_URL.
    app.router.redirect_slashes = False
    app.router.default = admission.not_found(app.router.default)
    app.state.pages = pages.Pages.of(document.build(OPERATIONS, chosen.public_url))
    return app


def _explain(error: Exception, settings: Settings) -> str:
    """Why the server cannot start, for its operator."""
    if isinstance(error, Unusable):
        return str(error)
    if isinstance(error, LadingError):
        return f"LADING_DATABASE_URL: {error}"
    if isinstance(error, OSError):
        return f"LADING_DATA={settings.data}: cannot be used ({error.strerror})"
    return str(error)


async def _assemble(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    client: Any,
    clock: Callable[[], float] | None,
    connection_counts: ConnectionCounts | None,
    limits: Limits,
    maker: Maker | None,
    observe_images: ObserveImages | None,
) -> Services:
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = settings.database_url
    if client is None and url is None:
        embedded = EmbeddedMongo(settings.data, mongod=settings.mongod)
        stack.push_async_callback(embedded.stop)
        url = await embedded.start()
    if maker is None and settings.imaging:
        imager = Imager(settings.imaging)
        stack.push_async_callback(imager.close)
        maker = imager
    if maker is not None and observe_images is not None:
        maker = Measured(maker, observe_images)
    parts = await open_assembly(
        settings, stack, url=url, client=client, clock=clock, limits=limits.uploads, maker=maker
    )
    storage = parts.storage
    authenticator = make_authenticator(settings, storage.clock)
    # An upload that was created under a larger LADING_CHUNK_SIZE must still be able to resume.
    largest = max(settings.largest_chunk, await storage.manifests.largest_open_chunk())
    services = Services(
        settings=settings,
        database=storage.database,
        homes=storage.blobs,
        uploads=parts.uploads,
        library=parts.library,
        users=parts.users,
        quotas=storage.quotas,
        grants=storage.grants,
        tags=storage.tags,
        idempotency=storage.idempotency,
        secret=ServerSecret.of(settings.data),
        authenticator=GrantAuthenticator(storage.grants, authenticator, storage.clock),
        budget=ByteBudget(
            settings.byte_budget,
            settings.part_of_user,
            pressed_seconds=limits.net.pressed_seconds,
        ),
        connection_counts=connection_counts or ConnectionCounts(),
        max_message=largest + OVERHEAD,
        clock=storage.clock,
        limits=limits,
    )
    background = await stack.enter_async_context(Background())
    for work in (*parts.background(), *drain.visits(services)):
        background.start(work)
    return services


def make_authenticator(settings: Settings, clock: Callable[[], float]) -> Authenticator:
    """The authenticator of `LADING_AUTH`; raises WrongSettings for keys that cannot be used."""
    match settings.auth:
        case "token":
            return TokenAuthenticator(admin_token(settings.data))
        case "jwt":
            # Imported here: its libraries take memory that other servers need not spend.
            from lading.server.access.jwt import authenticator

            return authenticator(settings, clock)
        case "none":
            return OpenAuthenticator()
