"""What a request says and the operation does not know is refused, never ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import QueryParams
from starlette.routing import Route

from lading.protocol.errors import InvalidArgument
from lading.server.app import OPERATIONS, ROUTES
from lading.server.http.endpoints import STRICT
from lading.server.http.openapi.operation import Operation, Parameter
from lading.server.http.query import Query
from tests.support.accounts import OF_ACCOUNTS, accounts_server, add, browser, signed_in

LIMIT = Parameter("limit", "", {"type": "integer"})
TAG = Parameter("tag", "", {"type": "array"})
DOWNLOAD = Parameter("download", "", {"enum": ["0", "1"]})
RANGE = Parameter("range", "", {"type": "string"}, "header")
QUERY = Query([LIMIT, TAG, DOWNLOAD, RANGE])

STRICT_ONES = [operation for operation in OPERATIONS if operation.route.startswith(STRICT)]
ANY = {"{id}": "0" * 24, "{slice_start}": "0", "{token}": f"lg_{'x' * 43}", "{quality}": "0"}


def address(operation: Operation) -> str:
    path = operation.path
    for name, value in ANY.items():
        path = path.replace(name, value)
    return path.replace("{name}", "x").replace("{user_id}", "ann")


def takes_json(operation: Operation) -> bool:
    """Whether the body is JSON; one that takes none says so by `NoFields`."""
    if operation.body is None:
        return operation.method in ("POST", "PATCH")
    # A grant is looked at before the body of a request that uses it.
    return "application/json" in operation.body.content and "{token}" not in operation.path


def refused(answer: httpx.Response) -> str:
    """The detail of a 400."""
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-argument"), answer.text
    return str(answer.json()["detail"])


@pytest.mark.parametrize("text", ["", "limit=1", "tag=a&tag=b&limit=1", "download=0", "limit="])
def test_what_is_described_passes(text: str) -> None:
    QUERY.check(QueryParams(text))


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("limt=1", "Unknown query parameter `limt`; did you mean `limit`?"),
        ("Limit=1", "Unknown query parameter `Limit`; did you mean `limit`?"),
        ("x=1", "Unknown query parameter `x`; known are `limit`, `tag`, `download`."),
        ("range=1", "Unknown query parameter `range`; known are `limit`, `tag`, `download`."),
        ("=1", "Unknown query parameter ``; known are `limit`, `tag`, `download`."),
        ("limit=1&limit=2", "The query parameter `limit` is given 2 times."),
        ("download=yes", '`download` must be 0 or 1, not "yes".'),
        ("download", '`download` must be 0 or 1, not "".'),
    ],
)
def test_what_is_not_is_refused_in_plain_words(text: str, detail: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        QUERY.check(QueryParams(text))
    assert error.value.detail == detail


def test_each_of_several_values_must_be_a_choice() -> None:
    either = {"type": "array", "items": {"enum": ["share", "request"]}}
    query = Query([Parameter("action", "For what.", either)])
    query.check(QueryParams("action=share&action=request"))
    with pytest.raises(InvalidArgument) as error:
        query.check(QueryParams("action=share&action=null"))
    assert error.value.detail == '`action` must be share or request, not "null".'


def test_a_long_or_unprintable_name_is_cut_and_escaped() -> None:
    for name in ("x" * 100_000, "\x1b[2J\n"):
        with pytest.raises(InvalidArgument) as error:
            QUERY.check(QueryParams({name: "1"}))
        detail = str(error.value.detail)
        assert len(detail) < 200
        assert detail.isprintable()


@pytest.mark.parametrize("operation", STRICT_ONES, ids=lambda each: each.name)
async def test_every_operation_refuses_an_unknown_parameter(
    http: httpx.AsyncClient, operation: Operation
) -> None:
    answer = await http.request(
        operation.method,
        address(operation),
        params={"derectory": "a"},
        # tus answers with a sentence alone unless it is asked for a problem.
        headers={"Accept": "application/json"},
    )
    assert "Unknown query parameter `derectory`" in refused(answer)


async def test_a_deletion_with_a_misspelt_bound_deletes_nothing(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/files?name=a&directory=kept", content=b"x")
    answer = await http.delete("/v1/files?derectory=kept")
    assert refused(answer) == "Unknown query parameter `derectory`; did you mean `directory`?"
    assert refused(await http.delete("/v1/files?directory=x&directory=kept"))
    assert (await http.get(made.headers["Location"])).status_code == 200


async def test_outside_of_v1_anything_may_be_in_an_address(http: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/healthz"):
        assert (await http.get(path, params={"utm_source": "x"})).status_code == 200


# -- bodies


@pytest.mark.parametrize(
    "operation",
    [each for each in STRICT_ONES if takes_json(each) and each.name not in OF_ACCOUNTS],
    ids=lambda each: each.name,
)
async def test_every_json_body_refuses_an_unknown_field(
    http: httpx.AsyncClient, operation: Operation
) -> None:
    await refuses_an_unknown_field(http, operation)


async def test_every_json_body_of_accounts_refuses_an_unknown_field(
    tmp_path: Path, accounts_url: str
) -> None:
    found = {each.name: each for each in STRICT_ONES if each.name in OF_ACCOUNTS}
    assert set(found) == OF_ACCOUNTS
    async with (
        accounts_server(tmp_path, accounts_url, signup="open") as site,
        browser(site) as page,
    ):
        await add(site)
        await signed_in(page)
        for name, operation in found.items():
            async with site.http() as admin:
                asker = admin if name in ("createUser", "changeUser") else page
                await refuses_an_unknown_field(asker, operation)


async def refuses_an_unknown_field(http: httpx.AsyncClient, operation: Operation) -> None:
    given: dict[str, Any] = {} if operation.body is None else operation.body.example
    detail = refused(
        await http.request(operation.method, address(operation), json={**given, "bogus": 1})
    )
    assert detail.startswith("`bogus` is not a known field; ")


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        (
            "/v1/media",
            {"size": 1, "sha256": "0" * 64, "userid": "ann"},
            "`userid` is not a known field; did you mean `user_id`?",
        ),
        (
            "/v1/uploads",
            {"name": "a", "mimetype": "image/png"},
            "`mimetype` is not a known field; did you mean `mime_type`?",
        ),
        (
            "/v1/grants",
            {"action": "upload", "maxsize": 5},
            "`maxsize` is not a known field; did you mean `max_size`?",
        ),
        (
            "/v1/grants",
            {"action": "download", "file_id": "0" * 24, "max_size": 5},
            "`max_size` is not a known field; known are `user_id`, `expires_in`, `action`, "
            "`file_id`, `quality`.",
        ),
        (
            f"/v1/media/{'0' * 24}/finalize",
            {"sha256": "0" * 64},
            "`sha256` is not a known field; none is known here.",
        ),
    ],
)
async def test_the_nearest_known_field_is_named(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], detail: str
) -> None:
    assert refused(await http.post(path, json=body)) == detail


@pytest.mark.parametrize(
    "text", ['{"name": "a", "name": "b"}', '{"name": "a", "tags": [{"x": 1, "x": 2}]}']
)
async def test_a_field_that_is_given_twice_is_refused(http: httpx.AsyncClient, text: str) -> None:
    assert "is given twice" in refused(await http.post("/v1/uploads", content=text))


def test_every_route_below_v1_is_an_operation_and_so_strict() -> None:
    paths = {route.path for route in ROUTES if isinstance(route, Route)}
    assert {each.route for each in STRICT_ONES} == {p for p in paths if p.startswith(STRICT)}
