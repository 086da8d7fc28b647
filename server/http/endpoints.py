"""From operations to routes: the method picks the handler, and its answer becomes a response.

A handler returns the model that its description names, and that model writes the JSON. It returns
an `Answer` to choose the status or a `Location`, None for 204, and a `Response` where it streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from lading.server.http.idempotency import once
from lading.server.http.openapi.operation import JSON, Model, Operation
from lading.server.http.query import Query
from lading.server.net.record import TEMPLATE

STRICT = "/v1/"
"""Below this path nothing in a request is silently ignored."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model with its status, the `Location` of what was created, and further headers."""

    content: Any
    status: int = 200
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@cache
def adapter(model: Model) -> TypeAdapter[Any]:
    """What reads and writes the JSON of a model; made once for each."""
    return TypeAdapter(model)


class _Endpoint:
    """One operation as it is served."""

    def __init__(self, operation: Operation) -> None:
        self._handler = operation.handler
        self._is_strict = operation.route.startswith(STRICT)
        self._is_keyed = operation.keyed
        self._query = Query(operation.parameters)
        models = {status: reply.content.get(JSON) for status, reply in operation.replies.items()}
        self._writers = {
            status: adapter(model).dump_json
            for status, model in models.items()
            if model is not None and not isinstance(model, dict)
        }

    async def respond(self, request: Request) -> Response:
        if self._is_strict:
            self._query.check(request.query_params)
        if self._is_keyed:
            return await once(request, self._carry_out)
        return await self._carry_out(request)

    async def _carry_out(self, request: Request) -> Response:
        result = await self._handler(request)
        if isinstance(result, Response):
            return result
        if result is None:
            return Response(status_code=204)
        answer = result if isinstance(result, Answer) else Answer(result)
        headers = {"Cache-Control": "no-store", **answer.headers}
        if answer.location is not None:
            headers["Location"] = answer.location
        body = self._writers[answer.status](answer.content)
        return Response(body, answer.status, headers, media_type=JSON)


class _ApiRoute(Route):
    """A path with a handler for each method, so that 405 names all of them."""

    def __init__(self, path: str, endpoints: Mapping[str, _Endpoint]) -> None:
        async def dispatch(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            return await endpoints[method].respond(request)

        super().__init__(path, dispatch, methods=list(endpoints))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is Match.NONE:
            return match, child
        child[TEMPLATE] = self.path_format
        # An address belongs to the first path that fits, also with a method that it refuses:
        # DELETE /v1/users/ann/quota must not delete a user of the name ann/quota.
        return Match.FULL, child


def routes(operations: Iterable[Operation]) -> list[Route]:
    """The routes that serve these operations, in their order."""
    paths: MutableMapping[str, dict[str, _Endpoint]] = {}
    for operation in operations:
        paths.setdefault(operation.route, {})[operation.method] = _Endpoint(operation)
    return [_ApiRoute(path, endpoints) for path, endpoints in paths.items()]
