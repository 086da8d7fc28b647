"""Uvicorn as Lading runs it: it reports when it is ready, and drains before it ends.

The order in which a server ends, and uvicorn's configuration. Source: page 2 of the design,
"Choices"; facts, "uvicorn".
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog
import uvicorn
from starlette.applications import Starlette

from lading.server.channel.drain import drain
from lading.server.net.http_protocol import RequestProtocol
from lading.server.net.websocket_protocol import ChannelProtocol
from lading.server.services import Services
from lading.server.settings import Settings

log = structlog.get_logger()

CLEANING_SECONDS = 5
"""After the drain, how long the server waits for cancelled requests to clean up."""


class Server(uvicorn.Server):
    """Uvicorn, which calls `ready` when it serves and drains before it ends."""

    def __init__(
        self, config: uvicorn.Config, settings: Settings, ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._settings = settings
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        services: Services = self.lifespan.state["services"]
        log.info("draining", channels=len(services.channels), requests=len(self._requests()))
        await self._drain(services)
        for request in self._requests():
            request.give_up()
        await super().shutdown(sockets)

    async def _drain(self, services: Services) -> None:
        """Wait for channels and requests until the deadline, or until a second signal."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.drain_seconds
        for request in self._requests():
            request.shutdown()  # closed now or after its answer, so that none is asked again
        channels = asyncio.create_task(drain(services, self._settings.drain_seconds))
        # Polling, once in a server's life and for a limited time, is simpler than events.
        while loop.time() < end and (self._requests() or not channels.done()):
            if self.force_exit:
                break
            await asyncio.sleep(0.02)
        if self.force_exit:
            channels.cancel()
        await asyncio.gather(channels, return_exceptions=self.force_exit)

    def _requests(self) -> list[RequestProtocol]:
        """The HTTP connections."""
        found = self.server_state.connections
        return [each for each in found if isinstance(each, RequestProtocol)]

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT with exit code 0: a requested end is no failure."""
        kinds = (signal.SIGTERM, signal.SIGINT)
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # A second Ctrl-C or SIGTERM ends the server at once.
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)


def configuration(app: Starlette, trusted_proxies: tuple[str, ...] = ()) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        http=RequestProtocol,
        ws=ChannelProtocol,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=CLEANING_SECONDS,
    )
