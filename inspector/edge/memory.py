"""The memory limit: whether the daemon holds more memory than its settings allow, as Linux counts it."""

import os
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """A limit on this process' resident memory."""

    max_rss_bytes: int
    """Most resident bytes; 0: no limit."""

    def excess(self) -> str:
        """Return in words that the limit is passed, and by what; empty if it is not."""
        if not self.max_rss_bytes or (held := rss_bytes()) <= self.max_rss_bytes:
            return ""
        return f"{held} bytes of memory are more than health.max_rss_bytes = {self.max_rss_bytes}"


def rss_bytes() -> int:
    """Return the resident memory of this process, bytes."""
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
