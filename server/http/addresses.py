"""The addresses of uploads by tus and by the IETF's draft: who knows one can go on with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.requests import Request

from lading.protocol.errors import LadingError, NotFound, RequestTimeout
from lading.protocol.spec import ID
from lading.server.access.principal import Principal
from lading.server.services import Services
from lading.server.uploads.approval import Undecided

Address = Callable[[str], str]
"""Makes the URL of an upload from its id."""


def upload_id(request: Request) -> str:
    """The id in the address; one that is none belongs to no upload."""
    found: str = request.path_params["id"]
    if not ID.fullmatch(found):
        raise NotFound(f"There is no upload {found[:64]}.")
    return found


@asynccontextmanager
async def discarded_if_refused(
    server: Services, principal: Principal, upload_id: str, *, told: bool = False
) -> AsyncIterator[None]:
    """Discard a new upload that is refused while the client was not `told` its address.

    It would reserve its size, and count as a use of its grant, and nobody could go on with it. What
    came of a body that broke off is kept: its owner finds it among the unfinished uploads.
    """
    try:
        yield
    except (RequestTimeout, Undecided):
        raise
    except LadingError:
        if not told:
            with suppress(LadingError):  # then it expires
                await server.uploads.discard(principal, upload_id, unfinished_only=True)
        raise
