"""The child's program: it decodes, and is trusted by nobody.

Run as `python -I -m lading.imaging.child PARENT LIMITS`, where LIMITS is what `ImagingLimits` says,
as JSON. It gives up what `sandbox.py` lists, then does one job after the other until its standard
input ends. What is wrong with a file is said; whatever goes wrong beyond that ends the process,
and the server starts another one.
"""

from __future__ import annotations

import gc
import json
import os
import sys

from lading.imaging import pipe, sandbox
from lading.imaging.limits import ImagingLimits


class Channel:
    """Messages on the two pipes."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def receive(self) -> bytes:
        """The next message; SystemExit when the server has closed the pipe."""
        (length,) = pipe.LENGTH.unpack(self._exactly(pipe.LENGTH.size))
        return self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self._incoming, size)
            if not part:
                raise SystemExit
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def send(self, frame: bytes) -> None:
        """Send a message whole."""
        left = memoryview(frame)
        while left:
            left = left[os.write(self._outgoing, left) :]

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the job's file."""
        self.send(pipe.frame(pipe.READ, start, end))
        return pipe.read_data(self.receive())


def main() -> None:
    """Serve the process that started this one."""
    parent, limits = int(sys.argv[1]), ImagingLimits(**json.loads(sys.argv[2]))
    incoming, outgoing = sandbox.take_pipes()
    channel = Channel(incoming, outgoing)
    try:
        network = sandbox.detach(parent)
        from lading.imaging import work  # after `detach`, which wants one thread

        video = work.load()
        filtered, user = sandbox.confine(limits, parent)
    except Exception as error:
        channel.send(pipe.frame(pipe.REFUSED, f"{type(error).__name__}: {error}"))
        raise SystemExit(1) from error
    gc.collect()
    gc.freeze()  # so that what was loaded is not looked through again after each job
    channel.send(pipe.frame(pipe.HELLO, network, filtered, user, video))
    while True:
        job = pipe.read_job(channel.receive())
        sandbox.allow_seconds(limits.cpu_seconds)
        work.carry_out(job, channel, limits)
        gc.collect()


if __name__ == "__main__":
    main()
