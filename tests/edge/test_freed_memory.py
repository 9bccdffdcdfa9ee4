"""Freed memory stays with the process: large buffers are used again without the kernel."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from inspector.edge.freed_memory import keep_freed_memory

kept = keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(5):
    np.ones(6_000_000, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    np.ones(6_000_000, np.uint8)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    kept, count = done.stdout.split()
    return kept, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")
def test_a_frame_takes_the_place_of_the_last_one_without_new_pages() -> None:
    kept, few = faults("keep")
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert few < 40
