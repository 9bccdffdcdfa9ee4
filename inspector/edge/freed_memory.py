"""Freed memory stays with the process: the buffer of a frame is used again by the next one.

glibc hands blocks above a threshold back to the kernel, which clears new pages for the next frame: at 1080p that is 5 ms of each frame. The
threshold rises by itself when a larger block is freed, so it depends on what was read at the start; here it is set (mallopt(3)).
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt in glibc's malloc.h."""
_OWN_BYTES = 32 * 1024 * 1024
"""Blocks below this are kept: glibc's upper limit; a frame of 3840 x 2160 has 25 MB."""
_KEPT_BYTES = 128 * 1024 * 1024
"""Free memory at the end of the heap that is kept at most."""


def keep_freed_memory() -> bool:
    """Set both thresholds; return False where the C library has no such thing, which costs speed alone."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _OWN_BYTES) and mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))
