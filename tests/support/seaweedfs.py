"""A real SeaweedFS for the tests: one node with an S3 endpoint on the loopback interface.

`weed` comes from its wheel. It is ended by SIGKILL, since it takes more than 20 s to end by
itself, and with the process of the tests, in whatever way that ends.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lading.storage.blobs.s3_client import S3Client, S3Error, S3Options
from tests.support.children import Child, free_port, start

READY_SECONDS = 60.0

REGION = "us-east-1"

BUCKET = "files"
"""The bucket that each node has from the start. Tests use prefixes of their own in it: each further
bucket takes volumes, and a node has a limit of these."""

VOLUMES = 100
"""The most volumes of a node; their files grow as they are filled."""


@dataclass(frozen=True)
class Keys:
    """An identity of the store, by which requests are signed."""

    access: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the SDK's usual chain reads."""
        return {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret}


OWNER = Keys("lading-tests", "the-secret-of-the-tests")
"""May do anything."""

READER = Keys("lading-reader", "the-secret-of-a-reader")
"""May read objects, and neither list, write, delete nor abort."""

_IDENTITIES = {
    "identities": [
        {
            "name": "owner",
            "credentials": [{"accessKey": OWNER.access, "secretKey": OWNER.secret}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": READER.access, "secretKey": READER.secret}],
            "actions": ["Read"],
        },
    ]
}


@dataclass(frozen=True)
class SeaweedFS:
    """A node that takes requests at `port`."""

    port: int
    data: Path
    child: Child

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def options(self, keys: Keys = OWNER, url: str | None = None) -> S3Options:
        """How a client reaches it, or with `url` something before it."""
        return S3Options(url or self.url, REGION, True, (keys.access, keys.secret))

    def settings(self, url: str | None = None) -> dict[str, object]:
        """The settings of a server, named as `tests.support.servers.process` wants them."""
        return {"s3_endpoint": url or self.url, "s3_region": REGION, "s3_path_style": "true"}


def program() -> Path:
    """The `weed` beside this Python."""
    return Path(sys.executable).parent / "weed"


@contextmanager
def seaweedfs(data: Path) -> Iterator[SeaweedFS]:
    """Run a node on the directory `data`."""
    data.mkdir(parents=True, exist_ok=True)
    identities = data / "identities.json"
    identities.write_text(json.dumps(_IDENTITIES))
    port = free_port()
    child = start(_command(data, identities, port), data / "output")
    try:
        _until_ready(child, port, data / "output")
        running = SeaweedFS(port, data, child)
        with ThreadPoolExecutor(1) as thread:  # the caller may be in a loop
            thread.submit(asyncio.run, _make_bucket(running.options())).result()
        yield running
    finally:
        child.kill()
        child.wait()
        for path in _sockets(port).values():
            path.unlink(missing_ok=True)


async def _make_bucket(options: S3Options) -> None:
    client = S3Client(BUCKET, options)
    try:
        await client.call("create_bucket")
    except S3Error as error:
        if error.s3_code not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            raise
    finally:
        await client.close()


def _command(data: Path, identities: Path, port: int) -> list[str]:
    command = [str(program()), "-logtostderr", "mini", f"-dir={data}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={identities}"]
    command += ["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
    command += [f"-volume.max={VOLUMES}", f"-s3.port={port}"]
    command += [f"-{name}={free_port()}" for name in _PORTS]
    command += [f"-{name}={path}" for name, path in _sockets(port).items()]
    return command


def _sockets(port: int) -> dict[str, Path]:
    """Not in the directory of the data: the path of a unix socket must be short."""
    folder = Path(tempfile.gettempdir())
    return {
        f"{server}.localSocket": folder / f"lading-weed-{server}-{port}.sock"
        for server in ("filer", "s3")
    }


_PORTS = tuple(
    name
    for server in ("master", "volume", "filer", "admin", "s3")
    for name in (f"{server}.port", f"{server}.port.grpc")
    if name != "s3.port"
)


def _until_ready(child: Child, port: int, output: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(port):
        assert child.poll() is None, output.read_text(errors="replace")[-4000:]
        assert time.monotonic() < deadline, output.read_text(errors="replace")[-4000:]
        time.sleep(0.05)


def _answers(port: int) -> bool:
    """Whether it refuses a request that nobody signed, as it does when all its parts are up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 403
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
