"""Two network cameras in processes of their own, with painted pictures: H.264 over RTSP (``rtsp-rs`` and ``av``), MJPEG over HTTP.

python -m tests.faults.cameras.network rtsp|mjpeg PORT
"""

import fractions
import importlib
import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.faults.cameras.paint import now_ms, painted

RATE_HZ = 25
_SIZE_PX = (640, 240)


def has_rtsp() -> bool:
    """Return whether the packages for the RTSP server are installed."""
    return all(importlib.util.find_spec(name) for name in ("rtsp", "av"))


def _pictures() -> Iterator[NDArray[np.uint8]]:
    """Yield a picture at each tick, for ever; one that comes too late, as after a stop, puts off the others."""
    due_s = time.monotonic()
    while True:
        time.sleep(max(0.0, due_s - time.monotonic()))
        due_s = max(due_s, time.monotonic() - 1.0 / RATE_HZ) + 1.0 / RATE_HZ
        yield painted(now_ms(), *_SIZE_PX)


def _serve_rtsp(port: int) -> None:
    av, rtsp = importlib.import_module("av"), importlib.import_module("rtsp")  # the course runs without these two, and says so
    server = rtsp.Server(f"127.0.0.1:{port}")
    server.start()
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = _SIZE_PX
    encoder.pix_fmt, encoder.time_base = "yuv420p", fractions.Fraction(1, RATE_HZ)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "12", "x264-params": "repeat-headers=1"}
    click.echo("ready")
    for index, picture in enumerate(_pictures()):
        frame = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, axis=2), format="rgb24").reformat(format="yuv420p")
        frame.pts = index
        for packet in encoder.encode(frame):
            server.send_frame(bytes(packet), 90_000 // RATE_HZ)


class _Mjpeg(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with suppress(ConnectionError):  # the reader has left
            for picture in _pictures():
                data = cv2.imencode(".jpg", picture)[1].tobytes()
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "rtsp":
        _serve_rtsp(port)
    server = ThreadingHTTPServer(("127.0.0.1", port), _Mjpeg)
    click.echo("ready")
    server.serve_forever()


if __name__ == "__main__":
    main()
