"""Lading: a media server with resumable uploads. Here is its Python client.

`Client` talks to a server. Its methods return the objects named below and raise `LadingError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import (
        DeletedUser,
        File,
        Grant,
        Manifest,
        Picture,
        Progress,
        ServerStatus,
        Upload,
        Usage,
    )
    from lading.client.upload import UploadTask

__all__ = [
    "Client",
    "DeletedUser",
    "File",
    "Grant",
    "LadingError",
    "Manifest",
    "Picture",
    "Progress",
    "ServerStatus",
    "Upload",
    "UploadTask",
    "Usage",
]

_MODULES = {"Client": "lading.client.client", "UploadTask": "lading.client.upload"}


def __getattr__(name: str) -> object:
    # Loaded when first used: the server imports this package too and needs no HTTP client.
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, "lading.client.types")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
