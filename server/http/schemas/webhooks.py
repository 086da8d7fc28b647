"""Webhooks and their deliveries. Source: page 12 of the design, webhooks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from lading.protocol.webhooks import TEST, Event
from lading.server.http.schemas import types
from lading.server.webhooks.addresses import MAX_URL

Url = Annotated[
    str,
    Field(
        json_schema_extra={"maxLength": MAX_URL, "pattern": "^https?://"},
        description="Where events are sent, such as `https://example.org/hook`.",
    ),
]
Events = Annotated[
    list[str],
    Field(
        json_schema_extra={
            "items": {"type": "string", "enum": [str(each) for each in Event]},
            "minItems": 1,
        },
        description="The events to send.",
    ),
]
EventName = Annotated[str, Field(json_schema_extra={"enum": [*map(str, Event), TEST]})]


class AddWebhook(types.RequestBody):
    """A webhook to add."""

    url: Url
    events: Events


class ChangeWebhook(types.RequestBody):
    """The changes to a webhook; fields that are left out keep their values."""

    url: Url | None = None
    events: Events | None = None
    enabled: types.Truth | None = None


class Webhook(TypedDict):
    """An address that events are sent to."""

    id: types.Id
    url: str
    events: list[EventName]
    enabled: bool
    created_at: types.Moment
    disabled_at: Annotated[types.Moment | None, Field(description="null while it is enabled")]
    disabled_because: Annotated[str | None, Field(description="Why it is disabled.")]


class NewWebhook(Webhook):
    """A webhook that was added, with its secret, which is shown this once."""

    secret: Annotated[
        str, Field(pattern="^whsec_", description="What deliveries are signed with. Keep it.")
    ]


class WebhookList(TypedDict):
    """All webhooks, the oldest first."""

    webhooks: list[Webhook]


class Delivery(TypedDict):
    """One event for one webhook, and what became of it."""

    id: types.Id
    message_id: Annotated[str, Field(description="The `webhook-id` of every try.")]
    event: EventName
    file_id: Annotated[types.Id | None, Field(description="The file that it is about, if any.")]
    state: Literal["pending", "delivered", "failed"]
    tries: Annotated[int, Field(ge=0)]
    created_at: types.Moment
    tried_at: Annotated[types.Moment | None, Field(description="When it was tried last.")]
    due_at: Annotated[types.Moment | None, Field(description="When it is tried next.")]
    status: Annotated[int | None, Field(description="The status of the last answer.")]
    error: Annotated[str | None, Field(description="Why the last try failed.")]
    seconds: Annotated[float | None, Field(description="How long the last try took.")]


class DeliveryList(TypedDict):
    """One page of deliveries, the newest first; `cursor` requests the next page."""

    deliveries: list[Delivery]
    cursor: Annotated[types.Id | None, Field(description="null on the last page")]
