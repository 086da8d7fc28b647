"""Bodies of requests: forms, and bodies without a length."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def parts_of(data: bytes, size: int = 1_000_000) -> AsyncIterator[bytes]:
    """A body without a length."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A form of parts, each with its headers; and the headers of the request."""
    body = b"".join(
        b"--limit\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts
    )
    return body + b"--limit--\r\n", {"Content-Type": "multipart/form-data; boundary=limit"}


FILE = 'Content-Disposition: form-data; name="f"; filename="cat.png"\r\nContent-Type: image/png'
FIELD = 'Content-Disposition: form-data; name="note"'
OTHER = 'Content-Disposition: form-data; name="g"; filename="dog.txt"\r\nContent-Type: text/plain'
EMPTY = FILE.replace("cat.png", "").replace("image/png", "application/octet-stream")
"""What a browser sends for an input in which nobody chose a file."""
