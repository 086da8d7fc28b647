"""`lading serve`: from the environment to a running server.

The log, the listening socket, the lines that say that the server is ready, `server.json`, and the
exit code. Source: page 7 of the design, "First run".
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import structlog
from starlette.applications import Starlette

from lading.memory import keep_freed
from lading.server.access.kept_secrets import admin_token
from lading.server.app import create_app, make_authenticator
from lading.server.process.log import configure_log, log_request
from lading.server.process.server import Server, configuration
from lading.server.process.supervisor import WorkerFailed, serve_together
from lading.server.settings import Settings, WrongSettings, load, unknown
from lading.storage.embedded.process import EmbeddedError
from lading.version import VERSION

log = structlog.get_logger()

FAILED = 1
USAGE = 2


def listen(settings: Settings) -> list[socket.socket]:
    """A listening socket for each worker; with port 0 the system chooses one port for all."""
    try:
        # Without SO_REUSEPORT: this server must not share the port of another one.
        first = _bind(settings.host, settings.port)
        if settings.workers == 1:
            return [first]
        port = first.getsockname()[1]
        first.close()
        return [_bind(settings.host, port, shared=True) for _ in range(settings.workers)]
    except OSError as error:
        raise WrongSettings(
            f"LADING_HOST={settings.host}, LADING_PORT={settings.port}: cannot listen there "
            f"({error.strerror}); choose another port, or stop what uses it"
        ) from error


def listen_for_metrics(settings: Settings) -> socket.socket | None:
    """The listening socket of `LADING_METRICS_PORT`, which all workers share."""
    if settings.metrics_port is None:
        return None
    try:
        return _bind(settings.host, settings.metrics_port)
    except OSError as error:
        raise WrongSettings(
            f"LADING_HOST={settings.host}, LADING_METRICS_PORT={settings.metrics_port}: cannot "
            f"listen there ({error.strerror}); choose another port, or stop what uses it"
        ) from error


def _bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def address(listener: socket.socket) -> str:
    """The server's URL on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Note:
    """`server.json` in the data directory, and the lines that say that the server is ready."""

    def __init__(self, settings: Settings, url: str) -> None:
        """`url` is for this machine; the ready lines show the public one if there is one."""
        self._settings = settings
        self._url = url
        self._path = settings.data / "server.json"
        self._written: str | None = None

    def write(self) -> None:
        """Write the file and print the ready lines."""
        token = admin_token(self._settings.data) if self._settings.has_admin_token else None
        note = {"url": self._url, "token": token, "pid": os.getpid()}
        self._written = json.dumps(note) + "\n"
        _write_private(self._path, self._written)
        shown = self._settings.public_url or self._url
        print(ready_lines(shown, token, self._settings), flush=True)

    def remove(self) -> None:
        """Remove the file, unless another server has written it since."""
        with suppress(OSError, ValueError):
            if self._path.read_text(encoding="utf-8") == self._written:
                self._path.unlink()


def ready_lines(url: str, token: str | None, settings: Settings) -> str:
    """The lines that are printed when the server is ready."""
    page = f"{url}/?token={token}" if token else f"{url}/"
    program = Path(sys.argv[0])
    command = f"{program if program.name == 'lading' else 'lading'} put FILE"
    if settings.data != Path("lading-data"):
        command = f"LADING_DATA={settings.data} {command}"
    return "\n".join(
        [
            f"Lading {VERSION} is ready.",
            f"  page    {page}",
            f"  upload  {command}",
        ]
    )


def _write_private(path: Path, text: str) -> None:
    """Write a file atomically; only its owner can read it."""
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def serve() -> int:
    """Run the server until it is stopped; returns the exit code."""
    try:
        settings = load()
        if settings.auth == "jwt":
            make_authenticator(settings, time.time)  # wrong keys are told of before all else
        listeners, metrics = listen(settings), listen_for_metrics(settings)
    except WrongSettings as error:
        print(error, file=sys.stderr)
        return USAGE
    configure_log(settings.log_level, settings.log_format)
    for name in unknown(os.environ):
        log.warning("unknown-setting", name=name)
    note = Note(settings, address(listeners[0]))
    try:
        if settings.workers > 1:
            return _serve_together(settings, listeners, metrics, note)
        keep_freed(settings.byte_budget // 4)
        app = create_app(settings, observe=log_request)
        config = configuration(app, settings.trusted_proxies)
        return run(Server(config, settings, note.write), app, listeners[0], metrics)
    finally:
        note.remove()


def run(server: Server, app: Starlette, *listeners: socket.socket | None) -> int:
    """Run a server in its own event loop until it is stopped; returns the exit code."""

    def matters(record: logging.LogRecord) -> bool:
        # Uvicorn logs a traceback when the start fails; `failure` says it better. And requests that
        # are cancelled by a second signal are no faults.
        cut = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
        return not (cut or server.force_exit or hasattr(app.state, "failure"))

    logging.getLogger("uvicorn.error").addFilter(matters)
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[each for each in listeners if each is not None]))
    except SystemExit:
        # Uvicorn exits like this when the start failed. An unknown reason was logged.
        if hasattr(app.state, "failure"):
            print(app.state.failure, file=sys.stderr)
        return FAILED
    return 0


def _serve_together(
    settings: Settings,
    listeners: list[socket.socket],
    metrics: socket.socket | None,
    note: Note,
) -> int:
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.has_admin_token:
            admin_token(settings.data)  # made before the workers look for it
        asyncio.run(serve_together(settings, listeners, note.write, metrics))
    except OSError as error:
        print(f"LADING_DATA={settings.data}: cannot be used ({error.strerror})", file=sys.stderr)
        return FAILED
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return FAILED
    except WorkerFailed:
        return FAILED
    return 0
