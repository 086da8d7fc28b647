"""The JSON of requests and answers, by topic. Each model is both the JSON and its schema.

Requests are pydantic models, which validate. Answers are typed dicts, which cost nothing to make
and which pydantic writes as JSON. `/openapi.json` is made of both.
"""

from lading.server.http.schemas import (
    accounts,
    audit,
    events,
    files,
    grants,
    kinds,
    media,
    overview,
    service,
    tags,
    types,
    uploads,
    webhooks,
)

__all__ = [
    "accounts",
    "audit",
    "events",
    "files",
    "grants",
    "kinds",
    "media",
    "overview",
    "service",
    "tags",
    "types",
    "uploads",
    "webhooks",
]
