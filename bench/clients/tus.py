"""Uploads a file by tus 1.0, one PATCH after the other.

The job is `{"url", "token", "path", "size", "piece"}`; no token is None.

`url` is where uploads are created. The `seconds` run from the creation to the last answer.
"""

from __future__ import annotations

import base64
import time
from urllib.parse import urlsplit

from bench.clients import Job, Source, work
from bench.clients.connection import Connection

VERSION = {"Tus-Resumable": "1.0.0"}
PATCH = {**VERSION, "Content-Type": "application/offset+octet-stream"}


def create(connection: Connection, path: str, size: int) -> str:
    """Create an upload; the path under which its bytes are sent."""
    pairs = (("filename", "file"), ("filetype", "application/octet-stream"))
    metadata = ",".join(f"{key} {base64.b64encode(v.encode()).decode()}" for key, v in pairs)
    fields = {**VERSION, "Upload-Length": str(size), "Upload-Metadata": metadata}
    answer = connection.expect(201, "POST", path, fields)
    return urlsplit(answer.fields["location"]).path


def append(connection: Connection, path: str, offset: int, data: bytes) -> None:
    """Send the bytes from `offset` on."""
    connection.expect(204, "PATCH", path, {**PATCH, "Upload-Offset": str(offset)}, data)


def upload(job: Job) -> Job:
    """Store the file."""
    source, size, piece = Source(job["path"]), job["size"], job["piece"]
    with Connection(job["url"], job["token"]) as connection:
        begin = time.perf_counter()
        path = create(connection, urlsplit(job["url"]).path, size)
        for start in range(0, size, piece):
            append(connection, path, start, source.read(start, min(start + piece, size)))
        return {"seconds": time.perf_counter() - begin}


if __name__ == "__main__":
    work(upload)
