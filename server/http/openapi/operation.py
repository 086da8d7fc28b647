"""The description of an operation, which stands with its handler.

A module of handlers holds one `Operations`. Its decorator is the only way to a route, so there is
no route without a description:

    api = Operations("Tags")

    @api.operation("GET /v1/tags/{name:path}", "getTag", common.ok(schemas.tags.Tag, "The tag."))
    async def show(request: Request) -> schemas.tags.Tag:
        \"\"\"Return one tag.\"\"\"

The first line of the handler's docstring is the summary; what follows is the longer text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from starlette.requests import Request

from lading.protocol.errors import InProgress, KeyReused, LadingError

Schema = dict[str, Any]
Model = Any
"""A pydantic model, a typed dict, or a named type."""
Handler = Callable[[Request], Awaitable[Any]]
H = TypeVar("H", bound=Handler)

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value in a request's address or headers; `example` is one that works."""

    name: str
    text: str
    schema: Schema
    place: Literal["path", "query", "header"] = "query"
    required: bool = False
    example: Any = None


KEY = re.compile(r"[!#-\[\]-~]{1,255}")
"""An idempotency key: printable ASCII without spaces, quotes and backslashes."""

IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "A key of the client's for this request. If the request is repeated with it within 24 hours, "
    "nothing more is created, and the first answer is returned.",
    {"type": "string", "pattern": f'^(?:{KEY.pattern}|"{KEY.pattern}")$'},
    "header",
    example='"8e03978e-40d5-43dd-bc93-6894a57f9324"',
)


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request: for each media type a model or a schema."""

    content: Mapping[str, Model | Schema]
    text: str = ""
    required: bool = True
    example: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that is no problem. `content` has a model or a schema for each media type.

    `links` names operations that can follow, and where in the answer their path parameter is.
    """

    text: str
    content: Mapping[str, Model | Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path, with the handler that serves it.

    `name` is stable: generated clients use it. `problems` are the operation's own; those that every
    operation can have (a missing credential, a slow request) are added. `public` operations need
    no credential. `head` means that HEAD is worth a description. A `keyed` operation creates
    something, and takes an `Idempotency-Key`. The problems of a `plain` one are a sentence unless
    the client asks for JSON.
    """

    method: str
    route: str
    handler: Handler
    name: str
    group: str
    summary: str
    text: str
    replies: Mapping[int, Reply]
    parameters: tuple[Parameter, ...]
    body: Body | None
    problems: tuple[type[LadingError], ...]
    public: bool
    head: bool
    keyed: bool
    plain: bool

    @property
    def path(self) -> str:
        """The route's path without the types of its parameters."""
        return re.sub(r":\w+}", "}", self.route)


class Operations:
    """The operations of one module, in the order of their definition."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._all: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._all)

    def operation(
        self,
        endpoint: str,
        name: str,
        replies: Mapping[int, Reply],
        *,
        summary: str | None = None,
        parameters: tuple[Parameter, ...] = (),
        body: Body | None = None,
        problems: tuple[type[LadingError], ...] = (),
        public: bool = False,
        head: bool = False,
        keyed: bool = False,
        plain: bool = False,
    ) -> Callable[[H], H]:
        """Serve `endpoint`, a method and a path, by the decorated handler; see `Operation`.

        `summary` is for a handler that serves several endpoints.
        """
        method, _, route = endpoint.partition(" ")

        def add(handler: H) -> H:
            first, _, text = inspect.cleandoc(handler.__doc__ or "").partition("\n\n")
            self._all.append(
                Operation(
                    method=method,
                    route=route,
                    handler=handler,
                    name=name,
                    group=self._group,
                    summary=" ".join((summary or first).split()).removesuffix("."),
                    text="" if summary else " ".join(text.split()),
                    replies=replies,
                    parameters=(*parameters, IDEMPOTENCY_KEY) if keyed else parameters,
                    body=body,
                    problems=(*problems, InProgress, KeyReused) if keyed else problems,
                    public=public,
                    head=head,
                    keyed=keyed,
                    plain=plain,
                )
            )
            return handler

        return add
