"""Lading: a media server with resumable uploads. Here is its Python client.

`Client` talks to a server, `SyncClient` does the same without an event loop. Their methods return
the objects named below and raise `LadingError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.blocking import SyncClient
    from lading.client.client import Client
    from lading.client.events import Event
    from lading.client.types import (
        Account,
        DeletedUser,
        File,
        Grant,
        IssuedGrant,
        Manifest,
        Medium,
        Picture,
        PresignedAddress,
        Progress,
        ServerStatus,
        Tag,
        Upload,
        Usage,
    )
    from lading.client.upload import UploadTask

__all__ = [
    "Account",
    "Client",
    "DeletedUser",
    "Event",
    "File",
    "Grant",
    "IssuedGrant",
    "LadingError",
    "Manifest",
    "Medium",
    "Picture",
    "PresignedAddress",
    "Progress",
    "ServerStatus",
    "SyncClient",
    "Tag",
    "Upload",
    "UploadTask",
    "Usage",
]

_MODULES = {
    "Client": "lading.client.client",
    "Event": "lading.client.events",
    "SyncClient": "lading.client.blocking",
    "UploadTask": "lading.client.upload",
}


def __getattr__(name: str) -> object:
    # Loaded when first used: the server imports this package too and needs no HTTP client.
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, "lading.client.types")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
