"""What making the pictures of one file may cost, as one frozen object.

Source: page 10 of the design, "The child process" and "Must hold".
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
MEGA = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingLimits:
    """Bounds of a file, and of the process that decodes it."""

    pixels: int = 100 * MEGA
    """Of a picture; more are refused by its header."""
    frames: int = 100
    """An animation with more becomes a still, so does one with larger frames."""
    frame_pixels: int = 10 * MEGA
    read_bytes: int = 1024 * MIB
    """How much of a file the child may read; of a film that is its index and a few frames."""
    picture_bytes: int = 15 * MIB
    """An encoded picture; a longer animation becomes a still. As one document, which MongoDB limits
    to 16 MiB, it must be kept beside its file."""
    wall_seconds: float = 120.0
    """A file may take as long. Waiting for the bytes of the file does not count."""
    job_seconds: float = 600.0
    """The same with the waiting for its bytes, which may come from far away."""
    cpu_seconds: int = 60
    """The kernel's own bound of one file, on all cores together."""
    memory_bytes: int = 2 * 1024 * MIB
    """The address space of the child, where some 600 MiB are its libraries."""
    retire_bytes: int = 300 * MIB
    """A child with more resident memory after a file is replaced by a new one."""
    retire_files: int = 1000
    start_seconds: float = 30.0
    crashes: int = 2
    """A file that ends so many children is not tried again."""


USUAL_LIMITS = ImagingLimits()
