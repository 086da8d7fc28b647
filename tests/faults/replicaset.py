"""Three mongods that are one replica set, on the loopback interface.

It owns their life and knows which of them is the primary. It refuses to know what they hold.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from tests.faults.inspector import eventually
from tests.faults.processes import Mongod

NAME = "faults"
MEMBERS = 3

USUAL = {
    "electionTimeoutMillis": 10_000,
    "heartbeatIntervalMillis": 2_000,
    "heartbeatTimeoutSecs": 3,
    "catchUpTimeoutMillis": 3_000,
}
QUICK = {
    "electionTimeoutMillis": 2_000,
    "heartbeatIntervalMillis": 500,
    "heartbeatTimeoutSecs": 1,
    "catchUpTimeoutMillis": 1_000,
}
"""When the members miss a silent primary and elect another: MongoDB's own choice with what
docs/operations.md advises, and one with which more trials fit into an hour. A silent member must be
missed before another is elected, or the third may still choose it to copy from."""

HEAL_SECONDS = 300.0


class ReplicaSet:
    """`async with ReplicaSet(folder) as replicas`: all three are up and one is the primary."""

    def __init__(self, folder: Path) -> None:
        self.members = [
            Mongod(folder / f"m{number}", replica_set=NAME) for number in range(MEMBERS)
        ]
        self._stack = AsyncExitStack()
        self._client: AsyncMongoClient[dict[str, Any]] | None = None

    @property
    def url(self) -> str:
        """The address of the set, without the name of a database."""
        hosts = ",".join(member.host for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={NAME}"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for member in self.members:
                await stack.enter_async_context(member)
            await self._initiate()
            self._client = AsyncMongoClient(self.url, serverSelectionTimeoutMS=2_000)
            stack.push_async_callback(self._client.close)
            await self.heal()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def _initiate(self) -> None:
        first = self.members[0]
        members = [{"_id": number, "host": each.host} for number, each in enumerate(self.members)]
        config = {"_id": NAME, "members": members, "settings": QUICK}
        async with AsyncMongoClient[dict[str, Any]](first.host, directConnection=True) as client:
            await client.admin.command("replSetInitiate", config)

    async def _admin(self, *command: Any) -> dict[str, Any]:
        assert self._client is not None
        answer: dict[str, Any] = await self._client.admin.command(*command)
        return answer

    async def set_patience(self, patience: dict[str, int]) -> None:
        """How soon the members miss a silent primary: USUAL or QUICK."""
        config = (await self._admin("replSetGetConfig"))["config"]
        if not patience.items() <= config["settings"].items():
            config["settings"] |= patience
            config["version"] += 1
            await self._admin("replSetReconfig", config)

    async def states(self) -> dict[str, str]:
        """What each member is, as the primary sees it; empty while there is none."""
        try:
            status = await self._admin("replSetGetStatus")
        except PyMongoError:
            return {}
        return {member["name"]: member["stateStr"] for member in status["members"]}

    async def primary(self) -> Mongod:
        """The member that takes writes."""
        assert self._client is not None
        hello = await self._admin("hello")
        return next(member for member in self.members if member.host == hello["me"])

    async def heal(self) -> None:
        """Wait until one member is the primary and the others copy from it.

        One kill too early takes the set minutes to heal from. A member that says it is a secondary
        may still be rolling back, or looking for one to copy from: if that one stops now, it waits
        for 30 s.
        """

        async def whole() -> bool:
            states = sorted((await self.states()).values())
            return states == ["PRIMARY", *["SECONDARY"] * (MEMBERS - 1)] and await self._copied()

        await eventually(whole, HEAL_SECONDS)

    async def _copied(self) -> bool:
        """Whether something that is written now reaches all members."""
        assert self._client is not None
        everywhere = WriteConcern(w=MEMBERS, j=True, wtimeout=5_000)
        place = self._client["healing"].get_collection("marks", write_concern=everywhere)
        try:
            await place.insert_one({})
        except PyMongoError:
            return False
        return True
