"""A SeaweedFS of several programs: three volume servers, of which two have each byte."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.children import free_port
from tests.support.seaweedfs import HERE, SeaweedFS, Weed, identities, make_bucket

REPLICATION = "001"
"""Each byte is on one more server of the same rack."""

COUNT = 3

VOLUME_MB = 64

SMALL = ("-max=40", "-index=memory", "-minFreeSpace=1")


@dataclass(frozen=True)
class Cluster:
    """Its S3, the addresses of its master, and its volume servers."""

    s3: SeaweedFS
    master: str
    volumes: list[Weed]

    def is_whole(self) -> bool:
        """Whether the master knows all volume servers."""
        return len(self._nodes()) == COUNT

    def _nodes(self) -> list[Any]:
        with urllib.request.urlopen(f"http://{self.master}/dir/status", timeout=5) as answer:
            topology: dict[str, Any] = json.load(answer)["Topology"]
        return [
            node
            for center in topology.get("DataCenters") or ()
            for rack in center.get("Racks") or ()
            for node in rack.get("DataNodes") or ()
        ]


@contextmanager
def cluster(data: Path) -> Iterator[Cluster]:
    """Run one on the directory `data`."""
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="lw-") as sockets:

        def run(name: str, *words: str) -> tuple[Weed, int, str]:
            """A program, its port, and its address as the others want it."""
            folder, port, grpc = data / name, free_port(), free_port()
            folder.mkdir()
            kind = name.partition(".")[0]
            ports = (f"-port={port}", f"-port.grpc={grpc}")
            placed = (word.format(folder=folder, sockets=sockets) for word in words)
            weed = Weed([kind, *HERE, *ports, *placed], folder / "output")
            stack.callback(weed.kill)
            return weed, port, f"127.0.0.1:{port}.{grpc}"

        _, port, master = run(
            "master",
            "-mdir={folder}",
            f"-defaultReplication={REPLICATION}",
            f"-volumeSizeLimitMB={VOLUME_MB}",
            "-peers=none",
            "-telemetry=false",
        )
        volumes = [
            run(f"volume.{number}", "-dir={folder}", f"-master={master}", *SMALL)[0]
            for number in range(COUNT)
        ]
        _, _, filer = run(
            "filer",
            f"-master={master}",
            "-defaultStoreDir={folder}",
            f"-defaultReplicaPlacement={REPLICATION}",
            "-localSocket={sockets}/filer",
        )
        weed, s3_port, _ = run(
            "s3",
            f"-filer={filer}",
            f"-config={identities(data)}",
            "-localSocket={sockets}/s3",
            "-port.iceberg=0",
            "-port.lance=0",
            "-autoCreateBucket=false",
        )
        made = Cluster(SeaweedFS(s3_port, data, weed), f"127.0.0.1:{port}", volumes)
        made.s3.until_ready()
        make_bucket(made.s3)
        yield made
