"""The operations of a database one by one, so that a test can step in between any two of them.

It owns counting: a crash before an operation, an answer lost after it, another's work in between.
It refuses to know what the operations are for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.errors import AutoReconnect

from lading.storage.database import Database, connect

Action = Callable[[], Awaitable[object]]

_OPERATIONS = (
    "insert_one",
    "insert_many",
    "bulk_write",
    "find_one",
    "find_one_and_update",
    "update_one",
    "update_many",
    "count_documents",
    "delete_one",
    "delete_many",
    "replace_one",
)
_READS = ("find", "find_one", "count_documents")


class Crash(Exception):
    """The process ended here, as far as the code under test is concerned."""


class Steps(Database):
    """A database whose operations are numbered from 1 on, in the order in which they begin."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.manifests = _Collection(self.manifests, self)
        self.chunks = _Collection(self.chunks, self)
        self.quotas = _Collection(self.quotas, self)
        self.pictures = _Collection(self.pictures, self)
        self.leases = _Collection(self.leases, self)
        self.tags = _Collection(self.tags, self)
        self.webhooks = _Collection(self.webhooks, self)
        self.deliveries = _Collection(self.deliveries, self)
        self.taken = 0
        """How many operations began."""
        self._before: dict[int, Action] = {}
        self._lost: set[int] = set()
        self._lose_writes = 0
        self._run = 0

    def before(self, number: int, action: Action) -> None:
        """Do something between this operation and the one before it."""
        self._before[self.taken + number] = action

    def crash_before(self, number: int) -> None:
        """From this operation on none reaches the database."""

        async def crash() -> None:
            self._before[self.taken + 1] = crash
            raise Crash

        self.before(number, crash)

    def recover(self) -> None:
        """Operations reach the database again, and their answers come."""
        self._before.clear()
        self._lost.clear()
        self._lose_writes = 0

    def lose(self, number: int) -> None:
        """Carry this operation out, then break the connection before its answer."""
        self._lost.add(self.taken + number)

    def lose_every_write(self, times: int = 1) -> None:
        """Lose the answers of so many writes in a row, then let one through, and so on."""
        self._lose_writes = times
        self._run = 0

    async def run(self, name: str, operation: Action) -> Any:
        """Carry an operation out, with all that was asked for around it."""
        self.taken += 1
        number = self.taken
        action = self._before.pop(number, None)
        if action is not None:
            await action()
        result = await operation()
        if number in self._lost or (name not in _READS and self._loses_this_write()):
            raise AutoReconnect("the connection broke before the answer")
        return result

    def _loses_this_write(self) -> bool:
        if not self._lose_writes:
            return False
        self._run = (self._run + 1) % (self._lose_writes + 1)
        return self._run != 0


class _Collection:
    def __init__(self, collection: Any, steps: Steps) -> None:
        self._collection = collection
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._collection, name)
        if name not in _OPERATIONS:
            return found

        async def operation(*arguments: Any, **options: Any) -> Any:
            return await self._steps.run(name, lambda: found(*arguments, **options))

        return operation

    def find(self, *arguments: Any, **options: Any) -> _Cursor:
        return _Cursor(self._collection.find(*arguments, **options), self._steps)


class _Cursor:
    def __init__(self, cursor: Any, steps: Steps) -> None:
        self._cursor = cursor
        self._steps = steps

    def sort(self, *arguments: Any) -> _Cursor:
        return _Cursor(self._cursor.sort(*arguments), self._steps)

    def limit(self, most: int) -> _Cursor:
        return _Cursor(self._cursor.limit(most), self._steps)

    async def to_list(self, most: int | None) -> Any:
        return await self._steps.run("find", lambda: self._cursor.to_list(most))


def stepped(database_url: str) -> Steps:
    """A database to step through, with a client of its own."""
    return Steps(connect(database_url))
