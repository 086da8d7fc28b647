"""Answers on their way to a client: ranges of files, and what lets pages of other sites read."""

from __future__ import annotations

import os
from collections.abc import Callable

import httpx

from lading.doctor.bodies import NAME, remove
from lading.doctor.connection import opens_for
from lading.doctor.findings import Finding, failed, well
from lading.doctor.site import Site, check

START, END = 1000, 4999
"""The range that is asked for; the last byte is included."""

REDIRECTED = 307


async def try_range(site: Site, note: Callable[[Finding], None]) -> None:
    """Whether a part of a file can be fetched, as players do. The file is deleted then."""
    data = os.urandom(site.limits.file)
    made = await site.json("POST", f"/v1/files?name={NAME}", content=data)
    path = f"/v1/files/{made['_id']}"
    try:
        asked = {"Range": f"bytes={START}-{END}"}
        answer = await site.ask("GET", path, asked)
        if answer.status_code == REDIRECTED:
            answer = await site.fetch("GET", answer.headers["location"], asked)
        note(_range(answer, data))
    finally:
        await remove(site, path, note)


def _range(answer: httpx.Response, data: bytes) -> Finding:
    check(answer)
    if answer.status_code != 206:
        what = "a part of a file was asked for, and all of it came"
        return failed("range", f"{what} ({answer.status_code}): players cannot seek")
    if answer.content != data[START : END + 1]:
        return failed("range", "another part of the file came than was asked for")
    return well("range", "a part of a file came when it was asked for")


async def try_cors(site: Site, origin: str) -> Finding:
    """Whether pages of an origin may upload: by HTTP and by WebSocket."""
    preflight = await site.fetch(
        "OPTIONS",
        site.address.url + "/v1/uploads",
        {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    plain = await site.ask("GET", "/v1/usage", {"Origin": origin})
    for name, answer in (("OPTIONS", preflight), ("GET", plain)):
        allowed = answer.headers.get_list("access-control-allow-origin")
        if answer.status_code >= 300 or allowed not in ([origin], ["*"]):
            told = ", ".join(allowed) or "nothing"
            what = f"{name} is answered with {answer.status_code}"
            return failed("cors", f"{origin}: {what}, Access-Control-Allow-Origin: {told}")
    if not await opens_for(site, origin):
        return failed("cors", f"{origin}: a WebSocket of its pages is refused (403)")
    return well("cors", f"pages of {origin} may upload")
