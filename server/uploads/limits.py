"""The limits of the domain's own: how long, how often, how many at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """One frozen object, handed to `Uploads`. Times are seconds, sizes are bytes."""

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

    todo_poll_seconds: float = 5.0
    """How often a server looks for steps that another process left undone."""

    todo_lease_seconds: float = 30.0
    """How long a step belongs to the process that claimed it, unless it renews its claim."""

    todo_longest_pause: float = 600.0
    """A step that fails again and again is tried at least this often."""
