"""`/v1/webhooks`: who hears of which events, and what was delivered; for admins."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import Forbidden, NotFound
from lading.protocol.spec import check_id
from lading.protocol.webhooks import Event
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter
from lading.server.http.routes.file_list import page_size
from lading.server.http.schemas.types import moment
from lading.server.services import services
from lading.server.urls import webhook_url
from lading.server.webhooks.manage import WebhookAdmin
from lading.storage.collections.audit import Act
from lading.storage.collections.deliveries import Delivery, State
from lading.storage.collections.webhooks import Webhook

api = Operations("Webhooks")

_OF_FILES = (
    Event.FILE_READY,
    Event.FILE_REPLACED,
    Event.FILE_DERIVED,
    Event.FILE_TRASHED,
    Event.FILE_RESTORED,
    Event.FILE_DELETED,
    Event.UPLOAD_EXPIRED,
)

STATE = Parameter(
    "state",
    "Only deliveries in this state.",
    {"type": "string", "enum": [str(each) for each in State]},
)


async def _as_admin(request: Request) -> WebhookAdmin:
    return (await _admin(request))[0]


async def _admin(request: Request) -> tuple[WebhookAdmin, Principal]:
    server = services(request)
    principal = await server.principal(request)
    if not principal.admin:
        raise Forbidden("Only an admin can manage webhooks.")
    return server.webhooks, principal


async def _note(request: Request, act: Act, principal: Principal, webhook_id: str) -> None:
    await services(request).uploads.audit.note(act, principal, detail=webhook_id)


def _shown(webhook: Webhook) -> schemas.webhooks.Webhook:
    disabled_at = webhook.disabled_at
    return schemas.webhooks.Webhook(
        id=webhook.id,
        url=webhook.url,
        events=list(webhook.events),
        enabled=webhook.enabled,
        created_at=moment(webhook.created_at),
        disabled_at=None if disabled_at is None else moment(disabled_at),
        disabled_because=webhook.disabled_because,
    )


def _delivery(found: Delivery) -> schemas.webhooks.Delivery:
    return schemas.webhooks.Delivery(
        id=found.id,
        message_id=found.message_id,
        event=found.event,
        file_id=found.subject if found.event in _OF_FILES else None,
        state=found.state.value,
        tries=found.tries,
        created_at=moment(found.created_at),
        tried_at=None if found.tried_at is None else moment(found.tried_at),
        due_at=moment(found.due_at) if found.state is State.PENDING else None,
        status=found.status,
        error=found.error,
        seconds=found.seconds,
    )


@api.operation(
    "POST /v1/webhooks",
    "addWebhook",
    common.created(
        schemas.webhooks.NewWebhook,
        "The webhook with its secret, which is shown this once.",
        "The address of the webhook.",
        dict.fromkeys(
            ("getWebhook", "changeWebhook", "deleteWebhook", "testWebhook", "listDeliveries"),
            "/id",
        ),
    ),
    body=common.json_body(
        schemas.webhooks.AddWebhook,
        {"url": "https://example.org/hook", "events": ["file.ready", "file.deleted"]},
    ),
)
async def add(request: Request) -> Answer:
    """Send events to an address from now on.

    Only an admin can do this. Other processes and servers know of it a few seconds later.
    """
    admin, principal = await _admin(request)
    body = await read_json(request, schemas.webhooks.AddWebhook)
    webhook = await admin.add(body.url, body.events)
    await _note(request, Act.WEBHOOK_ADDED, principal, webhook.id)
    shown = schemas.webhooks.NewWebhook(**_shown(webhook), secret=webhook.secret)
    return Answer(shown, 201, webhook_url(services(request).settings, webhook.id))


@api.operation(
    "GET /v1/webhooks",
    "listWebhooks",
    common.ok(schemas.webhooks.WebhookList, "All webhooks."),
)
async def listing(request: Request) -> schemas.webhooks.WebhookList:
    """List the webhooks.

    Only an admin can do this.
    """
    found = await (await _as_admin(request)).all()
    return schemas.webhooks.WebhookList(webhooks=[_shown(each) for each in found])


@api.operation(
    "GET /v1/webhooks/{id}",
    "getWebhook",
    common.ok(schemas.webhooks.Webhook, "The webhook."),
    problems=(NotFound,),
)
async def show(request: Request) -> schemas.webhooks.Webhook:
    """Return one webhook.

    Only an admin can do this.
    """
    return _shown(await (await _as_admin(request)).get(request.path_params["id"]))


@api.operation(
    "PATCH /v1/webhooks/{id}",
    "changeWebhook",
    common.ok(schemas.webhooks.Webhook, "The changed webhook."),
    body=common.json_body(schemas.webhooks.ChangeWebhook, {"enabled": True}),
    problems=(NotFound,),
)
async def change(request: Request) -> schemas.webhooks.Webhook:
    """Change a webhook, disable it or enable it.

    A webhook that is enabled again gets what it missed while the log still has it. Only an admin
    can do this.
    """
    admin, principal = await _admin(request)
    body = await read_json(request, schemas.webhooks.ChangeWebhook)
    webhook = await admin.change(
        request.path_params["id"], url=body.url, events=body.events, enabled=body.enabled
    )
    await _note(request, Act.WEBHOOK_CHANGED, principal, webhook.id)
    return _shown(webhook)


@api.operation(
    "DELETE /v1/webhooks/{id}",
    "deleteWebhook",
    common.no_content("The webhook and its log are gone."),
    problems=(NotFound,),
)
async def remove(request: Request) -> None:
    """Remove a webhook with its log; what is pending is not sent.

    Only an admin can do this.
    """
    admin, principal = await _admin(request)
    webhook_id = request.path_params["id"]
    await admin.remove(webhook_id)
    await _note(request, Act.WEBHOOK_REMOVED, principal, webhook_id)


@api.operation(
    "POST /v1/webhooks/{id}/test",
    "testWebhook",
    common.ok(schemas.webhooks.Delivery, "What became of it."),
    body=common.json_body(schemas.types.NoFields, {}, required=False),
    problems=(NotFound,),
)
async def test(request: Request) -> schemas.webhooks.Delivery:
    """Send the event `webhook.test` once, now, and return what became of it.

    Only an admin can do this. A disabled webhook gets it, too.
    """
    admin = await _as_admin(request)
    await read_json(request, schemas.types.NoFields)
    return _delivery(await admin.test(request.path_params["id"]))


@api.operation(
    "GET /v1/webhooks/{id}/deliveries",
    "listDeliveries",
    common.ok(schemas.webhooks.DeliveryList, "One page of deliveries."),
    parameters=(STATE, common.LIMIT, common.CURSOR),
    problems=(NotFound,),
)
async def log(request: Request) -> schemas.webhooks.DeliveryList:
    """List a webhook's deliveries, the newest first: those that are pending, and the log.

    A delivery stays in the log for 7 days after its end. Only an admin can do this.
    """
    admin, query = await _as_admin(request), request.query_params
    cursor = query.get("cursor")
    if cursor is not None:
        check_id(cursor)
    most = page_size(query.get("limit"))
    state = None if "state" not in query else State(query["state"])
    found = await admin.log(request.path_params["id"], state=state, before=cursor, most=most + 1)
    page = found[:most]
    return schemas.webhooks.DeliveryList(
        deliveries=[_delivery(each) for each in page],
        cursor=page[-1].id if len(found) > most else None,
    )
