"""Ten thousand mutations of the samples of each loader, and every length of them in per cent.

    python -m tests.imaging.fuzz [--count 10000] [--seed 0] [--children 2] [LOADER …]

It fails when this process grows, when a child is left behind, or when a good file is not read in
between. A crash of a decoder is what the sandbox is for: it is counted, and its seed is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog

from lading.imaging.ladder import Variant
from lading.imaging.worker import Imager
from lading.protocol.errors import Unavailable, UnprocessableImage
from tests.imaging import hostile
from tests.support.imaging import Bytes

MOST_GROWTH = 16 * 2**20
"""How much this process may grow, in bytes."""


def resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError


async def one(imager: Imager, data: bytes) -> str:
    """What becomes of a file: `made`, `nothing`, or why it is refused."""
    try:
        made = await imager.make(Bytes(data), [Variant(3)])
    except UnprocessableImage as error:
        return str(error)[:60]
    except Unavailable:
        return "unavailable"
    return "made" if made.pictures else "nothing"


async def fuzz(loader: str, count: int, seed: int, children: int) -> Counter[str]:
    """All mutations of one sample; returns how often what became of them."""
    data = hostile.sample(loader)
    imager, found = Imager(children), Counter[str]()
    files = [hostile.truncated(data, percent) for percent in range(1, 100)]
    numbers = iter(range(-len(files), count))

    async def work() -> None:
        for number in numbers:
            file = files[number] if number < 0 else hostile.mutated(data, seed + number)
            answer = await one(imager, file)
            found[answer] += 1
            if "decoder" in answer or "longer" in answer:
                print(f"{loader}: {number if number < 0 else seed + number}: {answer}", flush=True)

    try:
        good = await one(imager, data)
        before = resident()
        await asyncio.gather(*(work() for _ in range(children)))
        assert await one(imager, data) == good in ("made", "nothing"), "a good file is not read"
        grown = resident() - before
        assert grown <= MOST_GROWTH, f"{loader}: grown by {grown >> 20} MiB"
    finally:
        await imager.close()
    assert not imager.memory(), "a child is left behind"
    return found


def main(arguments: Sequence[str]) -> None:
    """Fuzz the loaders that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.imaging.fuzz")
    parser.add_argument("loaders", nargs="*", choices=[*hostile.LOADERS, []])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--children", type=int, default=2)
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for loader in options.loaders or hostile.LOADERS:
        began = time.monotonic()
        found = asyncio.run(fuzz(loader, options.count, options.seed, options.children))
        print(
            f"{loader}: {found.total()} in {time.monotonic() - began:.0f} s: {dict(found)}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
