"""The application: the only place where the parts are put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from lading.imaging.made import Maker
from lading.imaging.measure import Measured
from lading.imaging.worker import Imager
from lading.janitor.holding import holder_name
from lading.protocol.errors import LadingError
from lading.protocol.messages import OVERHEAD
from lading.server.access.authenticate import (
    Authenticator,
    OpenAuthenticator,
    TokenAuthenticator,
)
from lading.server.access.grants import GrantAuthenticator
from lading.server.access.kept_secrets import ServerSecret, admin_token
from lading.server.access.passwords import Passwords
from lading.server.assembly import open_assembly
from lading.server.background import Background
from lading.server.channel import admission, drain
from lading.server.hooks import Hooks
from lading.server.http.endpoints import routes
from lading.server.http.exception_handlers import handlers
from lading.server.http.middleware import middleware
from lading.server.http.openapi import document
from lading.server.http.routes import (
    archive,
    audit,
    batch,
    directories,
    events,
    file_list,
    files,
    grant_uploads,
    grants,
    health,
    kinds,
    manifests,
    media,
    metrics,
    oidc,
    overview,
    pages,
    pictures,
    public,
    replacement,
    requests,
    resumable,
    session,
    sessions,
    shares,
    tags,
    trash,
    tus,
    uploads,
    usage,
    users,
    webhooks,
    websocket,
)
from lading.server.http.routes import (
    passkeys as passkey_routes,
)
from lading.server.limits import USUAL_LIMITS, AccountLimits, Limits
from lading.server.metrics.exposition import Exposition
from lading.server.metrics.meters import Meters
from lading.server.metrics.state import Open, State
from lading.server.net.byte_budget import COPIES, ByteBudget
from lading.server.net.connection_counts import ConnectionCounts
from lading.server.net.record import Observe, Record
from lading.server.net.windows import Windows
from lading.server.services import OpenChannel, Services
from lading.server.settings import Settings, load
from lading.server.tracing import open_tracing
from lading.server.webhooks.deliver import Deliverer
from lading.server.webhooks.manage import WebhookAdmin
from lading.server.webhooks.send import Sender
from lading.storage.blobs.base import Unusable
from lading.storage.embedded.process import EmbeddedError, EmbeddedMongo
from lading.storage.open import Storage

if TYPE_CHECKING:
    from lading.server.access.accounts import Accounts

OPERATIONS = [
    operation
    for module in (
        pages,
        health,
        metrics,
        batch,
        files,
        file_list,
        replacement,
        trash,
        directories,
        pictures,
        archive,
        kinds,
        public,
        manifests,
        events,
        uploads,
        websocket,
        tus,
        resumable,
        grant_uploads,
        requests,
        grants,
        shares,
        media,
        tags,
        usage,
        users,
        webhooks,
        audit,
        overview,
        session,
        sessions,
        oidc,
        passkey_routes,
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
) -> Starlette:
    """The server as an ASGI application.

    `client` may be an existing MongoDB client: PyMongo's async one, Motor's or mongomock-motor's.
    Without it, the database of the settings is used, or a private one is started.
    `connection_counts` counts the connections of all processes if there are several. `limits` are
    the deadlines and bounds that no setting changes. `observe` gets the record of every request
    and channel when it has ended, for the log. `maker` makes pictures; by default child processes
    do. What happens is also counted for `/metrics`.
    """
    chosen, meters = settings or load(), Meters()

    def report(record: Record) -> None:
        meters.request(record)
        if observe is not None:
            observe(record)

    hooks = replace(meters.hooks(), request=report)
    tracing = None if chosen.otlp_endpoint is None else open_tracing(chosen.otlp_endpoint)
    if tracing is not None:
        hooks = tracing.hooks(hooks)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            if tracing is not None:
                stack.push_async_callback(tracing.close)
            try:
                services = await _assemble(
                    chosen,
                    stack,
                    client=client,
                    clock=clock,
                    connection_counts=connection_counts,
                    limits=limits,
                    maker=maker,
                    meters=meters,
                    hooks=hooks,
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
        middleware=middleware(chosen, hooks),
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
    meters: Meters,
    hooks: Hooks,
) -> Services:
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = settings.database_url
    if client is None and url is None:
        embedded = EmbeddedMongo(settings.data, mongod=settings.mongod)
        stack.push_async_callback(embedded.stop)
        url = await embedded.start()
    imager: Imager | None = None
    if maker is None and settings.imaging:
        imager = Imager(settings.imaging)
        stack.push_async_callback(imager.close)
        maker = imager
    parts = await open_assembly(
        settings,
        stack,
        url=url,
        client=client,
        clock=clock,
        limits=limits.uploads,
        maker=None if maker is None else Measured(maker, hooks.images),
        hooks=hooks,
        events=limits.events,
    )
    storage = parts.storage
    secret = ServerSecret.of(settings.data)
    authenticator = make_authenticator(settings, storage.clock)
    passwords = Passwords(limits.accounts)
    stack.callback(passwords.close)
    accounts = provider = passkeys = None
    if settings.auth == "accounts":
        accounts, authenticator = await _open_accounts(
            storage, secret, authenticator, passwords, limits.accounts
        )
        from lading.server.access.passkeys import PasskeyService

        passkeys = PasskeyService(storage, accounts, secret, limits.accounts.passkey_seconds)
    if settings.oidc_issuer is not None:
        from lading.server.access.oidc import OpenIdProvider

        provider = OpenIdProvider(settings, secret, storage.clock, limits.accounts.oidc_seconds)
    # An upload that was created under a larger LADING_CHUNK_SIZE must still be able to resume.
    largest = max(settings.largest_chunk, await storage.manifests.largest_open_chunk())
    budget = ByteBudget(
        settings.byte_budget,
        settings.part_of_user,
        pressed_seconds=limits.net.pressed_seconds,
        waited=hooks.waited,
    )
    counts, channels = connection_counts or ConnectionCounts(), set[OpenChannel]()

    def opened() -> Open:
        peak = 0 if imager is None else imager.peak()
        return Open(max(0, counts.mine - len(channels)), len(channels), peak, len(parts.changes))

    state = State(meters, storage, budget, opened, max_connections=settings.max_connections)
    sender = Sender(limits.webhooks, private=settings.webhook_private)
    news = parts.uploads.announcer.news
    deliverer = Deliverer(
        storage,
        sender,
        news,
        limits.webhooks,
        holder=holder_name(),
        observe=hooks.delivery,
    )
    services = Services(
        settings=settings,
        database=storage.database,
        homes=storage.blobs,
        uploads=parts.uploads,
        appends=parts.appends,
        concatenation=parts.concatenation,
        library=parts.library,
        archives=parts.archives,
        changes=parts.changes,
        users=parts.users,
        quotas=storage.quotas,
        grants=storage.grants,
        tags=storage.tags,
        idempotency=storage.idempotency,
        webhooks=WebhookAdmin(storage, sender, news, limits.webhooks),
        secret=secret,
        accounts=accounts,
        provider=provider,
        passkeys=passkeys,
        authenticator=GrantAuthenticator(storage.grants, authenticator, storage.clock),
        budget=budget,
        windows=Windows(budget.total // COPIES),
        connection_counts=counts,
        max_message=largest + OVERHEAD,
        exposition=Exposition(meters, state),
        passwords=passwords,
        channels=channels,
        clock=storage.clock,
        limits=limits,
        observe=hooks.request,
    )
    background = await stack.enter_async_context(Background())
    for work in (*parts.background(), *drain.visits(services), state.keep(), deliverer.run()):
        background.start(work)
    return services


async def _open_accounts(
    storage: Storage,
    secret: ServerSecret,
    otherwise: Authenticator,
    passwords: Passwords,
    limits: AccountLimits,
) -> tuple[Accounts, Authenticator]:
    # Imported here: their libraries take memory that other servers need not spend.
    from lading.server.access.accounts import Accounts
    from lading.server.access.guesses import Guesses
    from lading.server.access.session_tokens import SessionTokens
    from lading.server.access.sessions import OpenSessions, SessionAuthenticator

    await passwords.prepare()
    tokens = SessionTokens(secret, storage.clock)
    sessions = OpenSessions(storage, tokens, limits)
    accounts = Accounts(storage, sessions, passwords, Guesses(storage, tokens, limits))
    return accounts, SessionAuthenticator(storage, tokens, otherwise)


def make_authenticator(settings: Settings, clock: Callable[[], float]) -> Authenticator:
    """The authenticator of `LADING_AUTH`; raises WrongSettings for keys that cannot be used."""
    match settings.auth:
        case "token" | "accounts":
            return TokenAuthenticator(admin_token(settings.data))
        case "jwt":
            # Imported here: its libraries take memory that other servers need not spend.
            from lading.server.access.jwt import authenticator

            return authenticator(settings, clock)
        case "none":
            return OpenAuthenticator()
