"""Descriptions of usage, sessions, health and the pages."""

from __future__ import annotations

from lading.protocol.errors import NotFound, ShuttingDown, Unavailable
from lading.server.http import answers, models
from lading.server.http.describe import ANYTHING, JSON, Operation, Reply, header, json_body, one

HTML = {"text/html": {"type": "string"}}


def _file(name: str, summary: str) -> Operation:
    return Operation(
        name=name,
        group="Service",
        summary=summary,
        replies={
            200: Reply(
                "The file.", ANYTHING, {"ETag": "Weak.", "Cache-Control": "How to keep it."}
            ),
            304: Reply("The copy that is there already is still good.", {}, {"ETag": "Its tag."}),
        },
        parameters=(header("If-None-Match", "The `ETag` of the copy that is there already."),),
        refuses=(NotFound,),
        open=True,
    )


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/v1/usage"): Operation(
        name="getUsage",
        group="Usage",
        summary="What the caller has stored and may store",
        replies=one(answers.Usage, "In bytes."),
    ),
    ("GET", "/v1/users/{user_id}/quota"): Operation(
        name="getQuota",
        group="Usage",
        summary="The same of one user",
        text="Only an admin may see another's.",
        replies=one(answers.Usage, "In bytes."),
        refuses=(NotFound,),
    ),
    ("PUT", "/v1/users/{user_id}/quota"): Operation(
        name="setQuota",
        group="Usage",
        summary="Set a user's quota",
        text="For an admin. What is stored already stays.",
        body=json_body(models.SetQuota, {"quota": 1000000000}),
        replies=one(answers.Usage, "As it is now."),
    ),
    ("POST", "/v1/session"): Operation(
        name="beginSession",
        group="Service",
        summary="Keep the bearer token in the web page's cookie",
        replies={204: Reply("It is kept.", headers={"Set-Cookie": "For this server's own pages."})},
    ),
    ("DELETE", "/v1/session"): Operation(
        name="endSession",
        group="Service",
        summary="Forget the cookie",
        replies={204: Reply("It is forgotten.", headers={"Set-Cookie": "Empty, and expired."})},
        open=True,
    ),
    ("GET", "/livez"): Operation(
        name="isAlive",
        group="Service",
        summary="Whether the process lives",
        replies=one(answers.Status, "It does."),
        open=True,
    ),
    ("GET", "/readyz"): Operation(
        name="isReady",
        group="Service",
        summary="Whether it can do its work",
        replies=one(answers.Status, "It can."),
        refuses=(ShuttingDown, Unavailable),
        open=True,
    ),
    ("GET", "/healthz"): Operation(
        name="getHealth",
        group="Service",
        summary="Both, with the parts",
        replies={
            200: Reply("All is well.", {JSON: answers.Health}),
            503: Reply("Something is not.", {JSON: answers.Health}),
        },
        open=True,
    ),
    ("GET", "/openapi.json"): Operation(
        name="getDescription",
        group="Service",
        summary="This description",
        replies={200: Reply("An OpenAPI 3.1 document.", {JSON: {"type": "object"}})},
        open=True,
    ),
    ("GET", "/docs"): Operation(
        name="getReference",
        group="Service",
        summary="The same as a page to read",
        replies={200: Reply("The page.", HTML)},
        open=True,
    ),
    ("GET", "/"): Operation(
        name="getHome",
        group="Service",
        summary="The web page",
        text="With `?token=` that becomes the page's cookie, and the answer leads to the page.",
        replies={
            200: Reply("The page.", HTML),
            303: Reply("To the page without the token.", headers={"Location": "The page."}),
        },
        open=True,
    ),
    ("GET", "/assets/{file}"): _file("getAsset", "A script, style or picture of the web page"),
    ("GET", "/widget/{file}"): _file("getWidget", "A module of the browser client"),
}
