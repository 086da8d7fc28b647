"""How credentials come with requests, and whose requests the cookie counts on."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from lading.protocol.errors import Unauthorized
from lading.server.access.cookie import (
    bearer,
    cookie_token,
    give_cookie,
    is_own_origin,
    take_cookie,
)

PUBLIC = "https://files.example.org/lading"


def request(method: str = "GET", scheme: str = "http", **headers: str) -> Request:
    listed = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    return Request(
        {
            "type": "http",
            "method": method,
            "scheme": scheme,
            "path": "/",
            "query_string": b"",
            "headers": [(b"host", b"here:8080"), *listed],
        }
    )


def upgrade(**headers: str) -> HTTPConnection:
    return HTTPConnection({**request(**headers).scope, "type": "websocket", "method": None})


# -- the header


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER   abc  "])
def test_a_bearer_token_is_taken_from_the_header(header: str) -> None:
    found = bearer(request("POST", authorization=header, cookie="lading_token=other"))
    assert found == "abc"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_another_authorization_is_refused_though_there_is_a_cookie(header: str) -> None:
    with pytest.raises(Unauthorized):
        bearer(request(authorization=header, cookie="lading_token=abc"))


# -- the cookie


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_cookie_is_taken_where_there_is_no_header(method: str) -> None:
    assert bearer(request(method, cookie="lading_token=abc")) == "abc"
    assert bearer(request(method, cookie="x=y")) is None


OWN = [
    {"sec_fetch_site": "same-origin"},
    {"sec_fetch_site": "same-origin", "origin": "http://inside:1"},
    {"origin": "http://here:8080"},
    {"origin": "https://here:8080"},
    {"origin": "https://files.example.org"},
]
FOREIGN = [
    {},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "none"},
    {"sec_fetch_site": ""},
    {"sec_fetch_site": "same-site", "origin": "http://here:8080"},
    {"origin": ""},
    {"origin": "null"},
    {"origin": "http://here"},
    {"origin": "http://here:8081"},
    {"origin": "http://here:8080.evil.example"},
    {"origin": "http://["},
    {"origin": "http://files.example.org"},
    {"origin": "https://evil.example"},
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "get", "X"])
@pytest.mark.parametrize("headers", OWN, ids=str)
def test_on_what_changes_something_it_counts_from_the_servers_own_page(
    method: str, headers: dict[str, str]
) -> None:
    assert bearer(request(method, cookie="lading_token=abc", **headers), PUBLIC) == "abc"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "get", "X"])
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_and_from_no_other(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        bearer(request(method, cookie="lading_token=abc", **headers), PUBLIC)
    assert bearer(request(method, **headers), PUBLIC) is None


def test_a_channel_takes_it_from_the_servers_own_page_only() -> None:
    for headers in OWN:
        assert cookie_token(upgrade(cookie="lading_token=abc", **headers), PUBLIC) == "abc"
    for headers in FOREIGN:
        with pytest.raises(Unauthorized):
            cookie_token(upgrade(cookie="lading_token=abc", **headers), PUBLIC)


def test_the_public_address_is_an_origin_of_the_servers_only_where_it_is_set() -> None:
    connection = request()
    assert is_own_origin("https://files.example.org", connection, PUBLIC)
    assert not is_own_origin("https://files.example.org", connection)
    assert is_own_origin("http://here:8080", connection)


def given(
    connection: Request, *, public_url: str | None = None, seconds: float | None = None
) -> set[str]:
    response = Response()
    give_cookie(response, connection, "abc", public_url=public_url, seconds=seconds)
    return set(response.headers["set-cookie"].split("; "))


def test_it_is_out_of_reach_of_scripts_and_of_other_sites() -> None:
    bounds = {"lading_token=abc", "HttpOnly", "Path=/", "SameSite=strict"}
    assert given(request()) == {*bounds, f"Max-Age={30 * 86400}"}
    assert "Secure" in given(request(scheme="https"))
    assert "Secure" in given(request(), public_url=PUBLIC)
    assert "Secure" not in given(request(), public_url="http://files.example.org")


@pytest.mark.parametrize(("seconds", "kept"), [(90.9, 90), (0.5, 0), (-1, 0)])
def test_it_ends_with_the_credential(seconds: float, kept: int) -> None:
    assert f"Max-Age={kept}" in given(request(), seconds=seconds)


def test_it_can_be_forgotten() -> None:
    response = Response()
    take_cookie(response, request(), None)
    parts = response.headers["set-cookie"].split("; ")
    assert parts[0] in ('lading_token=""', "lading_token=")
    assert {"Max-Age=0", "HttpOnly", "Path=/", "SameSite=strict"} <= set(parts)
