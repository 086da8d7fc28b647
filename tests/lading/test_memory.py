"""What is freed is kept: seen in the page faults of a process that uses memory again and again."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from lading.memory import keep_freed
if sys.argv[1] == "keep":
    keep_freed()
bytearray(2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    held = [bytes(bytearray(2**20)) for _ in range(4)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    run = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's malloc can be told so")
def test_freed_memory_is_used_again() -> None:
    assert faults("keep") * 4 < faults("leave")
