"""Becomes another program that ends when its parent does.

Run as a script: `python -I -S launch.py PARENT_PID PROGRAM ARGUMENT...`. This is what must
happen in a child before the program takes over.

Why a script and not `preexec_fn`: Python code between fork and exec can deadlock in a process
that has threads (the documentation of `subprocess` says so), and a supervisor starts its child
again at any moment. It also closes what the parent left inheritable, as uvicorn
leaves its listening sockets: uvloop, unlike asyncio, does not close them.

The death signal is sent when the *thread* that started this process ends (prctl(2),
PR_SET_PDEATHSIG), so it must be started from a thread that lives as long as the server does:
the one that runs the event loop.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
OPEN_FILES = 64_000
"""What MongoDB recommends; many shells and containers start with 1,024."""


def end_with(parent: int) -> None:
    """Ask for SIGTERM at the parent's death. Only Linux has such a request."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        # It died before the request: the signal will never come.
        raise SystemExit("the parent is gone already")


def allow_open_files(wanted: int) -> None:
    """Raise the soft limit of open files to `wanted`, or to the hard limit if that is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(parent: str, program: str, *arguments: str) -> None:
    """Become the program. Returns only by an exception, with the reason."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    end_with(int(parent))
    allow_open_files(OPEN_FILES)
    try:
        os.execv(program, [program, *arguments])  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise SystemExit(f"{program} cannot be run: {error.strerror}") from error


if __name__ == "__main__":
    main(*sys.argv[1:])
