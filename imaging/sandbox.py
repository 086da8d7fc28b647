"""What the child gives up before it meets a file, in two steps.

`detach` comes first, while there is one thread: what was inherited is closed, the process ends with
the server, it has a network namespace of its own where the system allows that, and it is nicer than
the server. Then the decoders are loaded, which takes files. `confine` is last: limits of the
kernel, another user where the server runs as root, and the filter of system calls. From then on
there is no way back; of the world the child sees two pipes.

Linux only. Elsewhere nothing is given up but descriptors and limits, and the child says so.
Sources: prctl(2), unshare(2), setrlimit(2), seccomp(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from lading.imaging import syscalls
from lading.imaging.limits import ImagingLimits

NICENESS = 10
NOBODY = 65534
OPEN_FILES = 32

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1

_LINUX = sys.platform == "linux"


class _Program(ctypes.Structure):
    """`struct sock_fprog` of `linux/filter.h`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def take_pipes() -> tuple[int, int]:
    """The two pipes under numbers of their own; whatever prints, prints to nowhere.

    Returns what to read and what to write.
    """
    incoming, outgoing = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.closerange(max(incoming, outgoing) + 1, os.sysconf("SC_OPEN_MAX"))
    for number in range(3, max(incoming, outgoing)):
        if number not in (incoming, outgoing):
            _close(number)
    return incoming, outgoing


def _close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        return  # it was not open


def detach(parent: int) -> bool:
    """Have no network, and end with the parent. Returns whether the kernel took the network away.

    To be called in a session of its own, all of which becomes nicer. SystemExit when the parent is
    gone already.
    """
    os.nice(NICENESS)
    if not _LINUX:
        return False
    # The kernel shares the CPU between sessions first (sched(7), autogroup), and this is one.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS))
    libc = ctypes.CDLL(None, use_errno=True)
    namespaces = [_CLONE_NEWNET]
    if os.geteuid() != 0:
        # Root would be nobody inside and root outside, and could not leave that any more.
        namespaces.append(_CLONE_NEWUSER | _CLONE_NEWNET)
    taken = any(libc.unshare(flags) == 0 for flags in namespaces)
    _end_with(parent)
    return taken


def confine(limits: ImagingLimits, parent: int) -> tuple[bool, bool]:
    """Give everything else up; returns whether there are a filter and another user."""
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(kind, most)
    user = _become_nobody()
    if _LINUX:
        _end_with(parent)  # another user forgets the request
    return _filter(), user


def allow_seconds(seconds: int) -> None:
    """Let this process use so many more seconds of CPU time; then the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _end_with(parent: int) -> None:
    """Ask for SIGKILL at the parent's death: a decoder in a loop would not notice it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the parent is gone already")


def _become_nobody() -> bool:
    """Leave root. The capabilities go with it."""
    if os.geteuid() != 0:
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return False  # a namespace in which that user does not exist
    return True


def _filter() -> bool:
    """Install the filter for all threads; False where the machine or the kernel has none."""
    if not _LINUX or platform.machine() != syscalls.MACHINE:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = syscalls.program(os.getpid())
    program = _Program(len(code) // 8, code)
    answer = libc.syscall(
        syscalls.SECCOMP,
        _SECCOMP_SET_MODE_FILTER,
        _SECCOMP_FILTER_FLAG_TSYNC,
        ctypes.byref(program),
    )
    return bool(answer == 0)
