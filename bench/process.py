"""Processes that the bench starts, and what /proc says about them.

It owns starting and ending a child and reading its CPU time and memory. It refuses to know what
the children do. Linux only: see proc(5).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lading.storage.embedded import launch

ROOT = Path(__file__).parent.parent
STOP_SECONDS = 40.0
"""How long a child may take to end after SIGTERM; a server drains for 20 s at most."""

_TICKS = os.sysconf("SC_CLK_TCK")


class ChildFailed(Exception):
    """A child ended unexpectedly; the text is the end of its output."""


def program(*command: str) -> list[str]:
    """A command line that ends when this process does, and may open many files."""
    # `launch` takes the parent and the program first.
    return [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *command]


def python(*arguments: str) -> list[str]:
    """A command line for this interpreter that ends when this process does."""
    return program(sys.executable, *arguments)


@asynccontextmanager
async def child(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a child in the checkout's root until the end of the block, then ask it to end.

    What it writes goes to `log`. Of the settings of Lading it has those given here and no others.
    """
    inherited = {name: value for name, value in os.environ.items() if name[:7] != "LADING_"}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**inherited, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for this process, which ends the others in order
        )
    try:
        yield process
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL if that has no effect."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def ask(module: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a module of this package as a process: a job in on its standard input, the result out.

    Raises ChildFailed with the end of what it wrote to standard error.
    """
    process = await asyncio.create_subprocess_exec(
        *python("-m", module),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors = await process.communicate(json.dumps(job).encode())
    finally:
        await end(process)
    if process.returncode != 0:
        raise ChildFailed(f"{module} ended with {process.returncode}:\n{errors.decode()[-2000:]}")
    result: dict[str, Any] = json.loads(output)
    return result


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child_pid in (task / "children").read_text().split():
            found += family(int(child_pid))
    return found


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process and its family have used, in user and kernel mode."""
    return sum(_own_cpu_seconds(member) for member in family(pid))


def _own_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Memory(NamedTuple):
    """The resident bytes of a process and its family: now, and at most since `forget_peak`."""

    now: int
    peak: int


def memory(pid: int) -> Memory:
    """What a process and its family have resident; the peak is the sum of each one's own."""
    found = [_own_memory(member) for member in family(pid)]
    return Memory(sum(one.now for one in found), sum(one.peak for one in found))


def _own_memory(pid: int) -> Memory:
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = int(value.split()[0]) * 1024
    return Memory(found["VmRSS"], found["VmHWM"])


def forget_peak(pid: int) -> None:
    """Reset the peak of the process and its family."""
    for member in family(pid):
        Path(f"/proc/{member}/clear_refs").write_text("5")


def machine_cpu_seconds() -> float:
    """The CPU time that the whole machine has used, kernel included, idle and stolen time not."""
    user, nice, system, _, _, irq, softirq = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / _TICKS
