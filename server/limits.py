"""Deadlines and bounds that no setting changes, as one frozen object.

`create_app(limits=...)` hands them down, so a test shortens a deadline without patching a module.
Source: page 5 of the design, security list, items 7, 9, 11 and 12.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lading.protocol.receiver import ReceiverLimits

KIB = 1024


@dataclass(frozen=True, slots=True)
class NetLimits:
    """What a socket may cost."""

    header_seconds: float = 15.0
    """Request headers must arrive within this time."""
    max_header_bytes: int = 64 * KIB
    linger_seconds: float = 2.0
    """After a refusal, how long what still comes is read and thrown away."""
    patience_seconds: float = 20.0
    """How often a sender's rate is checked."""
    slowest: int = 1 * KIB
    """Bytes a second that must arrive on average: a tenth of the slowest modem."""
    slowest_pressed: int = 16 * KIB
    """The same while others wait for memory: a piece of 1 MiB in about a minute."""
    unread_seconds: float = 60.0
    """How long a client may read nothing of what it is sent."""
    max_fragments: int = 1024
    """Frames of one message. Browsers and proxies cut a message of 15 MiB into far fewer; more are
    an attack on memory."""
    free_bytes: int = 64 * KIB
    """A message may be this long before it needs a share of the byte budget."""
    pressed_seconds: float = 10.0
    """A request for a share that waits longer waits for slow senders, and not for the disk."""


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """What a WebSocket channel may cost."""

    window_chunks: int = 4
    """The largest pieces that a client may have in flight: enough that they share journal syncs,
    few enough to wait for."""
    quiet_seconds: float = 0.5
    """A draining connection that is silent for this time has nothing more on its way."""
    messages_a_second: float = 2000
    """Faster messages wait: no upload needs more, and others would suffer."""
    least_share: int = 4 * KIB
    """What the smallest piece counts in the byte budget: its task and its document cost memory."""
    verifying_seconds: float = 1.0
    """How often VERIFYING is sent."""
    resume_seconds: float = 5.0
    """With an expired grant, the time to resume an upload that it began."""
    activity_seconds: float = 60.0
    """A piece that takes longer than this to arrive keeps its upload alive meanwhile."""
    grant_seconds: float = 2.0
    """How often open connections are checked for revoked grants."""
    pressure_seconds: float = 1.0
    """How often the windows are adjusted to the byte budget."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a request waits for."""

    lease_seconds: float = 30.0
    """How long an idempotency key stays with a server that died; a living one renews its lease."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What the domain waits for and holds. Times are seconds, sizes are bytes."""

    watermark_seconds: float = 1.0
    """A manifest's `upload_size` and `expires_at` are refreshed at most this often."""

    remembered: int = 1024
    """Uploads that are kept in mind between two requests that each bring one piece."""

    late_write_seconds: float = 120.0
    """A tombstone that is kept for longer than this outlives any write that was on its way."""

    deletion_seconds: float = 5.0
    """A delete call waits at most this long until the bytes are gone. The quota is free before."""

    verified_at_once: int = 4
    """Uploads whose bytes are read back at the same time. Each needs memory for reading ahead."""

    verification_turn: int = 32 * 2**20
    """After so many bytes of one upload another's turn comes, so a large one blocks no other."""

    reader_ahead: int = 4 * 2**20
    """The most bytes that one reader fetches ahead; one cell where cells are larger."""

    all_readers_ahead: int = 64 * 2**20
    """The same for all readers of a process together. Further readers do not read ahead."""

    outcome_seconds: float = 60.0
    """How long the outcome of a FINISH is kept for a caller that has to come back for it."""

    finish_wait: float = 10.0
    """How long such a caller waits each time, unless it says so."""

    live_seconds: float = 90.0
    """An upload that received nothing for this time has stalled: nobody waits for its next bytes.
    Longer than a channel takes to note that a piece is arriving (`activity_seconds`)."""

    longest_wait: float = 60.0
    """The longest that a request may ask to wait for bytes: less than most proxies wait."""

    arrival_poll_seconds: float = 1.0
    """How often the database is asked for pieces that other processes stored."""

    largest_put: int = 5 * 2**30
    """The most bytes that a client sends to a bucket by one PUT: S3 takes no more."""

    direct_part: int = 64 * 2**20
    """The usual length of a part of a larger file."""

    picture_wait: float = 2.0
    """How long a request waits for a picture that is being made; then it is to be sent again."""

    todo_poll_seconds: float = 5.0
    """How often a server looks for steps that another process left undone."""

    todo_at_once: int = 4
    """Manifests whose steps a process works on at the same time: a large one holds up few."""

    todo_lease_seconds: float = 30.0
    """How long a step belongs to the process that claimed it, unless it renews its claim."""

    todo_longest_pause: float = 120.0
    """A step that fails again and again is tried at least this often."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All of them."""

    receiver: ReceiverLimits = field(default_factory=ReceiverLimits)
    net: NetLimits = NetLimits()
    channel: ChannelLimits = ChannelLimits()
    uploads: UploadLimits = UploadLimits()
    http: HttpLimits = HttpLimits()


USUAL_LIMITS = Limits()
