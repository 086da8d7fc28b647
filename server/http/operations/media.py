"""Descriptions of `/v1/media` and `/v1/tags`."""

from __future__ import annotations

from lading.protocol.errors import ChecksumMismatch, Gone, Incomplete, NameTaken, NotFound
from lading.server.http import answers, models
from lading.server.http.describe import (
    JSON,
    LIMIT,
    ROOM,
    TAG_CURSOR,
    Operation,
    Reply,
    json_body,
    nothing,
    one,
)

OF_MEDIA = dict.fromkeys(("getMedium", "finalizeMedium", "getUpload"), "/media/_id")

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/media"): Operation(
        name="createMedium",
        group="Media",
        summary="Announce a file, and learn where to send it",
        body=json_body(
            models.NewMedia,
            {
                "name": "cover.png",
                "size": 8893,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            },
        ),
        replies={
            201: Reply(
                "The medium, and the presigned address of its bytes.",
                {JSON: answers.NewMedium},
                {"Location": "Of the medium."},
                leads_to=OF_MEDIA,
            )
        },
        refuses=ROOM,
    ),
    ("GET", "/v1/media/{id}"): Operation(
        name="getMedium",
        group="Media",
        summary="The medium, and once it is published an expiring address of its bytes",
        replies=one(answers.Medium, "The medium."),
        refuses=(NotFound, Gone),
    ),
    ("POST", "/v1/media/{id}/finalize"): Operation(
        name="finalizeMedium",
        group="Media",
        summary="Check size and SHA-256, and publish",
        text="Once more gives the same.",
        replies=one(answers.Manifest, "The file."),
        refuses=(NotFound, Gone, Incomplete, ChecksumMismatch),
    ),
    ("GET", "/v1/tags"): Operation(
        name="listTags",
        group="Tags",
        summary="List the caller's tags, by name",
        parameters=(LIMIT, TAG_CURSOR),
        replies=one(answers.TagList, "One page of tags."),
    ),
    ("POST", "/v1/tags"): Operation(
        name="createTag",
        group="Tags",
        summary="Make a tag that no file has yet",
        body=json_body(models.NameTag, {"name": "holiday"}),
        replies={
            201: Reply(
                "The tag.",
                {JSON: answers.Tag},
                {"Location": "Of the tag."},
                leads_to=dict.fromkeys(("getTag", "renameTag", "deleteTag"), "/name"),
            )
        },
        refuses=(NameTaken,),
    ),
    ("GET", "/v1/tags/{name}"): Operation(
        name="getTag",
        group="Tags",
        summary="One tag",
        replies=one(answers.Tag, "The tag."),
        refuses=(NotFound,),
    ),
    ("PATCH", "/v1/tags/{name}"): Operation(
        name="renameTag",
        group="Tags",
        summary="Give it another name, on all files that have it",
        body=json_body(models.NameTag, {"name": "summer"}),
        replies=one(answers.Tag, "The tag as it is now."),
        refuses=(NotFound, NameTaken),
    ),
    ("DELETE", "/v1/tags/{name}"): Operation(
        name="deleteTag",
        group="Tags",
        summary="Take it off all files",
        replies=nothing("No file has it any more; the files stay."),
        refuses=(NotFound,),
    ),
}
