"""A GigE Vision camera in a process of its own, Aravis' simulated one with painted pictures, which signals make fail.

SIGUSR1 freezes the picture, SIGUSR2 takes control away, SIGALRM loses one packet in a hundred, SIGHUP loses none again. It needs
Debian's libaravis-0.8-0 and the fixed port 3956 of 127.0.0.1.
"""

import ctypes as c
import signal
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from tests.faults.cameras.paint import now_ms, painted

LIBRARY = "libaravis-0.8.so.0"
_CONTROL_REGISTER = 0x0A00
_FILL = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p, c.c_uint32, c.c_uint32, c.c_uint32)


def is_installed() -> bool:
    """Return whether the library is on this machine."""
    try:
        c.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def _library() -> Any:
    """Load the library and say what its functions take: pointers do not fit the default, an int."""
    library = c.CDLL(LIBRARY)
    for name, result, arguments in (
        ("arv_gv_fake_camera_new", c.c_void_p, [c.c_char_p, c.c_char_p]),
        ("arv_gv_fake_camera_get_fake_camera", c.c_void_p, [c.c_void_p]),
        ("arv_gv_fake_camera_is_running", c.c_int, [c.c_void_p]),
        ("arv_buffer_get_data", c.c_void_p, [c.c_void_p, c.POINTER(c.c_size_t)]),
        ("arv_buffer_get_image_width", c.c_int, [c.c_void_p]),
        ("arv_buffer_get_image_height", c.c_int, [c.c_void_p]),
        ("arv_fake_camera_write_register", c.c_int, [c.c_void_p, c.c_uint32, c.c_uint32]),
        ("arv_fake_camera_set_fill_pattern", None, [c.c_void_p, _FILL, c.c_void_p]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _painter(library: Any, frozen_ms: list[int]) -> Callable[..., None]:
    """Return what paints each frame: the instant, or the one in ``frozen_ms``."""

    def fill(buffer: int, data: int, exposure: int, gain: int, pixel_format: int) -> None:
        width, height = library.arv_buffer_get_image_width(buffer), library.arv_buffer_get_image_height(buffer)
        start = library.arv_buffer_get_data(buffer, c.byref(c.c_size_t()))
        pixels = np.ctypeslib.as_array(c.cast(start, c.POINTER(c.c_uint8)), (height, width))
        pixels[...] = painted(frozen_ms[0] if frozen_ms else now_ms(), width, height)

    return fill


def _lose(library: Any, camera: int, share: float) -> None:
    library.g_object_set(c.c_void_p(camera), b"gvsp-lost-ratio", c.c_double(share), None)


def main() -> None:
    """Run until killed."""
    library, frozen_ms = _library(), list[int]()
    camera = library.arv_gv_fake_camera_new(b"127.0.0.1", b"FAULTS1")
    if not library.arv_gv_fake_camera_is_running(camera):
        raise SystemExit("port 3956 of 127.0.0.1 is taken: another simulated camera runs")
    fake = library.arv_gv_fake_camera_get_fake_camera(camera)
    fill = _FILL(_painter(library, frozen_ms))  # kept: the library has only its address
    library.arv_fake_camera_set_fill_pattern(fake, fill, None)
    signal.signal(signal.SIGUSR1, lambda *_: frozen_ms.append(now_ms()))
    signal.signal(signal.SIGUSR2, lambda *_: library.arv_fake_camera_write_register(fake, _CONTROL_REGISTER, 0))
    signal.signal(signal.SIGALRM, lambda *_: _lose(library, camera, 0.01))
    signal.signal(signal.SIGHUP, lambda *_: _lose(library, camera, 0.0))
    click.echo("ready")
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
