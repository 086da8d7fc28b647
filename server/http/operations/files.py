"""Descriptions of `/v1/files` and `/v1/manifests`."""

from __future__ import annotations

from lading.protocol.errors import Gone, NotFound
from lading.server.http import answers, models
from lading.server.http.describe import (
    A_FILE,
    A_FILE_TAKEN,
    CONDITIONS,
    CONTENT_DIGEST,
    CURSOR,
    DIRECTORY,
    DOWNLOAD,
    FILE_BODY,
    JSON,
    LIMIT,
    NAME,
    REPR_DIGEST,
    STORED_BYTES,
    TAG_OF_FILE,
    Operation,
    Parameter,
    Reply,
    json_body,
    nothing,
    one,
)

OF_FILES = dict.fromkeys(("getFile", "changeFile", "deleteFile", "getManifest"), "/_id")

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/files"): Operation(
        name="createFile",
        group="Files",
        summary="Take one small file",
        text="All of it or nothing. Larger files go by uploads, or over WebSocket.",
        parameters=(NAME, DIRECTORY, TAG_OF_FILE, REPR_DIGEST, CONTENT_DIGEST),
        body=FILE_BODY,
        replies={
            201: Reply(
                "The file is durable.",
                {JSON: answers.Manifest},
                {"Location": "Of its bytes."},
                leads_to=OF_FILES,
            )
        },
        refuses=A_FILE_TAKEN,
    ),
    ("GET", "/v1/files"): Operation(
        name="listFiles",
        group="Files",
        summary="List files, the newest first",
        parameters=(
            Parameter("name", "Names that begin so.", NAME.schema, example="photo"),
            Parameter("directory", "This one, without those below.", DIRECTORY.schema),
            Parameter("tag", "Files with this tag; repeated: with all.", TAG_OF_FILE.schema),
            Parameter("mime_type", "Such as `image/png`, or `image/*`.", NAME.schema),
            LIMIT,
            CURSOR,
        ),
        replies=one(answers.FileList, "One page of files."),
    ),
    ("DELETE", "/v1/files"): Operation(
        name="deleteDirectory",
        group="Files",
        summary="Delete the finished files of a directory and of those below it",
        parameters=(
            Parameter(
                "directory",
                "The directory.",
                {**DIRECTORY.schema, "minLength": 1},
                required=True,
                example="2025",
            ),
        ),
        replies=one(answers.DeletedDirectory, "How many there were."),
    ),
    ("GET", "/v1/files/{id}"): Operation(
        name="getFile",
        group="Files",
        summary="The bytes of a file, or what is stored of an upload",
        text="Every piece is checked on its way out: wrong bytes are never sent.",
        parameters=(DOWNLOAD, *CONDITIONS),
        replies=STORED_BYTES,
        refuses=A_FILE,
        head=True,
    ),
    ("PATCH", "/v1/files/{id}"): Operation(
        name="changeFile",
        group="Files",
        summary="Change name, directory, tags",
        text="What is left out stays.",
        body=json_body(models.ChangeFile, {"name": "sea.jpg", "tags": ["holiday"]}, required=False),
        replies=one(answers.Manifest, "The file as it is now."),
        refuses=(NotFound, Gone),
    ),
    ("DELETE", "/v1/files/{id}"): Operation(
        name="deleteFile",
        group="Files",
        summary="Delete a file or an unfinished upload",
        replies=nothing("It is deleted."),
        refuses=(NotFound, Gone),
    ),
    ("GET", "/v1/manifests/{id}"): Operation(
        name="getManifest",
        group="Files",
        summary="What is known of a file or upload, with its chunks",
        replies=one(answers.ManifestWithChunks, "The manifest, streamed."),
        refuses=(NotFound, Gone),
    ),
}
