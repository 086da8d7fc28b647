"""The OpenAPI 3.1 document of the HTTP API, made of the operations and the models.

It adds what holds for every operation: credentials, and the problems that each one can have.
Source: OpenAPI Specification 3.1.0; RFC 9457.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from lading.protocol.codes import STATUSES
from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    LadingError,
    RequestTimeout,
    TooLarge,
    TooManyConnections,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from lading.server.http import schemas
from lading.server.http.endpoints import adapter
from lading.server.http.openapi.common import IN_PATH
from lading.server.http.openapi.operation import (
    JSON,
    Body,
    Model,
    Operation,
    Parameter,
    Reply,
    Schema,
)
from lading.server.net.problems import RETRY_AFTER, STATUS
from lading.version import VERSION

GROUPS = {
    "Files": "Small files in one request, lists, downloads.",
    "Uploads": "Files of any size, in pieces. Any device can resume an upload.",
    "tus": "Uploads by tus 1.0, for its clients.",
    "Resumable": "The IETF's resumable uploads (draft-ietf-httpbis-resumable-upload).",
    "Grants": "Tokens for one upload or download, created by a site's back end.",
    "Links": "What somebody shared or asks for, for everyone who has the link.",
    "Media": "Announce a file, send it to a presigned address, publish it.",
    "Tags": "Words to find files by.",
    "Overview": "What the server does, and what all users have open; for admins.",
    "Audit": "Who did what; for admins.",
    "Webhooks": "Addresses that hear of what happens; for admins.",
    "Usage": "The bytes that users have stored and may store.",
    "Accounts": "Users, sign-in and sessions; most of it with `LADING_AUTH=accounts`.",
    "Service": "Health, the web page, and this description.",
}

PROBLEM = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
_ANYWHERE = (InvalidArgument, RequestTimeout, TooManyConnections)
_WITH_CREDENTIAL = (Unauthorized, Forbidden, Unavailable)
_CREDENTIALS: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_TEXT = """\
Uploads that survive anything. Errors are problem documents (RFC 9457) with a stable `code`. Other
users' resources return 404. Every GET operation also answers HEAD. A method that is not listed
returns 405 `method-not-allowed`, with `Allow`. A fault of the server returns 500 `internal`.
"""


def build(operations: Iterable[Operation], public_url: str | None = None) -> dict[str, Any]:
    """The document of these operations."""
    known = list(operations)
    paths: dict[str, Any] = {}
    names = {operation.name: operation.path for operation in known}
    for operation in known:
        methods = paths.setdefault(operation.path, {})
        methods[operation.method.lower()] = _operation(operation, names)
        if operation.head:
            methods["head"] = _operation(_without_body(operation), names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lading", "version": VERSION, "description": _TEXT},
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "components": {"schemas": _components(known), "securitySchemes": _security()},
    }


def _security() -> dict[str, Any]:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The server's token, a JSON Web Token, or the token of a grant, which "
            "allows one action only.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "lading_token",
            "description": "The same credential in a cookie.",
        },
    }


# -- one operation


def _operation(operation: Operation, names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
    }
    if operation.text:
        found["description"] = operation.text
    parameters = [*_in_path(operation.path), *operation.parameters]
    if parameters:
        found["parameters"] = [_parameter(each) for each in parameters]
    if operation.body is not None:
        found["requestBody"] = _body(operation.body)
    replies = {str(status): _reply(reply, names) for status, reply in operation.replies.items()}
    for status, response in _problems(operation).items():
        content = {**replies.get(status, {}).get("content", {}), **response["content"]}
        replies[status] = {**response, **replies.get(status, {}), "content": content}
    found["responses"] = dict(sorted(replies.items()))
    found["security"] = [] if operation.public else _CREDENTIALS
    return found


def _without_body(operation: Operation) -> Operation:
    """The HEAD of an operation: the same headers without the bytes, and no ranges."""
    return replace(
        operation,
        name=f"{operation.name}Head",
        summary=f"{operation.summary}: the headers only",
        text="",
        replies={
            status: replace(reply, content={}, links={})
            for status, reply in operation.replies.items()
            if status != 206
        },
    )


def _in_path(path: str) -> Iterator[Parameter]:
    for part in path.split("/"):
        if part.startswith("{"):
            yield IN_PATH[part[1:-1]]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.text,
        "schema": parameter.schema,
    }
    if parameter.required:
        found["required"] = True
    if parameter.example is not None:
        found["example"] = parameter.example
    return found


def _body(body: Body) -> dict[str, Any]:
    content = _content(body.content)
    if body.example is not None:
        content[JSON]["example"] = body.example
    return {"description": body.text, "content": content, "required": body.required}


def _content(content: Mapping[str, Model | Schema]) -> dict[str, Any]:
    return {
        media: {"schema": kind if isinstance(kind, dict) else {"$ref": _SCHEMAS + kind.__name__}}
        for media, kind in content.items()
    }


def _reply(reply: Reply, names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": reply.text}
    if reply.headers:
        found["headers"] = _headers(reply.headers)
    if reply.content:
        found["content"] = _content(reply.content)
    if reply.links:
        found["links"] = {
            name: {
                "operationId": name,
                "parameters": {next(_in_path(names[name])).name: f"$response.body#{pointer}"},
            }
            for name, pointer in reply.links.items()
        }
    return found


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
    }


# -- problems


def _problems(operation: Operation) -> dict[str, Any]:
    """For each status the problems that the operation may answer with it."""
    kinds: dict[int, dict[str, type[LadingError]]] = {}
    for kind in _all_problems(operation):
        # Over HTTP a full server answers before it has read a request.
        status = 503 if kind is TooManyConnections else STATUS[kind.code]
        if operation.plain:
            status = STATUSES[kind.code].tus or status
        kinds.setdefault(status, {})[kind.code] = kind
    if 101 in operation.replies:
        kinds[426] = {InvalidArgument.code: InvalidArgument}  # no complete handshake
    found = {str(status): _problem(status, each) for status, each in kinds.items()}
    if operation.plain:
        for problem in found.values():
            problem["content"]["text/plain"] = {"schema": {"type": "string"}}
    return found


def _all_problems(operation: Operation) -> Iterator[type[LadingError]]:
    yield from _ANYWHERE
    if not operation.public or "{token}" in operation.path:
        yield from _WITH_CREDENTIAL
    if operation.body is not None:
        yield TooLarge
        yield UnsupportedMediaType  # it is encoded
    yield from operation.problems


def _problem(status: int, kinds: Mapping[str, type[LadingError]]) -> dict[str, Any]:
    text = "\n".join(f"`{code}`: {kind.title}" for code, kind in sorted(kinds.items()))
    schema = {
        "allOf": [{"$ref": _SCHEMAS + "Problem"}],
        "properties": {"status": {"const": status}, "code": {"enum": sorted(kinds)}},
    }
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "`Bearer`"
    if status == 416:
        headers["Content-Range"] = "The size of the file: `bytes */size`."
        headers["Preference-Applied"] = "The seconds that the request waited; if it asked to."
    if status in RETRY_AFTER:
        headers["Retry-After"] = "Seconds; present if the problem is retryable."
    found: dict[str, Any] = {"description": text, "content": {PROBLEM: {"schema": schema}}}
    return found | ({"headers": _headers(headers)} if headers else {})


# -- schemas


def _components(operations: Iterable[Operation]) -> dict[str, Any]:
    bodies: dict[Model, None] = {}
    replies: dict[Model, None] = {schemas.service.Problem: None}
    for operation in operations:
        bodies |= _models(operation.body.content if operation.body else {})
        for reply in operation.replies.values():
            replies |= _models(reply.content)
    inputs: list[tuple[str, Any, TypeAdapter[Any]]] = [
        *((kind.__name__, "validation", adapter(kind)) for kind in bodies),
        *((kind.__name__, "serialization", adapter(kind)) for kind in replies),
    ]
    _, found = TypeAdapter.json_schemas(inputs, ref_template=_SCHEMAS + "{model}")
    components: dict[str, Any] = _untitled(found["$defs"])
    return components


def _models(content: Mapping[str, Model | Schema]) -> dict[Model, None]:
    return {kind: None for kind in content.values() if not isinstance(kind, dict)}


def _untitled(node: Any) -> Any:
    """The schemas without titles, which only repeat the fields' names."""
    if isinstance(node, list):
        return [_untitled(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _untitled(value)
        for key, value in node.items()
        if key != "title" or not isinstance(value, str)
    }
