"""The work that a receiver asks for: each method does one effect and reports the answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import structlog

from lading.protocol import effects as e
from lading.protocol.errors import Internal, LadingError, NotFound, UploadEnded
from lading.protocol.manifest import State
from lading.protocol.messages import OVERHEAD
from lading.protocol.receiver import Receiver
from lading.server.access.principal import Principal
from lading.server.channel.credential import Credential
from lading.server.channel.socket import Socket
from lading.server.net.byte_budget import Reservation
from lading.server.net.record import Record
from lading.server.services import Services
from lading.server.uploads import OpenUpload, nothing_stored
from lading.server.urls import file_url

log = structlog.get_logger()

Opening = asyncio.Future[OpenUpload | LadingError]

Asked = OpenUpload | Opening | LadingError | None
"""The upload of a piece: open, being opened, why it is not, or None once it is finished."""


class Requests:
    """The uploads of one channel. `now` is the receiver's clock; `flush` is called when there is
    news for the client before the work is done."""

    __slots__ = (
        "_credential",
        "_flush",
        "_now",
        "_opening",
        "_receiver",
        "_record",
        "_server",
        "_socket",
        "_uploads",
    )

    def __init__(
        self,
        server: Services,
        receiver: Receiver,
        credential: Credential,
        socket: Socket | None,
        record: Record,
        *,
        now: Callable[[], float],
        flush: Callable[[], None],
    ) -> None:
        self._server = server
        self._receiver = receiver
        self._credential = credential
        self._socket = socket
        self._now = now
        self._flush = flush
        self._uploads: dict[int, OpenUpload] = {}
        self._opening: dict[int, Opening] = {}
        """Those that are being created."""
        self._record = record

    @property
    def _principal(self) -> Principal:
        assert self._credential.principal is not None
        return self._credential.principal

    def upload(self, effect: e.Write) -> Asked:
        """The upload that a piece is for."""
        opening = None if effect.upload_id else self._opening.get(effect.ref)
        if opening is not None:
            return opening
        # Its upload may have been opened since the receiver took the piece, or refused.
        upload = self._uploads.get(effect.ref)
        return NotFound() if upload is None and not effect.upload_id else upload

    def forget(self, ref: int) -> None:
        """The client was told that the `ref` is free."""
        self._uploads.pop(ref, None)

    async def authenticate(self, effect: e.Authenticate) -> None:
        try:
            principal = await self._credential.check(effect.token)
        except LadingError as error:
            self._receiver.rejected(error)
        except Exception as error:
            self._receiver.rejected(_fault(error))
        else:
            now = self._now()
            expires, outlived = self._credential.expires(now), principal.grant is not None
            self._receiver.authenticated(principal.user_id, expires, now, outlived=outlived)

    def begin(self, effect: e.Create) -> None:
        """From now on pieces of the upload may come; they wait until `open` has been done."""
        self._opening[effect.ref] = asyncio.get_running_loop().create_future()
        if effect.spec.size is not None and effect.spec.chunk_size is None:
            self._expect(self._server.settings.chunk_size)

    async def open(self, effect: e.Create | e.Resume) -> None:
        outcome: OpenUpload | LadingError = Internal()
        try:
            outcome = await self._open(effect)
        finally:
            opening = self._opening.pop(effect.ref, None)
            if opening is not None:
                opening.set_result(outcome)

    async def _open(self, effect: e.Create | e.Resume) -> OpenUpload | LadingError:
        uploads, rules = self._server.uploads, None
        try:
            if isinstance(effect, e.Create):
                upload = await uploads.create(self._principal, effect.spec)
                if effect.spec.sha256_follows or effect.spec.sha256 is not None:
                    uploads.hash_along(upload)
                stored = nothing_stored(upload.manifest)
                kind = uploads.kinds.get(upload.manifest.kind)
                rules = None if kind is None else kind.rules()
            else:
                upload, stored = await uploads.resume(self._principal, effect.upload_id)
        except Exception as error:
            refusal = _refusal(error)
            self._receiver.failed(effect.ref, refusal, self._now())
            return refusal
        self._record.note_upload(upload.manifest.id)
        if upload.manifest.state is State.READY:
            self._uploads.pop(effect.ref, None)
        else:
            self._uploads[effect.ref] = upload
        self._expect(upload.manifest.chunk_size)
        self._receiver.opened(effect.ref, upload.manifest, stored, rules)
        return upload

    def _expect(self, chunk_size: int) -> None:
        """Pieces of so many bytes may come."""
        if self._socket is not None:
            self._socket.longest = max(self._socket.longest, chunk_size + OVERHEAD)

    async def write(self, effect: e.Write, upload: Asked, reservation: Reservation | None) -> None:
        ref, slice_start, size = effect.ref, effect.slice_start, len(effect.data)
        try:
            if isinstance(upload, asyncio.Future):
                # Shielded: who is cancelled while it waits must not cancel it for the others.
                upload = await asyncio.shield(upload)
            if isinstance(upload, LadingError):
                self._receiver.refused(ref, slice_start, size, upload)
                return
            if upload is None:  # it is finished
                upload, _ = await self._server.uploads.resume(self._principal, effect.upload_id)
            written = await self._server.uploads.write(
                upload, slice_start, effect.data, effect.crc32c
            )
        except Exception as error:
            refusal = _refusal(error)
            self._receiver.refused(ref, slice_start, size, refusal)
            if isinstance(refusal, UploadEnded):
                self._lost(ref, refusal)
        else:
            self._record.pieces += 1
            self._receiver.stored(ref, slice_start, size, written.upload_size)
        finally:
            if reservation is not None:
                reservation.release()

    async def finish(self, effect: e.Finish) -> None:
        reported = self._now()

        def progress(done: int, total: int) -> None:
            nonlocal reported
            if self._now() - reported >= self._server.limits.channel.verifying_seconds:
                reported = self._now()
                self._receiver.verifying(effect.ref, done, total)
                self._flush()

        try:
            manifest = await self._server.uploads.finish(
                self._principal,
                effect.upload_id,
                effect.size,
                effect.sha256,
                progress=progress,
                patience=math.inf,
            )
        except Exception as error:
            self._failed(effect.ref, error)
        else:
            # A connection may have a thousand finished uploads, and nothing more comes to most.
            self._uploads.pop(effect.ref, None)
            url = file_url(self._server.settings, manifest.id)
            self._receiver.completed(effect.ref, manifest, url)

    async def abort(self, effect: e.Abort) -> None:
        try:
            await self._server.uploads.abort(self._principal, effect.upload_id)
        except UploadEnded:
            self._receiver.closed(effect.ref, self._now())
        except Exception as error:
            self._failed(effect.ref, error)
        else:
            self._receiver.closed(effect.ref, self._now())

    async def touch(self) -> None:
        """Keep the uploads alive whose bytes may be arriving."""
        for ref, upload in list(self._uploads.items()):
            if upload.manifest.state is State.READY:
                continue
            try:
                await self._server.uploads.touch(upload)
            except UploadEnded as error:
                # Meanwhile the ref may have come to stand for another upload.
                if self._uploads.get(ref) is upload:
                    self._lost(ref, error)
            except LadingError:
                pass  # a database that is down is reported by every other operation

    def _lost(self, ref: int, error: LadingError) -> None:
        self._uploads.pop(ref, None)
        self._receiver.lost(ref, error, self._now())

    def _failed(self, ref: int, error: Exception) -> None:
        self._receiver.failed(ref, _refusal(error), self._now())


def _refusal(error: Exception) -> LadingError:
    return error if isinstance(error, LadingError) else _fault(error)


def _fault(error: Exception) -> LadingError:
    log.error("fault", path="/v1/ws", exc_info=error)
    return Internal()
