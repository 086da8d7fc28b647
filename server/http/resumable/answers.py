"""The answers to the requests of the IETF's draft: what each must tell, also a refusal."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol import rufh
from lading.protocol.digests import format_digest_field
from lading.protocol.errors import Gone, LadingError, NotFound, TooLarge
from lading.protocol.manifest import Manifest, State
from lading.server.http import schemas
from lading.server.http.download.refusal import refusal
from lading.server.http.endpoints import adapter
from lading.server.http.openapi.operation import JSON
from lading.server.services import Services
from lading.server.urls import file_url

NO_STORE = {"Cache-Control": "no-store"}


@dataclass(slots=True)
class Said:
    """What the answer of this request must tell, also if it is a refusal."""

    dialect: rufh.Dialect
    announced: bool
    complete: bool = False
    """Whether the answer is the one that the whole upload leads to."""
    offset: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, str]:
        """The headers for it."""
        state = rufh.fields(self.dialect, offset=self.offset, complete=self.complete)
        return NO_STORE | self.headers | state


def begin(request: Request) -> Said:
    """What is known before a request is understood: the version that it speaks."""
    dialect = rufh.spoken(request.headers)
    return Said(dialect or rufh.NEWEST, announced=dialect is not None)


def refuse(request: Request, said: Said, error: LadingError) -> Response:
    """The problem document, with the state of the upload."""
    if isinstance(error, Gone) and said.dialect.gone_is_unknown:
        error = NotFound(str(error))
    if isinstance(error, TooLarge) and "limit" in error.extra:
        said.headers |= rufh.limits(said.dialect, error.extra["limit"], None)
    return refusal(request, error, said.fields())


def limits(said: Said, server: Services, manifest: Manifest) -> dict[str, str]:
    """The header that tells the limits of an upload, in a version that has one."""
    over = manifest.expires_at is None or manifest.state is State.READY
    left = None if over or manifest.expires_at is None else manifest.expires_at - server.clock()
    return rufh.limits(said.dialect, manifest.max_size, left)


def finished(request: Request, server: Services, said: Said, file: Manifest) -> Response:
    """What the resource that was asked first would have answered."""
    headers = {"Location": file_url(server.settings, file.id)} | said.fields()
    digests = [format_digest_field("sha-256", bytes.fromhex(file.sha256))] if file.sha256 else []
    if file.crc32c is not None and "want-repr-digest" in request.headers:
        digests.append(format_digest_field("crc32c", file.crc32c.to_bytes(4, "big")))
    if digests:
        headers["Repr-Digest"] = ", ".join(digests)
    body = adapter(schemas.files.Manifest).dump_json(schemas.files.manifest_of(file))
    return Response(body, 201, headers, media_type=JSON)
