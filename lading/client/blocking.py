"""`SyncClient`: the same client for programs without an event loop.

There is one implementation, `Client`. Each method here runs the method of that name in an event
loop of the client's own, in a thread beside the caller's, and waits for it. So connections live
between two calls, and every type is the one of the original.
See docs/decisions/0075.
"""

from __future__ import annotations

import functools
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
)
from contextlib import ExitStack
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

from anyio.from_thread import BlockingPortal, start_blocking_portal

from lading.client.address import Address, Token
from lading.client.api import nothing
from lading.client.backoff import Timing
from lading.client.client import CONNECT_PATIENCE, PATIENCE, REQUEST_PATIENCE, Client
from lading.client.lookup import Listing
from lading.client.types import Manifest, ServerStatus, Upload
from lading.client.webhooks import Webhooks

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
P = ParamSpec("P")
T = TypeVar("T")

_END: Final = object()


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.open: list[AsyncIterator[Any]] = []
        """Iterations that have begun and not ended."""
        self._stack = ExitStack()
        self._portal: BlockingPortal = self._stack.enter_context(
            start_blocking_portal(name="lading-client")
        )

    def run(self, job: Callable[[], Awaitable[T]]) -> T:
        """Wait for what the job returns."""
        future = self._portal.start_task_soon(job)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # where it was this thread that was interrupted
            raise

    def close(self, last: Callable[[], Awaitable[object]]) -> None:
        """End the iterations, then run the last job, then end the thread."""
        try:
            while self.open:
                self.run(functools.partial(_end, self.open.pop()))
            self.run(last)
        finally:
            self._stack.close()


class _Beside(Generic[C_co]):
    """Something whose methods run in a loop beside the caller."""

    def __init__(self, client: C_co, loop: _Loop) -> None:
        self._client = client
        self._loop = loop


def _waits(
    method: Callable[Concatenate[C, P], Awaitable[T]],
) -> Callable[Concatenate[_Beside[C], P], T]:
    """The method, as one that returns its result."""

    @functools.wraps(method)
    def call(self: _Beside[C], /, *args: P.args, **kwargs: P.kwargs) -> T:
        async def run() -> T:
            return await method(self._client, *args, **kwargs)

        return self._loop.run(run)

    return call


def _iterates(
    method: Callable[Concatenate[C, P], AsyncIterator[T]],
) -> Callable[Concatenate[_Beside[C], P], Iterator[T]]:
    """The method, as one that returns an ordinary iterator. It asks only for what is taken."""

    @functools.wraps(method)
    def call(self: _Beside[C], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        items, loop = method(self._client, *args, **kwargs), self._loop

        async def following() -> T | object:
            return await anext(items, _END)

        def iterate() -> Iterator[T]:
            loop.open.append(items)
            try:
                while (item := loop.run(following)) is not _END:
                    yield item  # type: ignore[misc]  # the mark of the end is handled
            finally:
                if items in loop.open:
                    loop.open.remove(items)
                    loop.run(functools.partial(_end, items))

        return iterate()

    return call


async def _end(items: AsyncIterator[Any]) -> None:
    """End an iteration that may be in its middle."""
    if isinstance(items, AsyncGenerator):
        await items.aclose()


class SyncWebhooks(_Beside[Webhooks]):
    """The webhooks of a server; `SyncClient.webhooks`. Every method is for admins."""

    add = _waits(Webhooks.add)
    all = _waits(Webhooks.all)
    enable = _waits(Webhooks.enable)
    disable = _waits(Webhooks.disable)
    remove = _waits(Webhooks.remove)
    test = _waits(Webhooks.test)
    log = _iterates(Webhooks.log)


class SyncClient(_Beside[Client]):
    """A Lading server, as one user sees it, for programs without an event loop.

        with SyncClient() as client:
            file = client.upload("movie.mp4")
            client.download(file.id, "copy.mp4")

    It takes the arguments of `Client` and has its methods; those that iterate there return ordinary
    iterators here. Functions that are handed in (`token`, `on_progress`, `on_slow`) are called in a
    thread of the client's own. It can be used by several threads. Ctrl-C in a call stops what the
    call began; what is stored stays.
    """

    def __init__(
        self,
        url: str | None = None,
        token: Token = None,
        *,
        patience: float = PATIENCE,
        connect_patience: float = CONNECT_PATIENCE,
        request_patience: float = REQUEST_PATIENCE,
        timing: Timing | None = None,
        user: str | None = None,
        profile: str | None = None,
        rate: float | None = None,
        on_slow: Callable[[], None] = nothing,
    ) -> None:
        client = Client(
            url,
            token,
            patience=patience,
            connect_patience=connect_patience,
            request_patience=request_patience,
            timing=timing,
            user=user,
            profile=profile,
            rate=rate,
            on_slow=on_slow,
        )
        super().__init__(client, _Loop())

    @property
    def address(self) -> Address:
        """The server that was found."""
        return self._client.address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. The client cannot be used afterwards."""
        self._loop.close(self._client.close)

    # -- bytes

    upload = _waits(Client.upload)
    download = _waits(Client.download)
    read = _iterates(Client.read)
    archive = _waits(Client.archive)
    picture = _waits(Client.picture)

    def listing(self, wanted: Mapping[str, Collection[str]]) -> Listing:
        """For `upload`: what is on the server of many files, given as names for each directory."""
        return self._client.listing(wanted)

    # -- files and uploads

    list = _iterates(Client.list)
    named = _waits(Client.named)
    find = _waits(Client.find)
    manifest = _waits(Client.manifest)
    uploads = _waits(Client.uploads)
    change = _waits(Client.change)
    rename = _waits(Client.rename)
    move = _waits(Client.move)
    tag = _waits(Client.tag)
    delete = _waits(Client.delete)
    delete_directory = _waits(Client.delete_directory)
    kinds = _waits(Client.kinds)

    # -- the trash

    trash = _waits(Client.trash)
    trashed = _iterates(Client.trashed)
    restore = _waits(Client.restore)
    empty_trash = _waits(Client.empty_trash)

    @overload
    def status(self) -> ServerStatus: ...

    @overload
    def status(self, file_id: str) -> Manifest | Upload: ...

    def status(self, file_id: str | None = None) -> ServerStatus | Manifest | Upload:
        """Whether the server is ready; with an id, the state of that file or unfinished upload."""
        client = self._client
        if file_id is None:
            return self._loop.run(client.status)
        return self._loop.run(functools.partial(client.status, file_id))

    # -- tags

    tags = _iterates(Client.tags)
    create_tag = _waits(Client.create_tag)
    rename_tag = _waits(Client.rename_tag)
    delete_tag = _waits(Client.delete_tag)

    # -- permissions

    grant = _waits(Client.grant)
    share = _waits(Client.share)
    request = _waits(Client.request)
    grants = _iterates(Client.grants)
    links = _iterates(Client.links)
    revoke = _waits(Client.revoke)
    announce = _waits(Client.announce)
    medium = _waits(Client.medium)
    finalize = _waits(Client.finalize)
    usage = _waits(Client.usage)
    users = _iterates(Client.users)
    create_user = _waits(Client.create_user)
    change_user = _waits(Client.change_user)
    invite = _waits(Client.invite)
    delete_user = _waits(Client.delete_user)
    set_quota = _waits(Client.set_quota)

    # -- operation

    events = _iterates(Client.events)
    overview = _waits(Client.overview)
    all_uploads = _waits(Client.all_uploads)
    all_grants = _iterates(Client.all_grants)
    audit = _iterates(Client.audit)

    @property
    def webhooks(self) -> SyncWebhooks:
        """The webhooks of the server. Only an admin may."""
        return SyncWebhooks(self._client.webhooks, self._loop)
