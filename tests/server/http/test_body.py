"""Request bodies: what is refused, and in which words."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/v1/uploads", b'{"name": 5}', "`name` must be a string, not 5."),
        ("/v1/uploads", b'{"size": 5}', "`name` is required."),
        ("/v1/uploads", b"[]", "The body must be a JSON object."),
        ("/v1/uploads", b"{", "The body is not JSON."),
        ("/v1/uploads", b'{"name": NaN}', "The body is not JSON."),
        (
            "/v1/uploads",
            b'{"name": "a", "size": "\\u001b[2J"}',
            '`size` must be an integer, not "\\u001b[2J".',
        ),
        (
            "/v1/grants",
            b'{"action": "x"}',
            '`action` must be "upload", "download", "share", "request" or "signup".',
        ),
        (
            "/v1/grants",
            b'{"action": "upload", "\\u202e": 1}',
            "`\\u202e` is not a known field; known are `user_id`, `expires_in`, `action`, `name`, "
            "`directory`, `size`, `max_size`, `sha256`, `mime_types`, `kind`, `uses`.",
        ),
    ],
)
async def test_the_refusal_names_the_field_what_was_given_and_what_is_allowed(
    http: httpx.AsyncClient, path: str, body: bytes, detail: str
) -> None:
    answer = await http.post(path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-argument")
    assert answer.json()["detail"] == detail
