"""The OpenAPI 3.1 document of the HTTP API, made of the routes, their descriptions and the models.

It owns what holds for every operation: credentials, and the refusals that none can do without. It
refuses to know how the document is shown. Source: OpenAPI Specification 3.1.0; RFC 9457.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute, Route, WebSocketRoute

from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    LadingError,
    RequestTimeout,
    TooLarge,
    TooManyConnections,
    Unauthorized,
    Unavailable,
)
from lading.server.http import answers
from lading.server.http.describe import (
    JSON,
    PATH,
    PROBLEM,
    Body,
    Operation,
    Parameter,
    Reply,
    Schema,
)
from lading.server.http.operations import GROUPS, OPERATIONS
from lading.server.net.problems import RETRY_AFTER, STATUS
from lading.version import VERSION

_SCHEMAS = "#/components/schemas/"
_ANYWHERE = (InvalidArgument, RequestTimeout, TooManyConnections)
_WITH_CREDENTIAL = (Unauthorized, Forbidden, Unavailable)
_CREDENTIALS: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_TEXT = """\
Uploads that survive anything. Refusals are problem documents (RFC 9457) with a stable `code`. What
belongs to another user is answered like what does not exist. Every GET answers HEAD, too; a method
that is not here is 405 `method-not-allowed`, with `Allow`. A fault of the server is 500 `internal`.
"""


def served(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of everything that the routes serve; HEAD goes with GET."""
    for route in routes:
        if isinstance(route, WebSocketRoute):
            yield "GET", route.path_format
        elif isinstance(route, Route):
            yield from ((method, route.path_format) for method in sorted(route.methods or ()))


def build(routes: Iterable[BaseRoute], public_url: str | None = None) -> dict[str, Any]:
    """The document, of all routes that are described; a test sees to it that all are."""
    paths: dict[str, Any] = {}
    names = {operation.name: path for (_, path), operation in OPERATIONS.items()}
    known = set(served(routes))
    for (method, path), operation in OPERATIONS.items():
        if (method, path) not in known:
            continue
        methods = paths.setdefault(path, {})
        methods[method.lower()] = _operation(operation, path, names)
        if operation.head:
            methods["head"] = _operation(_without_body(operation), path, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lading", "version": VERSION, "description": _TEXT},
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _security()},
    }


def _security() -> dict[str, Any]:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The server's token, a JSON Web Token, or the token of a grant, which "
            "is good for one thing only.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "lading_token",
            "description": "The same in a cookie.",
        },
    }


# -- one operation


def _operation(operation: Operation, path: str, names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
    }
    if operation.text:
        found["description"] = operation.text
    parameters = [*_in_path(path), *operation.parameters]
    if parameters:
        found["parameters"] = [_parameter(each) for each in parameters]
    if operation.body is not None:
        found["requestBody"] = _body(operation.body)
    replies = {str(status): _reply(reply, names) for status, reply in operation.replies.items()}
    for status, response in _refusals(operation, path).items():
        content = {**replies.get(status, {}).get("content", {}), **response["content"]}
        replies[status] = {**response, **replies.get(status, {}), "content": content}
    found["responses"] = dict(sorted(replies.items()))
    found["security"] = [] if operation.open else _CREDENTIALS
    return found


def _without_body(operation: Operation) -> Operation:
    """What HEAD answers: the same fields without the bytes; and it knows no ranges."""
    replies = {
        status: Reply(reply.text, headers=reply.headers)
        for status, reply in operation.replies.items()
        if status != 206
    }
    return Operation(
        name=f"{operation.name}Head",
        group=operation.group,
        summary=f"{operation.summary}: the fields only",
        replies=replies,
        parameters=operation.parameters,
        refuses=operation.refuses,
        open=operation.open,
    )


def _in_path(path: str) -> Iterator[Parameter]:
    for part in path.split("/"):
        if part.startswith("{"):
            yield PATH[part[1:-1]]


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


def _content(content: Mapping[str, type[BaseModel] | Schema]) -> dict[str, Any]:
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
    if reply.leads_to:
        found["links"] = {
            name: {
                "operationId": name,
                "parameters": {next(_in_path(names[name])).name: f"$response.body#{pointer}"},
            }
            for name, pointer in reply.leads_to.items()
        }
    return found


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
    }


# -- refusals


def _refusals(operation: Operation, path: str) -> dict[str, Any]:
    """For each status the problems that the operation may answer with it."""
    kinds: dict[int, dict[str, type[LadingError]]] = {}
    for kind in _all_refusals(operation, path):
        # Over HTTP a full server answers before it knows of a request.
        status = 503 if kind is TooManyConnections else STATUS[kind.code]
        kinds.setdefault(status, {})[kind.code] = kind
    return {str(status): _problem(status, found) for status, found in kinds.items()}


def _all_refusals(operation: Operation, path: str) -> Iterator[type[LadingError]]:
    yield from _ANYWHERE
    if not operation.open or "{token}" in path:
        yield from _WITH_CREDENTIAL
    if operation.body is not None:
        yield TooLarge
    yield from operation.refuses


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
        headers["Content-Range"] = "How many bytes there are: `bytes */size`."
    if status in RETRY_AFTER:
        headers["Retry-After"] = "Seconds; where the problem is retryable."
    found: dict[str, Any] = {"description": text, "content": {PROBLEM: {"schema": schema}}}
    return found | ({"headers": _headers(headers)} if headers else {})


# -- schemas


def _schemas() -> dict[str, Any]:
    bodies: dict[type[BaseModel], None] = {}
    replies: dict[type[BaseModel], None] = {answers.Problem: None}
    for operation in OPERATIONS.values():
        asked = operation.body.content.values() if operation.body else ()
        bodies |= {kind: None for kind in asked if not isinstance(kind, dict)}
        given = [kind for reply in operation.replies.values() for kind in reply.content.values()]
        replies |= {kind: None for kind in given if not isinstance(kind, dict)}
    _, found = models_json_schema(
        [
            *((kind, "validation") for kind in bodies),
            *((kind, "serialization") for kind in replies),
        ],
        ref_template=_SCHEMAS + "{model}",
    )
    schemas: dict[str, Any] = _untitled(found["$defs"])
    return schemas


def _untitled(node: Any) -> Any:
    """The schemas without the titles that repeat the fields' names."""
    if isinstance(node, list):
        return [_untitled(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _untitled(value)
        for key, value in node.items()
        if key != "title" or not isinstance(value, str)
    }
