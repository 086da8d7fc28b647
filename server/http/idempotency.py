"""`Idempotency-Key`: a request that is repeated creates nothing more, and gets the first answer.

A client that lost an answer does not know whether its request was carried out. With a key of its
own it may send it again. The key counts for one credential's user and scope, for 24 hours. A
request is the same if method, path, query, media type and body are; the body is compared by
length and SHA-256, computed as it arrives. What was refused created nothing and frees the key.

Answers may hold secrets, such as the token of a grant, so they are stored sealed.
Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress

from python_multipart.multipart import parse_options_header
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from lading.protocol.errors import InProgress, InvalidArgument, KeyReused, LadingError
from lading.server.access.principal import Principal
from lading.server.http.body import arriving
from lading.server.http.openapi.operation import IDEMPOTENCY_KEY, JSON, KEY
from lading.server.services import Services, services
from lading.storage.collections.idempotency import Kept

Run = Callable[[Request], Awaitable[Response]]


async def once(request: Request, run: Run) -> Response:
    """The response of `run`, or the stored one if the request was carried out before.

    Raises InvalidArgument, InProgress, KeyReused, Unauthorized, and what `run` raises.
    """
    given = request.headers.getlist(IDEMPOTENCY_KEY.name)
    if not given:
        return await run(request)
    server = services(request)
    principal = await server.credential(request)
    seconds, now, holder = server.limits.http.lease_seconds, server.clock(), secrets.token_hex(16)
    body = _Body(request)
    kept = await server.idempotency.begin(
        _key(principal, given),
        _fingerprint(request, body),
        principal.user_id,
        holder,
        now=now,
        until=now + seconds,
    )
    if kept.holder == holder:
        return await _carry_out(server, kept, run, body)
    return await _repeat(server, kept, request, body)


def _key(principal: Principal, given: list[str]) -> bytes:
    """The key of one principal: other users, and other credentials of a user, have their own."""
    text = given[0].strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]  # a String of RFC 9651; the quotes may be left out
    if len(given) > 1 or not KEY.fullmatch(text):
        raise InvalidArgument(
            "Idempotency-Key must be one key of 1 to 255 printable ASCII characters without "
            "spaces and backslashes, such as a UUID."
        )
    grant = None if principal.grant is None else principal.grant.id
    owner = [principal.user_id, grant, principal.admin, principal.may_grant]
    return hashlib.sha256(json.dumps([*owner, text]).encode()).digest()


def _fingerprint(request: Request, body: _Body) -> bytes:
    """The digest of a request without its body."""
    query = request.scope["query_string"].decode("latin-1")
    facts = [request.method, request.scope["path"], query, body.media_type]
    return hashlib.sha256(json.dumps(facts).encode()).digest()


class _Body:
    """A body as it arrives, and its digest.

    The boundary of a form is left out: browsers and curl draw another one each time.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        self._boundary = options.pop(b"boundary", b"")
        self.media_type = repr((kind, sorted(options.items())))
        self._sum = hashlib.sha256()
        self._tail = b""
        self.length = 0

    async def receive(self) -> Message:
        """The next message of the request."""
        message = await self._request.receive()
        if message["type"] == "http.request":
            self.feed(message.get("body", b""))
        return message

    @property
    def request(self) -> Request:
        """The request, whose body is noted as it is read."""
        return Request(self._request.scope, self.receive)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if not self._boundary:
            self._note(data)
            return
        *before, data = (self._tail + data).split(self._boundary)
        for part in before:
            self._note(part)
        # The end may be the beginning of a boundary.
        kept = min(len(data), len(self._boundary) - 1)
        self._note(data[: len(data) - kept])
        self._tail = data[len(data) - kept :]

    def _note(self, data: bytes) -> None:
        self._sum.update(data)
        self.length += len(data)

    def digest(self) -> bytes:
        """The length in 8 bytes, and the SHA-256, of the whole body."""
        self._note(self._tail)
        self._tail = b""
        return self.length.to_bytes(8) + self._sum.digest()


async def _carry_out(server: Services, kept: Kept, run: Run, body: _Body) -> Response:
    """Do it, and store the answer before it is sent."""
    holding = asyncio.create_task(_hold(server, kept))
    try:
        response = await run(body.request)
    except BaseException as error:
        freeing = server.spawn(_free(server, kept))
        if isinstance(error, Exception):
            await asyncio.shield(freeing)  # the client may try again at once
        raise
    finally:
        holding.cancel()
    refused = response.status_code >= 400  # some refusals are returned, since they tell more
    then = _free(server, kept) if refused else _store(server, kept, response, body.digest())
    await asyncio.shield(server.spawn(then))
    return response


async def _hold(server: Services, kept: Kept) -> None:
    seconds = server.limits.http.lease_seconds
    while True:
        await asyncio.sleep(seconds / 3)
        with suppress(LadingError):  # if the failure lasts, the request meets it, too
            await server.idempotency.renew(kept, server.clock() + seconds)


async def _free(server: Services, kept: Kept) -> None:
    with suppress(LadingError):  # then the lease ends by itself
        await server.idempotency.free(kept)


async def _store(server: Services, kept: Kept, response: Response, body: bytes) -> None:
    answer = {
        "status": response.status_code,
        "location": response.headers.get("location"),
        "body": bytes(response.body).decode(),
    }
    with suppress(LadingError):  # what was created is there, and this client gets its answer
        # The answer to a batch is long, and much the same for each file.
        packed = zlib.compress(json.dumps(answer).encode(), 1)
        await server.idempotency.answered(kept, body, server.secret.seal(packed))


async def _repeat(server: Services, kept: Kept, request: Request, body: _Body) -> Response:
    """The stored answer, if the request is the same."""
    if kept.request != _fingerprint(request, body):
        raise KeyReused("This Idempotency-Key was sent with another request; choose a new one.")
    if kept.answer is None or kept.body is None:
        raise InProgress("The request with this Idempotency-Key is being carried out; try again.")
    most = int.from_bytes(kept.body[:8])
    async for data in arriving(request):
        body.feed(data)
        if body.length > most:
            break
    if body.digest() != kept.body:
        raise KeyReused("This Idempotency-Key was sent with another body; choose a new one.")
    plain = server.secret.unseal(kept.answer)
    if plain is None:
        raise KeyReused(
            "The request with this Idempotency-Key was carried out, but its answer was stored by "
            "a server with another `server-secret`."
        )
    # One that was stored before an upgrade is not compressed.
    answer = json.loads(plain if plain.startswith(b"{") else zlib.decompress(plain))
    headers = {"Cache-Control": "no-store"}
    if answer["location"] is not None:
        headers["Location"] = answer["location"]
    return Response(answer["body"], answer["status"], headers, media_type=JSON)
