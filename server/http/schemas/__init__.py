"""The JSON of requests and answers, by topic. Each model is both the JSON and its schema.

Requests are pydantic models, which validate. Answers are typed dicts, which cost nothing to make
and which pydantic writes as JSON. `/openapi.json` is made of both.
"""

from lading.server.http.schemas import (
    files,
    grants,
    kinds,
    media,
    service,
    tags,
    types,
    uploads,
)

__all__ = ["files", "grants", "kinds", "media", "service", "tags", "types", "uploads"]
