"""What the child can still do, seen from outside by /proc and tried from inside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from lading.imaging import sandbox, syscalls
from lading.imaging.ladder import VARIANTS
from lading.imaging.limits import USUAL_LIMITS
from lading.imaging.worker import ENVIRONMENT
from tests.imaging.hostile import LOADERS
from tests.imaging.test_worker import PHOTO
from tests.support.imaging import SAMPLES, Studio
from tests.support.missing import missing

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may look into a process that gave up its rights"
)


def proc(pid: int, name: str) -> Path:
    """What the kernel says of the child."""
    return Path(f"/proc/{pid}/{name}")


def status(pid: int) -> dict[str, str]:
    lines = proc(pid, "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def links(folder: str) -> list[str]:
    return [str(entry.readlink()) for entry in Path(folder).iterdir()]


@pytest.fixture(
    scope="module",
    params=[asyncio.new_event_loop, uvloop.new_event_loop],
    ids=["asyncio", "uvloop"],
)
def pid(request: pytest.FixtureRequest) -> Iterator[int]:
    """A child of a server that holds a secret and an open file; servers run with uvloop."""
    os.environ["LADING_ADMIN_TOKEN"] = "secret"
    inherited = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    studio = Studio(new_loop=request.param)
    studio.make(PHOTO)
    (memory,) = studio.memory()
    yield memory.pid
    studio.close()
    os.close(inherited)
    del os.environ["LADING_ADMIN_TOKEN"]


def test_the_kernel_confines_the_child(pid: int) -> None:
    found = status(pid)
    assert found["Seccomp"] == "2"
    assert found["NoNewPrivs"] == "1"
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
    fields = proc(pid, "stat").read_text().rpartition(")")[2].split()
    assert int(fields[16]) == min(19, os.nice(0) + sandbox.NICENESS)
    if proc(pid, "autogroup").exists():
        assert proc(pid, "autogroup").read_text().split()[1:] == ["nice", str(sandbox.NICENESS)]
    assert int(fields[3]) == pid  # a session of its own: no terminal, no Ctrl-C


@as_root
def test_a_server_of_root_has_a_child_of_nobody(pid: int) -> None:
    found = status(pid)
    assert set(found["Uid"].split()) == set(found["Gid"].split()) == {str(sandbox.NOBODY)}
    assert found["Groups"] == ""


@as_root
def test_the_child_has_two_pipes_and_no_socket(pid: int) -> None:
    open_files = links(f"/proc/{pid}/fd")
    pipes = [name for name in open_files if name.startswith("pipe:")]
    assert len(pipes) == 2
    assert set(open_files) - set(pipes) == {"/dev/null"}
    assert proc(pid, "cwd").readlink() == Path("/")
    lines = proc(pid, "environ").read_bytes().split(b"\0")
    told = dict(line.decode().split("=", 1) for line in lines if line)
    assert {name: told.pop(name) for name in ENVIRONMENT} == ENVIRONMENT
    assert set(told) <= {"LC_CTYPE"}  # Python's own


@as_root
def test_the_child_has_a_network_without_interfaces(pid: int) -> None:
    assert proc(pid, "ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    lines = proc(pid, "net/dev").read_text().splitlines()[2:]
    assert [line.partition(":")[0].strip() for line in lines] == ["lo"]


def test_limits_of_the_kernel(pid: int) -> None:
    text = proc(pid, "limits").read_text()
    limits = {line[:26].strip(): line[26:].split() for line in text.splitlines()[1:]}
    most = str(USUAL_LIMITS.memory_bytes)
    assert limits["Max address space"] == [most, most, "bytes"]
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0", "bytes"]
    soft = int(limits["Max cpu time"][0])
    assert USUAL_LIMITS.cpu_seconds <= soft <= USUAL_LIMITS.cpu_seconds + 10


# -- while it works --------------------------------------------------------------------------------

CALL = re.compile(r"\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed>).*\) += (?:-1 (E\w+)|\?|[0-9])")
"""A line of strace: the call, and its failure. One that was begun and not ended has no result."""


def calls(pid: int, log: Path, work: Callable[[], object]) -> tuple[set[str], set[tuple[str, str]]]:
    """What a process asks the kernel for meanwhile: what it gets, and what fails and how."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-e", "raw=all", "-o", str(log), "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    with tracer.stderr:
        assert "attached" in tracer.stderr.readline()
        work()
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    found = [match.groups() for match in map(CALL.match, log.read_text().splitlines()) if match]
    failed = {(name, failure) for name, failure in found if failure}
    return {name for name, failure in found if not failure}, failed


@as_root
def test_a_child_at_work_asks_for_nothing_that_it_may_not_have(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        missing("strace is missing (Debian: apt-get install strace)")
    studio = Studio()
    try:
        studio.make(PHOTO)
        (memory,) = studio.memory()
        files = [SAMPLES / name for name in set(LOADERS.values())]
        got, failed = calls(
            memory.pid, tmp_path / "calls", lambda: [studio.make(one, VARIANTS) for one in files]
        )
    finally:
        studio.close()
    assert {"read", "write"} <= got
    assert got <= {*syscalls.ALLOWED, "clone", "tgkill", "prlimit64"}
    sockets = {"socket", "socketpair", "connect", "bind", "sendto", "recvfrom"}
    files_and_programs = {"open", "openat", "creat", "execve", "fork", "vfork", "clone3"}
    assert not got & (sockets | files_and_programs)
    assert not {name for name, _ in failed} & sockets, "not even tried"


# -- from inside -----------------------------------------------------------------------------------

INSIDE = """
import ctypes, json, os, resource, signal, socket, sys, threading
from lading.imaging import sandbox
from lading.imaging.limits import USUAL_LIMITS

parent = os.getppid()
sandbox.detach(parent)
sandbox.confine(USUAL_LIMITS, parent)
libc = ctypes.CDLL(None, use_errno=True)
def number(*call):
    if libc.syscall(*call) < 0:
        raise OSError(ctypes.get_errno(), "")
trials = {
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "create": lambda: os.open("/tmp/from-the-child", os.O_CREAT | os.O_WRONLY),
    "list": lambda: os.listdir("/"),
    "unlink": lambda: os.unlink("/tmp/nothing"),
    "rename": lambda: os.rename("/tmp/nothing", "/tmp/nothing-else"),
    "socket": lambda: socket.socket(),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "socket pair": lambda: socket.socketpair(),
    "fork": lambda: os.fork() or os._exit(0),
    "program": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(parent, 0),
    "limits of others": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE),
    "ptrace": lambda: number(101, 16, parent, 0, 0),
    "memory of others": lambda: number(310, parent, 0, 0, 0, 0, 0),
    "user namespace": lambda: number(272, 0x10000000),
    "mount": lambda: number(165, 0, 0, 0, 0, 0),
    "io_uring": lambda: number(425, 1, 0),
    "pidfd": lambda: os.pidfd_open(parent),
    "root again": lambda: os.setuid(0),
    "chroot": lambda: os.chroot("/"),
    "message queue": lambda: number(68, 0, 0o1000),
    "shared memory": lambda: number(29, 0, 4096, 0o1000),
    "key": lambda: number(248, 0, 0, 0, 0, 0),
    "terminal": lambda: number(16, 0, 0x5412, 0),
}
found = {}
for name, trial in trials.items():
    try:
        trial()
    except OSError as error:
        found[name] = error.errno
    else:
        found[name] = 0
heard = []
thread = threading.Thread(target=lambda: heard.append(1))
thread.start(); thread.join()
found["a thread"] = len(heard)
os.write(1, json.dumps(found).encode())
"""


def run(code: str) -> subprocess.CompletedProcess[bytes]:
    # A session of its own, as the child has: `detach` makes all of its session nicer.
    return subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )


def test_inside_there_is_nothing_to_reach() -> None:
    done = run(INSIDE)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.pop("a thread") == 1
    assert set(found.values()) == {1}, found  # EPERM


WITHOUT_ADMINISTRATION = """
import ctypes, os, struct
from lading.imaging import sandbox
from lading.imaging.limits import USUAL_LIMITS

libc = ctypes.CDLL(None, use_errno=True)
header, found = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
assert libc.capget(header, found) == 0
words = list(struct.unpack("=6I", found.raw))
for at in (0, 1):
    words[at] &= ~(1 << 21)  # CAP_SYS_ADMIN
assert libc.capset(header, struct.pack("=6I", *words)) == 0
parent = os.getppid()
network = sandbox.detach(parent)
filtered, user = sandbox.confine(USUAL_LIMITS, parent)
os.write(1, f"{network} {filtered} {user} {os.getuid()}".encode())
"""


@as_root
def test_root_that_gets_no_network_of_its_own_is_left_all_the_same() -> None:
    """As in a container. A user namespace would hide root instead of leaving it."""
    done = run(WITHOUT_ADMINISTRATION)
    assert done.stdout.decode() == f"False True True {sandbox.NOBODY}", done.stderr


def test_a_loop_ends_by_the_kernels_clock() -> None:
    done = run("from lading.imaging import sandbox\nsandbox.allow_seconds(0)\nwhile True: pass")
    assert done.returncode == -signal.SIGXCPU


def test_it_does_not_start_for_a_parent_that_is_gone() -> None:
    done = run("from lading.imaging import sandbox\nsandbox.detach(1 << 22)")
    assert done.returncode == 1
    assert b"gone already" in done.stderr
