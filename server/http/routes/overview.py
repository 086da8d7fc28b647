"""`/v1/overview`: what the whole server does, and what all users have open; for admins."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import Forbidden
from lading.protocol.spec import check_id
from lading.server.http import schemas
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.http.routes.file_list import page_size
from lading.server.http.schemas.types import moment
from lading.server.metrics.exposition import Numbers
from lading.server.services import Services, services
from lading.version import VERSION

api = Operations("Overview")


async def _as_admin(request: Request) -> Services:
    server = services(request)
    if not (await server.principal(request)).admin:
        raise Forbidden("Only an admin can see what all users do.")
    return server


@api.operation(
    "GET /v1/overview", "getOverview", common.ok(schemas.overview.Overview, "The state now.")
)
async def show(request: Request) -> schemas.overview.Overview:
    """Return the state of the server: connections, traffic, the outbox, the janitor.

    The numbers are those of the metrics. Only an admin can do this.
    """
    server = await _as_admin(request)
    found = await server.exposition.numbers()

    def count(name: str, label: str = "") -> int:
        return round(found.get((f"lading_{name}", label), 0.0))

    return schemas.overview.Overview(
        at=moment(server.clock()),
        version=VERSION,
        connections=schemas.overview.Connections(
            http=count("connections", "http"),
            websocket=count("connections", "websocket"),
            streams=count("event_streams"),
        ),
        requests=found.total("lading_http_requests_total"),
        traffic=schemas.overview.Traffic(
            received=found.total("lading_received_bytes_total"),
            sent=found.total("lading_sent_bytes_total"),
            stored=count("acknowledged_bytes_total"),
        ),
        uploads=schemas.overview.UploadCounts(
            begun=count("uploads_total", "begun"),
            finished=count("uploads_total", "finished"),
            aborted=count("uploads_total", "aborted"),
            expired=count("uploads_total", "expired"),
        ),
        outbox=_backlog(found, "outbox"),
        webhooks=_backlog(found, "webhook"),
        webhooks_disabled=count("webhooks_disabled"),
        janitor=schemas.overview.Sweeping(
            sweeps=count("janitor_sweeps_total"),
            expired=count("janitor_work_total", "expired"),
            emptied=count("janitor_work_total", "emptied"),
            purged=count("janitor_work_total", "purged"),
            failed=count("janitor_work_total", "failed"),
        ),
        free_space=found.of("lading_free_space_bytes"),
    )


def _backlog(found: Numbers, name: str) -> schemas.overview.Backlog | None:
    left = found.get((f"lading_{name}_backlog", ""))
    if left is None:
        return None
    age = found.get((f"lading_{name}_oldest_age_seconds", ""), 0.0)
    return schemas.overview.Backlog(left=round(left), oldest_seconds=round(age, 1))


@api.operation(
    "GET /v1/overview/uploads",
    "listAllUploads",
    common.ok(schemas.overview.AllUploads, "The uploads."),
    parameters=(common.LIMIT,),
)
async def uploads(request: Request) -> schemas.overview.AllUploads:
    """List the unfinished uploads of all users, those first that were active last.

    Only an admin can do this. `upload_size` lags behind by about a second.
    """
    server = await _as_admin(request)
    most = page_size(request.query_params.get("limit"))
    found = await server.uploads.all_unfinished(most + 1)
    return schemas.overview.AllUploads(
        uploads=[schemas.files.manifest_of(each) for each in found[:most]],
        more=len(found) > most,
    )


@api.operation(
    "GET /v1/overview/grants",
    "listAllGrants",
    common.ok(schemas.grants.GrantList, "One page of grants."),
    parameters=(common.LIMIT, common.CURSOR),
)
async def grants(request: Request) -> schemas.grants.GrantList:
    """List the grants of all users that are in force, the newest first.

    Only an admin can do this.
    """
    server = await _as_admin(request)
    cursor = request.query_params.get("cursor")
    before = None if cursor is None else check_id(cursor)
    most = page_size(request.query_params.get("limit"))
    found = await server.grants.in_force(server.clock(), before=before, most=most + 1)
    return schemas.grants.GrantList(
        grants=[schemas.grants.grant_of(each) for each in found[:most]],
        cursor=found[most - 1].id if len(found) > most else None,
    )
