"""A child that ends with its parent, closes what it inherited, and may open many files."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lading.storage.embedded import launch

LAUNCH = [sys.executable, "-I", "-S", launch.__file__]

PARENT = """
import os, subprocess, sys
child = subprocess.Popen([*sys.argv[1:], str(os.getpid()), "/bin/sh", "-c", "echo $$; read line"],
                         start_new_session=True, stdin=subprocess.PIPE)
input()
"""

REPORT = """
import os, resource, sys
print(sys.argv[1], *sorted(os.listdir("/proc/self/fd"), key=int), end=" ")
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_the_child_ends_with_its_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *LAUNCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert alive(child)
            parent.kill()
            parent.wait()
            deadline = time.monotonic() + 10
            while alive(child):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            if alive(child):
                os.kill(child, signal.SIGKILL)


def test_a_parent_that_is_gone_already() -> None:
    run = subprocess.run(
        [*LAUNCH, str(os.getpid() + 1), "/bin/sh"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (1, "the parent is gone already\n")


def test_nothing_is_inherited_and_many_files_may_be_opened() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reading, writing = os.pipe()
    # The limit is lowered in the child only: this process may have more files open than that.
    lowered = ["/bin/sh", "-c", 'ulimit -S -n 500 && exec "$@"', "sh"]
    try:
        run = subprocess.run(
            [*lowered, *LAUNCH, str(os.getpid()), sys.executable, "-c", REPORT, "word"],
            capture_output=True,
            text=True,
            check=True,
            pass_fds=(reading, writing),
        )
    finally:
        os.close(reading)
        os.close(writing)
    wanted = min(hard, launch.OPEN_FILES)
    # The fourth descriptor is the one that lists the others.
    assert run.stdout == f"word 0 1 2 3 {wanted} {hard}\n"


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    program = tmp_path / "program"
    run = subprocess.run(
        [*LAUNCH, str(os.getpid()), str(program)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (
        1,
        f"{program} cannot be run: No such file or directory\n",
    )
