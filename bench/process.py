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
from typing import Any

from storage import launch

ROOT = Path(__file__).parent.parent
STOP_SECONDS = 40.0
"""How long a child may take to end after SIGTERM; a server drains for 20 s at most."""

_TICKS = os.sysconf("SC_CLK_TCK")


class ChildFailed(Exception):
    """A child ended when it should not have; the text is the end of what it wrote."""


def python(*arguments: str) -> list[str]:
    """A command line for this interpreter that ends when this process does."""
    # Only arguments of this program follow; `launch` takes the parent and the program first.
    return [
        *(sys.executable, "-I", "-S", launch.__file__),
        *(str(os.getpid()), sys.executable, *arguments),
    ]


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
    """SIGTERM, and SIGKILL when that is not heard."""
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


def cpu_seconds(pid: int) -> float:
    """The CPU time a process has used, in user and kernel mode, over all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int) -> tuple[int, int]:
    """The resident bytes of a process: now, and at most since it was started."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = int(value.split()[0]) * 1024
    return found["VmRSS"], found["VmHWM"]


def machine_cpu_seconds() -> float:
    """The CPU time that the whole machine has used, kernel included, idle and stolen time not."""
    user, nice, system, _, _, irq, softirq = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / _TICKS
