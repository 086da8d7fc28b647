"""The one table from codes to statuses, and the problem documents."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lading.protocol.errors import (
    CATALOGUE,
    Incomplete,
    QuotaExceeded,
    StorageFull,
    TooLarge,
    Unavailable,
)
from lading.server.http.exception_handlers import handlers
from lading.server.net.problems import STATUS, problem_response

PAGE_4 = {
    400: ["invalid-message", "invalid-argument"],
    401: ["unauthorized"],
    403: ["forbidden"],
    404: ["not-found"],
    405: ["method-not-allowed"],
    408: ["request-timeout"],
    409: ["chunk-conflict", "incomplete", "already-complete", "offset-mismatch", "name-taken"],
    410: ["gone"],
    413: ["too-large"],
    415: ["unsupported-media-type"],
    416: ["range-not-satisfiable"],
    422: ["out-of-bounds", "unprocessable-image", "checksum-mismatch"],
    429: ["rate-limited", "too-many-connections"],
    500: ["internal"],
    503: ["unavailable", "shutting-down"],
    507: ["quota-exceeded", "storage-full"],
}
RETRYABLE = {
    "request-timeout",
    "checksum-mismatch",
    "rate-limited",
    "too-many-connections",
    "unavailable",
    "shutting-down",
    "storage-full",
}


def test_the_table_has_each_code_of_the_catalogue_and_no_other() -> None:
    assert set(STATUS) == set(CATALOGUE)


@pytest.mark.parametrize(
    ("status", "code"), [(status, code) for status, codes in PAGE_4.items() for code in codes]
)
def test_each_code_has_the_status_of_the_design(status: int, code: str) -> None:
    assert STATUS[code] == status
    assert CATALOGUE[code].retryable is (code in RETRYABLE)


def body_of(response: Response) -> dict[str, object]:
    found: dict[str, object] = json.loads(bytes(response.body))
    return found


def test_a_problem_document_says_what_happened_and_what_helps() -> None:
    response = problem_response(Incomplete("3 bytes are missing.", missing=[[0, 3]]))
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert body_of(response) == {
        "type": "urn:lading:problem:incomplete",
        "status": 409,
        "code": "incomplete",
        "title": "Parts of the file are still missing.",
        "detail": "3 bytes are missing.",
        "retryable": False,
        "missing": [[0, 3]],
    }


def test_without_a_detail_there_is_none() -> None:
    assert "detail" not in body_of(problem_response(TooLarge()))


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_what_may_be_tried_again_on_a_busy_server_says_when(code: str) -> None:
    response = problem_response(CATALOGUE[code]())
    wanted = CATALOGUE[code].retryable and response.status_code in (202, 429, 503, 507)
    assert ("retry-after" in response.headers) is wanted
    assert ("www-authenticate" in response.headers) is (code == "unauthorized")


def test_a_full_quota_is_not_told_like_a_full_disk() -> None:
    quota, disk = QuotaExceeded(used=9, limit=10), StorageFull()
    assert problem_response(quota).status_code == problem_response(disk).status_code == 507
    assert body_of(problem_response(quota))["code"] == "quota-exceeded"
    assert body_of(problem_response(quota))["limit"] == 10
    assert "retry-after" not in problem_response(quota).headers


def test_before_an_upgrade_another_status_is_used() -> None:
    response = problem_response(CATALOGUE["too-many-connections"](), 503)
    assert response.status_code == 503
    assert body_of(response)["status"] == 503
    assert "retry-after" in response.headers


# -- as Starlette's handlers


async def _fault(_request: Request) -> Response:
    raise RuntimeError("secret of the house")


async def _refuse(_request: Request) -> Response:
    raise Unavailable("The database does not answer.")


async def _teapot(_request: Request) -> Response:
    raise HTTPException(418, "short and stout")


async def _too_large(_request: Request) -> Response:
    raise HTTPException(413, "Content Too Large")


APP = Starlette(
    routes=[
        Route("/fault", _fault),
        Route("/refuse", _refuse),
        Route("/teapot", _teapot),
        Route("/too-large", _too_large, methods=["POST"]),
    ],
    exception_handlers=handlers(),
)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/fault", 500, "internal"),
        ("GET", "/refuse", 503, "unavailable"),
        ("GET", "/teapot", 418, "internal"),
        ("POST", "/too-large", 413, "too-large"),
        ("GET", "/too-large", 405, "method-not-allowed"),
        ("GET", "/nowhere", 404, "not-found"),
    ],
)
async def test_whatever_goes_wrong_answers_a_problem(
    method: str, path: str, status: int, code: str
) -> None:
    transport = httpx.ASGITransport(APP, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert response.json()["status"] == status
    assert "secret" not in response.text
    if status == 405:
        assert response.headers["allow"] == "POST"
