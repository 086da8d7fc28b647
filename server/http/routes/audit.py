"""`/v1/audit`: who did what; for admins."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import Forbidden
from lading.protocol.spec import MAX_USER_ID, check_id, check_text
from lading.server.http import schemas
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter, Schema
from lading.server.http.routes.file_list import page_size
from lading.server.http.schemas.types import NO_NUL, moment
from lading.server.services import services
from lading.storage.collections.audit import Act, Entry

api = Operations("Audit")

_USER: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID, "pattern": NO_NUL}

FILTERS = (
    Parameter("act", "Only this.", {"type": "string", "enum": [str(each) for each in Act]}),
    Parameter("user_id", "Only what this user or admin did.", _USER),
    Parameter("owner", "Only what was done to files, or the account, of this user.", _USER),
    Parameter("file_id", "Only what was done to this file.", common.CURSOR.schema),
)


def _shown(entry: Entry) -> schemas.audit.Entry:
    return schemas.audit.Entry(
        id=entry.id,
        at=moment(entry.at),
        act=entry.act,
        user_id=entry.user_id,
        owner=entry.owner,
        file_id=entry.file_id,
        name=entry.name,
        grant_id=entry.grant_id,
        request_id=entry.request_id,
        detail=entry.detail,
    )


@api.operation(
    "GET /v1/audit",
    "listAudit",
    common.ok(schemas.audit.EntryList, "One page of entries."),
    parameters=(*FILTERS, common.LIMIT, common.CURSOR),
)
async def listing(request: Request) -> schemas.audit.EntryList:
    """List who did what, the newest first.

    Entries are kept for `LADING_AUDIT_TTL`. Only an admin can do this.
    """
    server, query = services(request), request.query_params
    if not (await server.principal(request)).admin:
        raise Forbidden("Only an admin can read the audit log.")
    wanted = {each.name: query[each.name] for each in FILTERS if each.name in query}
    for name in ("user_id", "owner"):
        if name in wanted:
            check_text(name, wanted[name], MAX_USER_ID, empty=False)
    if "file_id" in wanted:
        check_id(wanted["file_id"])
    cursor = query.get("cursor")
    before = None if cursor is None else check_id(cursor)
    most = page_size(query.get("limit"))
    found = await server.uploads.audit.log.page(wanted, before=before, most=most + 1)
    page = found[:most]
    return schemas.audit.EntryList(
        entries=[_shown(each) for each in page],
        cursor=page[-1].id if len(found) > most else None,
    )
