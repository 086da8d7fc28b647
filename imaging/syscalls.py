"""The filter of system calls that the child runs under: what a decoder needs and nothing else.

It may compute, use memory it gets from the kernel, run threads of its own, and read and write what
is open already. It can open no file and no socket, start no program, and signal nobody else.
Everything that is not listed fails with EPERM, as it would in an unlucky container; libraries know
how to go on without the file they wanted.

Sources: seccomp(2), `linux/seccomp.h`, `linux/filter.h`, `linux/audit.h`,
`arch/x86/entry/syscalls/syscall_64.tbl`. Only for x86-64: on other machines the child runs without
a filter. Pure.
"""

from __future__ import annotations

import errno
import struct

MACHINE = "x86_64"
_AUDIT_ARCH_X86_64 = 0xC000003E
_X32 = 0x40000000
"""Calls from here on are those of the x32 interface."""

SECCOMP = 317
"""The number of seccomp(2)."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_CLONE_THREAD = 0x00010000

_CLONE, _TGKILL, _PRLIMIT64, _CLONE3 = 56, 234, 302, 435

ALLOWED = {
    "read": 0,
    "write": 1,
    "close": 3,
    "fstat": 5,
    "poll": 7,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "readv": 19,
    "writev": 20,
    "select": 23,
    "sched_yield": 24,
    "mremap": 25,
    "mincore": 27,
    "madvise": 28,
    "nanosleep": 35,
    "getpid": 39,
    "exit": 60,
    "uname": 63,
    "gettimeofday": 96,
    "getrlimit": 97,
    "getrusage": 98,
    "sysinfo": 99,
    "times": 100,
    "getuid": 102,
    "getgid": 104,
    "geteuid": 107,
    "getegid": 108,
    "getppid": 110,
    "sigaltstack": 131,
    "sched_getparam": 143,
    "sched_getscheduler": 145,
    "sched_get_priority_max": 146,
    "sched_get_priority_min": 147,
    "gettid": 186,
    "time": 201,
    "futex": 202,
    "sched_getaffinity": 204,
    "restart_syscall": 219,
    "clock_gettime": 228,
    "clock_getres": 229,
    "clock_nanosleep": 230,
    "exit_group": 231,
    "newfstatat": 262,
    "pselect6": 270,
    "ppoll": 271,
    "set_robust_list": 273,
    "get_robust_list": 274,
    "getcpu": 309,
    "getrandom": 318,
    "membarrier": 324,
    "rseq": 334,
    "futex_waitv": 449,
}
"""Calls that are allowed whatever their arguments. `newfstatat` is how glibc calls fstat."""


def _instruction(code: int, value: int, when: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when, otherwise, value)


_DENY = _instruction(_RETURN, _ERRNO | errno.EPERM)
_PERMIT = _instruction(_RETURN, _ALLOW)


def _only_if(number: int, *test: bytes) -> list[bytes]:
    """`test` looks at the arguments of one call and ends in a verdict of its own."""
    return [_instruction(_EQUAL, number, 0, len(test)), *test]


def program(pid: int) -> bytes:
    """The filter for the process `pid`, as an array of `struct sock_filter`."""
    load_number = _instruction(_LOAD, _NUMBER)
    load_argument = _instruction(_LOAD, _FIRST_ARGUMENT)
    lines = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, _AUDIT_ARCH_X86_64, 1, 0),
        _instruction(_RETURN, _KILL),
        load_number,
        _instruction(_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _KILL),
    ]
    # A thread of this process; a process of its own is none.
    lines += _only_if(
        _CLONE, load_argument, _instruction(_ANY_BIT, _CLONE_THREAD, 0, 1), _PERMIT, _DENY
    )
    # Its flags lie in memory, where a filter cannot look. With ENOSYS glibc uses clone.
    lines += _only_if(_CLONE3, _instruction(_RETURN, _ERRNO | errno.ENOSYS))
    # abort() and raise(), of this process.
    lines += _only_if(_TGKILL, load_argument, _instruction(_EQUAL, pid, 0, 1), _PERMIT, _DENY)
    # Its own limits; those of another process of the same user would be a weapon.
    lines += _only_if(_PRLIMIT64, load_argument, _instruction(_EQUAL, 0, 0, 1), _PERMIT, _DENY)
    for number in ALLOWED.values():
        lines += _only_if(number, _PERMIT)
    return b"".join([*lines, _DENY])
