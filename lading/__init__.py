"""The Python client of Lading: `Client`, and the error that all others derive from."""

from typing import TYPE_CHECKING

from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client

__all__ = ["Client", "LadingError"]


def __getattr__(name: str) -> object:
    # The server asks this package for its version only; it need not load an HTTP client for that.
    if name == "Client":
        from lading.client.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
