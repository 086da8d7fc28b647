"""A real SeaweedFS for the tests: one node with an S3 endpoint on the loopback interface.

`weed` comes from its wheel. It is ended by SIGKILL, since it takes more than 20 s to end by
itself, and with the process of the tests, in whatever way that ends.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lading.storage.blobs.s3_client import S3Client, S3Error, S3Options
from tests.support.children import free_port, start

READY_SECONDS = 60.0

REGION = "us-east-1"

BUCKET = "files"
"""The bucket that each node has from the start. Tests use prefixes of their own in it: each further
bucket takes volumes, and a node has a limit of these."""

HERE = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")

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


class Weed:
    """A server of `weed`, which may be killed or paused, and goes on with the same data."""

    def __init__(self, words: Sequence[str], output: Path) -> None:
        self._command = [str(program()), "-logtostderr", *words]
        self._output = output
        self._child = start(self._command, output)

    def start(self) -> None:
        """Start it again."""
        self._child = start(self._command, self._output)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._child.kill()
        self._child.wait()

    def pause(self) -> None:
        """Stop it where it is; its connections stay open."""
        self._child.send_signal(signal.SIGSTOP)

    def unpause(self) -> None:
        """Let it go on."""
        self._child.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Raise unless it runs."""
        assert self._child.poll() is None, self.said

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._output.read_text(errors="replace")[-4000:]


@dataclass(frozen=True)
class SeaweedFS:
    """An S3 that takes requests at `port`; `weed` is the program that answers them."""

    port: int
    data: Path
    weed: Weed

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def options(self, keys: Keys = OWNER, url: str | None = None) -> S3Options:
        """How a client reaches it, or with `url` something before it."""
        return S3Options(url or self.url, REGION, True, (keys.access, keys.secret))

    def settings(self, url: str | None = None) -> dict[str, object]:
        """The settings of a server, named as `tests.support.servers.process` wants them."""
        return {"s3_endpoint": url or self.url, "s3_region": REGION, "s3_path_style": "true"}

    def until_ready(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(self.port):
            self.weed.check()
            assert time.monotonic() < deadline, self.weed.said
            time.sleep(0.05)


def program() -> Path:
    """The `weed` beside this Python."""
    return Path(sys.executable).parent / "weed"


@contextmanager
def seaweedfs(data: Path) -> Iterator[SeaweedFS]:
    """Run a node on the directory `data`."""
    data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    weed = Weed(_words(data, identities(data), port), data / "output")
    try:
        running = SeaweedFS(port, data, weed)
        running.until_ready()
        make_bucket(running)
        yield running
    finally:
        weed.kill()
        for path in _sockets(port).values():
            path.unlink(missing_ok=True)


def identities(data: Path) -> Path:
    """Write who may do what into a file for `weed`."""
    path = data / "identities.json"
    path.write_text(json.dumps(_IDENTITIES))
    return path


def make_bucket(store: SeaweedFS) -> None:
    """Make the bucket, if it is not there."""
    with ThreadPoolExecutor(1) as thread:  # the caller may be in a loop
        thread.submit(asyncio.run, _make_bucket(store.options())).result()


async def _make_bucket(options: S3Options) -> None:
    client = S3Client(BUCKET, options)
    try:
        await client.call("create_bucket")
    except S3Error as error:
        if error.s3_code not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            raise
    finally:
        await client.close()


def _words(data: Path, identities: Path, port: int) -> list[str]:
    command = ["mini", f"-dir={data}", *HERE, f"-s3.config={identities}"]
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
