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
    """How often open connections are checked for revoked grants and ended sessions."""
    pressure_seconds: float = 1.0
    """How often the windows are adjusted to the byte budget."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a request waits for."""

    idle_seconds: float = 2.0
    """A body that can be continued and sends nothing for so long gives its memory to others."""

    lease_seconds: float = 30.0
    """How long an idempotency key stays with a server that died; a living one renews its lease."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What the domain waits for and holds. Times are seconds, sizes are bytes."""

    watermark_seconds: float = 1.0
    """A manifest's `upload_size` and `expires_at` are refreshed at most this often."""

    turn_poll_seconds: float = 1.0
    """How often a request that appends looks whether one in another process has taken its turn."""

    turn_patience_seconds: float = 10.0
    """How long a newer request waits until an older one has stored what came."""

    concat_wait_seconds: float = 20.0
    """How long the request that joins partial uploads waits for the file; then it goes on without
    the client. Less than most proxies wait."""

    spooled_bytes: int = 256 * 1024 * KIB
    """The most of a body with a checksum that waits for it while the upload's size is unknown."""

    progress_seconds: float = 1.0
    """How often a request that appends is told how far it is, where its protocol can."""

    remembered: int = 1024
    """Uploads that are kept in mind between two requests that each bring one piece."""

    late_write_seconds: float = 120.0
    """A tombstone that is kept for longer than this outlives any write that was on its way."""

    deletion_seconds: float = 5.0
    """A delete call waits at most this long until the bytes are gone. The quota is free before."""

    replaced_seconds: float = 60.0
    replaced_rate: float = 2**20
    """What a file had before it was replaced is kept for so long, and for as long as it takes to
    read it at so many bytes a second: who has begun to read it may end."""

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

    archive_files: int = 50_000
    """The most files of one archive; each takes about 2 KiB of memory while it is sent."""

    approve_wait: float = 20.0
    """How long a request waits for approval, unless it says so: less than most proxies wait."""

    approve_seconds: float = 300.0
    """How long an answer to the question may take: whoever is asked reads the file meanwhile."""

    approve_at_once: int = 8
    """So many files are asked for at the same time by a process."""

    todo_poll_seconds: float = 5.0
    """How often a server looks for steps that another process left undone."""

    todo_at_once: int = 4
    """Manifests whose steps a process works on at the same time: a large one holds up few."""

    todo_lease_seconds: float = 30.0
    """How long a step belongs to the process that claimed it, unless it renews its claim."""

    todo_longest_pause: float = 120.0
    """A step that fails again and again is tried at least this often."""


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """What webhooks may cost, and how long one is tried. Times are seconds, sizes are bytes."""

    most: int = 50
    """Webhooks of a server: each event costs one delivery for each of them."""

    poll_seconds: float = 1.0
    """How often the process that sends looks for what is due."""

    look_seconds: float = 5.0
    """How often every process looks which events are wanted, and whether one sends."""

    lease_seconds: float = 30.0
    """After so long another process takes over from one that died."""

    read_at_once: int = 64
    """Deliveries of one webhook that are read from the database together."""

    sent_at_once: int = 4
    """Requests to one webhook at the same time."""

    send_seconds: float = 15.0
    """A request that took longer counts as failed."""

    answer_bytes: int = 4 * KIB
    """Of an answer's body no more is read."""

    pauses: tuple[float, ...] = (
        5.0,
        5 * 60.0,
        30 * 60.0,
        2 * 3600.0,
        5 * 3600.0,
        10 * 3600.0,
        14 * 3600.0,
        20 * 3600.0,
        24 * 3600.0,
    )
    """The pauses after the first try, the second, and so on: those of Standard Webhooks."""

    give_up_seconds: float = 3 * 86_400.0
    """An event that was tried for so long disables its webhook."""

    log_seconds: float = 7 * 86_400.0
    """How long a delivery is kept after its end, and what a disabled webhook did not get."""

    lost_seconds: float = 3600.0
    """How often deliveries of webhooks that were deleted are looked for."""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Links that people share."""

    guesses: int = 10
    """Wrong passwords of one link in each window."""

    guess_seconds: float = 900.0
    """The length of that window."""

    visit_seconds: float = 86_400.0
    """How long a browser that gave the password is not asked again."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """What streams of events cost, and how they are kept. Times are seconds."""

    streams: int = 1000
    """Of a process: each is a connection, with some kilobytes."""
    streams_of_user: int = 20
    """Of one user to a process; a page has one."""

    poll_seconds: float = 1.0
    """How often a process that has streams asks the database what has changed."""
    poll_share: float = 0.1
    """At most this part of the time is spent on asking: where much changes, it is asked less often.
    """
    late_seconds: float = 30.0
    """A change may become visible so long after its time: its write is repeated for 20 s."""
    read_at_once: int = 500
    """Manifests that are read together."""
    window: int = 50_000
    """With more changes in `late_seconds` every stream is told to read its lists again."""

    backlog: int = 256
    """Changes that wait for one reader. A slower one is told to read its lists again."""
    resume_seconds: float = 600.0
    """Whoever was away for longer is told so, too."""
    resumed: int = 1000
    """Whoever missed more, too."""

    beat_seconds: float = 20.0
    """How often a quiet stream shows that it lives, and its credential is looked at again. Proxies
    close what is quiet for a minute."""
    retry_seconds: float = 2.0
    """How long a browser waits before it connects again."""


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What signing in costs, and how often it may be tried. Times are seconds."""

    passes: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4
    """Of argon2id: the second recommended choice of RFC 9106, section 4."""

    hashes_at_once: int = 2
    """Each needs its memory, and about a tenth of a second of a processor."""
    hashes_waiting: int = 64
    """More are refused: they would be answered too late."""

    window_seconds: float = 600.0
    """Attempts are counted for so long; whoever has made too many waits at most so long."""
    tries_of_device: int = 10
    """By a browser in which this name signed in before. Nobody else uses these up."""
    tries_of_pair: int = 10
    """By one address at one name."""
    tries_of_address: int = 60
    """By one address, at all names: a house or a firm may share it."""
    tries_of_name: int = 200
    """At one name, by all addresses."""

    signups_of_address: int = 20
    """Accounts that are asked for, by one address."""

    passkey_seconds: float = 300.0
    """How long an authenticator may take to sign a challenge."""
    oidc_seconds: float = 600.0
    """How long somebody may take to sign in at an OpenID provider."""

    access_seconds: float = 900.0
    """How long an access token is good."""
    session_seconds: float = 30 * 24 * 3600.0
    """A session that is not used for so long is over."""
    grace_seconds: float = 30.0
    """How long the refresh token before the present one gets the same answer again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All of them."""

    receiver: ReceiverLimits = field(default_factory=ReceiverLimits)
    net: NetLimits = NetLimits()
    channel: ChannelLimits = ChannelLimits()
    uploads: UploadLimits = UploadLimits()
    http: HttpLimits = HttpLimits()
    webhooks: WebhookLimits = WebhookLimits()
    links: LinkLimits = LinkLimits()
    events: EventLimits = EventLimits()
    accounts: AccountLimits = AccountLimits()


USUAL_LIMITS = Limits()
