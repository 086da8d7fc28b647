"""Downloads: from a request for a file to its bytes."""

from lading.server.http.download.picture import respond_picture
from lading.server.http.download.respond import respond

__all__ = ["respond", "respond_picture"]
