"""Where bytes live: the driver of each address that a manifest may name.

An address is `mongo`, `file:///directory` or `s3://bucket/prefix`. New files get the present home;
older ones are read wherever their manifests say, so a changed setting strands nothing: a driver
is opened when it is first needed. Source: page 9 of the design, "Two questions, two answers".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lading.storage.blobs.base import Blobs, Ingest

MONGO = "mongo"

Wrap = Callable[[Blobs], Blobs]


def scheme(address: str) -> str:
    """The kind of a home: `mongo`, `file` or `s3`."""
    return address.partition(":")[0]


def path_of(address: str) -> str:
    """The path of a home `file:///directory`."""
    return address.removeprefix("file://")


def ingest_of(home: str) -> str:
    """The address of the store that takes the pieces of files which will live at `home`."""
    return MONGO if scheme(home) == "s3" else home


class Homes(Mapping[str, Blobs]):
    """The drivers by address, opened on first use.

    `open_driver` returns the driver of an address, and raises KeyError for an address that no
    driver knows. `wrap` puts the wrappers around it.
    """

    def __init__(self, home: str, open_driver: Callable[[str], Blobs], wrap: Wrap) -> None:
        self.home = home
        self.ingest = ingest_of(home)
        self._open = open_driver
        self._wrap = wrap
        self._bare: dict[str, Blobs] = {}
        self._wrapped: dict[str, Blobs] = {}
        for address in (self.home, self.ingest):
            self.bare(address)

    def __getitem__(self, address: str) -> Blobs:
        if address not in self._wrapped:
            self._wrapped[address] = self._wrap(self.bare(address))
        return self._wrapped[address]

    def bare(self, address: str) -> Blobs:
        """The driver itself, for what it can do beyond the interface (see `Traits`)."""
        if address not in self._bare:
            self._bare[address] = self._open(address)
        return self._bare[address]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._bare))

    def __len__(self) -> int:
        return len(self._bare)

    def ingest_driver(self, address: str) -> Ingest:
        """The driver that takes pieces at an address."""
        driver = self[address]
        assert isinstance(driver, Ingest)
        return driver

    async def close(self) -> None:
        """Close what the drivers hold open."""
        for driver in self._bare.values():
            close = getattr(driver, "close", None)
            if close is not None:
                await close()
