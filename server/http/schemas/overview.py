"""What all users do, for admins."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from lading.server.http.schemas import types
from lading.server.http.schemas.files import Manifest

Count = Annotated[int, Field(ge=0)]


class Connections(TypedDict):
    """What is open now, in all processes of this server."""

    http: Count
    websocket: Count
    streams: Annotated[int, Field(ge=0, description="Streams of events, which are HTTP, too.")]


class Traffic(TypedDict):
    """Bytes since this server began; two looks give a rate."""

    received: types.Size
    sent: types.Size
    stored: Annotated[types.Size, Field(description="Bytes of pieces that became durable.")]


class UploadCounts(TypedDict):
    """Uploads since this server began, by what became of them."""

    begun: Count
    finished: Count
    aborted: Count
    expired: Count


class Backlog(TypedDict):
    """What is left to do, at most 10,000."""

    left: Count
    oldest_seconds: Annotated[float, Field(ge=0)]


class Sweeping(TypedDict):
    """What the janitor of this server did since it began; of all servers one sweeps."""

    sweeps: Count
    expired: Count
    emptied: Count
    purged: Count
    failed: Count


class Overview(TypedDict):
    """The state of this server and its database."""

    at: types.Moment
    version: str
    connections: Connections
    requests: Annotated[int, Field(ge=0, description="HTTP requests since this server began.")]
    traffic: Traffic
    uploads: UploadCounts
    outbox: Annotated[Backlog | None, Field(description="null if the database does not answer")]
    webhooks: Annotated[Backlog | None, Field(description="Deliveries that are pending.")]
    webhooks_disabled: Count
    janitor: Sweeping
    free_space: Annotated[
        dict[str, int], Field(description="Bytes left by disk: `database`, `directory`.")
    ]


class AllUploads(TypedDict):
    """Unfinished uploads of all users, those first that were active last."""

    uploads: list[Manifest]
    more: Annotated[bool, Field(description="Whether there are more than were asked for.")]
