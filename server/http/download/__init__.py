"""Downloads: from a request for a file to its bytes."""

from lading.server.http.download.respond import respond

__all__ = ["respond"]
