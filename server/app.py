"""The application: the one place where the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from lading.protocol.errors import LadingError
from lading.protocol.messages import OVERHEAD
from lading.server.access.grants import GrantAuthenticator
from lading.server.access.principal import (
    Authenticator,
    OpenAuthenticator,
    TokenAuthenticator,
    admin_token,
)
from lading.server.assembly import open_assembly
from lading.server.background import Background
from lading.server.channel import connection as channel
from lading.server.http import openapi
from lading.server.http.exception_handlers import handlers
from lading.server.http.middleware import middleware
from lading.server.http.routes import (
    files,
    grants,
    health,
    manifests,
    media,
    pages,
    session,
    tags,
    uploads,
    usage,
)
from lading.server.net.byte_budget import ByteBudget
from lading.server.net.connection_counts import ConnectionCounts
from lading.server.services import Services
from lading.server.settings import Settings, load
from lading.storage.embedded.process import EmbeddedError, EmbeddedMongo

Handler = Callable[[Request], Awaitable[Response]]


def _route(path: str, **handlers: Handler) -> Route:
    """One address with a handler for each method, so that 405 names all of them."""

    async def dispatch(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await handlers[method](request)

    return Route(path, dispatch, methods=list(handlers))


ROUTES = [
    _route("/", GET=pages.home),
    _route("/assets/{file}", GET=pages.asset),
    _route("/widget/{file}", GET=pages.widget),
    _route("/docs", GET=pages.reference),
    _route("/openapi.json", GET=pages.description),
    _route("/livez", GET=health.live),
    _route("/readyz", GET=health.ready),
    _route("/healthz", GET=health.healthy),
    _route("/v1/files", GET=files.listing, POST=files.create, DELETE=files.remove_directory),
    _route("/v1/files/{id}", GET=files.fetch, PATCH=files.change, DELETE=files.remove),
    _route("/v1/manifests/{id}", GET=manifests.show),
    _route("/v1/uploads", GET=uploads.listing, POST=uploads.create),
    _route("/v1/uploads/{id}", GET=uploads.show, DELETE=uploads.abort),
    _route("/v1/uploads/{id}/chunks/{slice_start}", PUT=uploads.put_piece),
    _route("/v1/uploads/{id}/finish", POST=uploads.finish),
    _route("/v1/grants", GET=grants.listing, POST=grants.mint),
    _route("/v1/grants/{id}", GET=grants.show, DELETE=grants.revoke),
    _route("/v1/g/{token}", GET=grants.fetch, PUT=grants.upload, POST=grants.upload),
    _route("/v1/g/{token}/check", GET=grants.check),
    _route("/v1/g/{token}/{quality}", GET=grants.fetch),
    _route("/v1/g/{token}/{quality}/check", GET=grants.check),
    _route("/v1/media", POST=media.create),
    _route("/v1/media/{id}", GET=media.show),
    _route("/v1/media/{id}/finalize", POST=media.finalize),
    _route("/v1/tags", GET=tags.listing, POST=tags.create),
    _route("/v1/tags/{name:path}", GET=tags.show, PATCH=tags.rename, DELETE=tags.remove),
    _route("/v1/session", POST=session.begin, DELETE=session.end),
    _route("/v1/usage", GET=usage.show_own),
    _route("/v1/users/{user_id:path}/quota", GET=usage.show, PUT=usage.change),
    WebSocketRoute("/v1/ws", channel.channel),
    _route("/v1/ws", GET=channel.not_an_upgrade),
]


def create_app(
    settings: Settings | None = None,
    *,
    client: Any = None,
    clock: Callable[[], float] | None = None,
    connection_counts: ConnectionCounts | None = None,
) -> Starlette:
    """The server as an ASGI application.

    `client` may be a MongoDB client made elsewhere: PyMongo's async one, Motor's or
    mongomock-motor's; else the database of the settings is used, or a private one is started.
    `connection_counts` counts the connections of all processes where there are several.
    """
    chosen = settings or load()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            try:
                services = await _assemble(chosen, client, clock, connection_counts, stack)
            except (EmbeddedError, LadingError, OSError) as error:
                app.state.failure = _explain(error, chosen)
                raise
            app.state.services = services
            yield {"services": services, "bounds": services.bounds()}
            await services.settle()

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        middleware=middleware(chosen),
        exception_handlers=handlers(),
    )
    # Starlette would build the address from what a proxy sent, without LADING_PUBLIC_URL.
    app.router.redirect_slashes = False
    app.state.pages = pages.Pages.of(openapi.build(ROUTES, chosen.public_url))
    return app


def _explain(error: Exception, settings: Settings) -> str:
    """Why the server cannot start, for the person who started it."""
    if isinstance(error, LadingError):
        return f"LADING_DATABASE_URL: {error}"
    if isinstance(error, OSError):
        return f"LADING_DATA={settings.data}: cannot be used ({error.strerror})"
    return str(error)


async def _assemble(
    settings: Settings,
    client: Any,
    clock: Callable[[], float] | None,
    connection_counts: ConnectionCounts | None,
    stack: AsyncExitStack,
) -> Services:
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = settings.database_url
    if client is None and url is None:
        embedded = EmbeddedMongo(settings.data, mongod=settings.mongod)
        stack.push_async_callback(embedded.stop)
        url = await embedded.start()
    parts = await open_assembly(settings, stack, url=url, client=client, clock=clock)
    storage = parts.storage
    authenticator = make_authenticator(settings, storage.clock)
    # An upload that was created under a larger LADING_CHUNK_SIZE must still be able to resume.
    largest = max(settings.largest_chunk, await storage.manifests.largest_open_chunk())
    services = Services(
        settings=settings,
        database=storage.database,
        uploads=parts.uploads,
        library=parts.library,
        quotas=storage.quotas,
        grants=storage.grants,
        tags=storage.tags,
        authenticator=GrantAuthenticator(storage.grants, authenticator, storage.clock),
        budget=ByteBudget(settings.byte_budget, settings.part_of_user),
        connection_counts=connection_counts or ConnectionCounts(),
        max_message=largest + OVERHEAD,
        clock=storage.clock,
    )
    background = await stack.enter_async_context(Background())
    for work in (
        *parts.background(),
        services.note_activity(settings.upload_ttl / 4),
        services.watch_grants(),
    ):
        background.start(work)
    return services


def make_authenticator(settings: Settings, clock: Callable[[], float]) -> Authenticator:
    """The authenticator that `LADING_AUTH` names; raises WrongSettings when its keys are unfit."""
    match settings.auth:
        case "token":
            return TokenAuthenticator(admin_token(settings.data))
        case "jwt":
            # Imported here: its libraries take memory that other servers need not spend.
            from lading.server.access.jwt import authenticator

            return authenticator(settings, clock)
        case "none":
            return OpenAuthenticator()
