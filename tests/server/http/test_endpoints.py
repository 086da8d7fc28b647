"""From a handler and its description to a route and its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lading.server.http import schemas
from lading.server.http.endpoints import Answer, routes
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations


@asynccontextmanager
async def serving(api: Operations) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=routes(api)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def tags(result: Any, replies: Any = None) -> Operations:
    """One operation that answers `result`."""
    api = Operations("Tags")

    @api.operation("GET /tags/{name:path}", "getTag", replies or common.ok(schemas.tags.Tag, "It."))
    async def show(_request: Request) -> Any:
        """Return one tag.

        With the number of
        its files.
        """
        return result

    return api


TAG = schemas.tags.Tag(name="größe", files=2)


async def test_a_model_is_written_as_json() -> None:
    async with serving(tags(TAG)) as client:
        answer = await client.get("/tags/x")
        head = await client.head("/tags/x")
    assert answer.status_code == 200
    assert answer.content == '{"name":"größe","files":2}'.encode()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert head.status_code == 200


async def test_an_answer_chooses_its_status_and_location() -> None:
    replies = common.created(schemas.tags.Tag, "It.", "Its address.")
    async with serving(tags(Answer(TAG, 201, "/tags/x"), replies)) as client:
        answer = await client.get("/tags/x")
    assert (answer.status_code, answer.headers["location"]) == (201, "/tags/x")


async def test_nothing_is_a_204_and_a_response_goes_out_as_it_is() -> None:
    async with serving(tags(None, common.no_content("Gone."))) as client:
        assert (await client.get("/tags/x")).status_code == 204
    async with serving(tags(PlainTextResponse("text", 418))) as client:
        assert (await client.get("/tags/x")).text == "text"


async def test_an_answer_that_its_description_does_not_know_is_a_fault() -> None:
    async with serving(tags(Answer(TAG, 202))) as client:
        with pytest.raises(KeyError):
            await client.get("/tags/x")
    wrong: Any = {"name": "x", "files": "two"}
    async with serving(tags(wrong)) as client:
        with pytest.warns(UserWarning, match="files"):
            await client.get("/tags/x")


async def test_a_method_that_is_missing_is_refused_with_all_that_are_there() -> None:
    api = tags(TAG)

    @api.operation("DELETE /tags/{name:path}", "deleteTag", common.no_content("Gone."))
    async def remove(_request: Request) -> None:
        """Delete a tag."""

    async with serving(api) as client:
        refused = await client.post("/tags/x")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "DELETE"}


def test_the_docstring_is_the_summary_and_the_text() -> None:
    (operation,) = tags(TAG)
    assert operation.summary == "Return one tag"
    assert operation.text == "With the number of its files."
    assert (operation.method, operation.path) == ("GET", "/tags/{name}")
    assert operation.route == "/tags/{name:path}"


def test_a_handler_can_serve_several_addresses() -> None:
    api = Operations("Tags")

    @api.operation("GET /a", "getA", {})
    @api.operation("GET /b", "getB", {}, summary="Return b.")
    async def show(_request: Request) -> Response:
        """Return a.

        More on a.
        """
        raise AssertionError

    found = {each.name: (each.summary, each.text) for each in api}
    assert found == {"getA": ("Return a", "More on a."), "getB": ("Return b", "")}
