"""Live cameras: a real MJPEG stream over HTTP, and a capture that stands in for OpenCV's where the device is not at hand."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest

from inspector.core.frame import Frame
from inspector.edge.camera import Backoff, Camera, CameraFault, Feed, FrameQueue
from inspector.edge.camera.capture import to_rgb, without_password
from inspector.errors import CameraError, CameraLost
from tests.edge.camera.conftest import Opener, encoded


class Mjpeg:
    """A network camera that shows its own brightness, ``level``; it can fall silent and hang up."""

    def __init__(self, period_s: float = 0.02) -> None:
        self.level, self.period_s, self.sent = 0, period_s, 0
        self._changed = threading.Condition()
        self.talking, self.hung_up = threading.Event(), threading.Event()
        self.talking.set()
        mjpeg = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while not mjpeg.hung_up.wait(mjpeg.period_s):
                    if mjpeg.talking.is_set():
                        mjpeg.count()
                        data = encoded(np.full((48, 64, 3), mjpeg.level, np.uint8), ".jpg")
                        try:
                            self.wfile.write(
                                b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n"
                            )
                        except OSError:
                            return

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/cam.mjpg"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def count(self) -> None:
        with self._changed:
            self.sent += 1
            self._changed.notify_all()

    def wait_for_frames(self, count: int) -> None:
        """Wait until so many more frames were sent."""
        with self._changed:
            goal = self.sent + count
            assert self._changed.wait_for(lambda: self.sent >= goal, 20.0)

    def close(self) -> None:
        self.hung_up.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def mjpeg() -> Iterator[Mjpeg]:
    server = Mjpeg()
    yield server
    server.close()


def level(frame: Frame | None) -> int:
    assert frame is not None
    return round(float(frame.image.mean()))


def read_to_the_end(camera: Camera, seen: list[Frame] | None = None) -> None:
    """Read until the camera is lost, 10 s at most."""
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        frame = camera.read(1.0)
        if frame is not None and seen is not None:
            seen.append(frame)


def wait_for_level(camera: Camera, wanted: int) -> Frame:
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        frame = camera.read(1.0)
        if frame is not None and abs(level(frame) - wanted) < 3:
            return frame
    raise AssertionError(f"no frame of level {wanted}")


def test_a_network_camera_shows_its_newest_frame_however_slow_the_reader(mjpeg: Mjpeg, opened: Opener) -> None:
    camera = opened(kind="rtsp", url=mjpeg.url)
    first = camera.read(5.0)
    assert first is not None
    assert first.image.shape == (48, 64, 3)
    assert first.source == mjpeg.url
    mjpeg.wait_for_frames(25)  # a slow reader: so many go by
    mjpeg.level = 200
    mjpeg.wait_for_frames(5)
    assert any(abs(level(camera.read(5.0)) - 200) < 3 for _ in range(4))
    assert camera.dropped > 10


def test_a_camera_that_hangs_up_is_lost_and_then_found_again(mjpeg: Mjpeg, opened: Opener) -> None:
    camera = opened(kind="rtsp", url=mjpeg.url, read_timeout_s=1.0)
    camera.read(5.0)
    mjpeg.hung_up.set()
    with pytest.raises(CameraLost, match="the stream ended; check its power"):
        read_to_the_end(camera)
    mjpeg.hung_up.clear()
    mjpeg.level = 100
    assert abs(level(camera.read(5.0)) - 100) < 3


def test_a_camera_that_falls_silent_is_lost_and_no_old_frame_passes_for_a_new_one(mjpeg: Mjpeg, opened: Opener) -> None:
    camera = opened(kind="rtsp", url=mjpeg.url, read_timeout_s=1.5)
    wait_for_level(camera, 0)
    mjpeg.talking.clear()
    silent_ns = time.monotonic_ns()
    seen: list[Frame] = []
    with pytest.raises(CameraLost):
        read_to_the_end(camera, seen)
    assert all(frame.grabbed_ns < silent_ns + 1_200_000_000 for frame in seen)
    mjpeg.level = 100
    mjpeg.talking.set()
    assert abs(level(camera.read(5.0)) - 100) < 3


def test_a_camera_that_is_not_there_is_lost_at_the_first_read_and_its_password_is_not_told(opened: Opener) -> None:
    camera = opened(kind="rtsp", url="http://operator:geheim@127.0.0.1:1/cam.mjpg", open_timeout_s=1.0)
    with pytest.raises(CameraLost, match=r"http://\*\*\*@127\.0\.0\.1:1/cam\.mjpg: cannot be opened") as caught:
        camera.read(0.1)
    assert "geheim" not in str(caught.value)


def test_a_camera_that_accepts_but_never_answers_is_given_up(opened: Opener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        camera = opened(kind="rtsp", url=f"http://127.0.0.1:{silent.getsockname()[1]}/cam.mjpg", open_timeout_s=0.5)
        with pytest.raises(CameraLost, match="cannot be opened"):
            camera.read(0.1)


def test_a_feed_tells_of_a_lost_network_camera_and_of_its_return(mjpeg: Mjpeg, opened: Opener) -> None:
    queue, stop, told = FrameQueue(), threading.Event(), list[CameraFault]()
    feed = Feed(opened(kind="rtsp", url=mjpeg.url, read_timeout_s=1.0), queue, stop, told.append, backoff=Backoff(0.01, 0.02))
    feed.start()
    assert queue.take(1, 10.0)
    mjpeg.hung_up.set()
    until = time.monotonic() + 10.0
    while not told and time.monotonic() < until:
        queue.take(1, 0.05)
    mjpeg.hung_up.clear()
    mjpeg.level = 150
    while time.monotonic() < until:
        frames = queue.take(1, 1.0)
        if frames and abs(level(frames[0]) - 150) < 3:
            break
    stop.set()
    assert feed.join(10.0)
    assert [fault.ended_at is None for fault in told] == [True, False]


class FakeCapture:
    """Stands in for ``cv2.VideoCapture``: delivers frames whose level is their number, at once, until told to wait."""

    def __init__(self, *frames: Any, opens: bool = True, wait_s: float = 0.03) -> None:
        self.frames, self.opens, self.wait_s = list(frames), opens, wait_s
        self.asked: dict[int, float] = {}
        self.arguments: tuple[Any, ...] = ()
        self.released = threading.Event()

    def __call__(self, *arguments: Any) -> "FakeCapture":
        self.arguments = arguments
        return self

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens

    def get(self, propId: int) -> float:  # noqa: N803 - OpenCV's name
        return 25.0 if propId == cv2.CAP_PROP_FPS else 0.0

    def set(self, propId: int, value: float) -> bool:  # noqa: N803 - OpenCV's name
        self.asked[propId] = value
        return True

    def release(self) -> None:
        self.released.set()

    def read(self) -> tuple[bool, Any]:
        if self.released.wait(self.wait_s) or not self.frames:
            return False, None
        frame = self.frames.pop(0)
        if isinstance(frame, float):  # a hang that ends with an old frame
            self.released.wait(frame)
            return True, np.full((4, 6, 3), 99, np.uint8)
        return True, frame


def plain(number: int) -> Any:
    return np.full((4, 6, 3), number, np.uint8)


def test_a_device_is_opened_by_number_and_asked_for_its_size(opened: Opener) -> None:
    capture = FakeCapture(plain(1))
    camera = opened(capture, kind="device", device=2, width_px=6, height_px=4)
    frame = camera.read(5.0)
    assert frame is not None
    assert capture.arguments[:2] == (2, cv2.CAP_V4L2)
    assert capture.asked[cv2.CAP_PROP_FRAME_WIDTH] == 6
    assert capture.asked[cv2.CAP_PROP_FRAME_HEIGHT] == 4
    assert frame.source == "/dev/video2"


def test_a_device_that_gives_another_size_is_a_fault_that_says_so(opened: Opener) -> None:
    camera = opened(FakeCapture(*[plain(1)] * 9), kind="device", device="/dev/video7", width_px=1920)
    with pytest.raises(CameraError, match="/dev/video7: it gives 6 x 4 pixels, width_px asks for 1920"):
        camera.read(5.0)


def test_a_device_that_is_not_there_is_lost(opened: Opener) -> None:
    with pytest.raises(CameraLost, match="/dev/video0: cannot be opened; check the plug"):
        opened(FakeCapture(opens=False), kind="device", device=0).read(1.0)


def test_timeouts_are_given_to_the_constructor(opened: Opener) -> None:
    capture = FakeCapture(plain(1))
    opened(capture, kind="rtsp", url="rtsp://10.0.0.1/a", open_timeout_s=3.0, read_timeout_s=2.5).read(1.0)
    assert capture.arguments == (
        "rtsp://10.0.0.1/a",
        cv2.CAP_FFMPEG,
        [cv2.CAP_PROP_N_THREADS, 1, cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 3000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 2500],
    )


def test_an_old_frame_after_a_hang_does_not_pass_for_a_new_one(opened: Opener) -> None:
    capture = FakeCapture(*map(plain, range(12)), 0.7, *map(plain, range(20, 23)), wait_s=0.03)
    camera = opened(capture, kind="device", device=0, trigger="newest")
    seen: list[Frame] = []
    with pytest.raises(CameraLost):
        read_to_the_end(camera, seen)
    levels = [level(frame) for frame in seen]
    assert 99 not in levels
    assert levels[-1] == 22


def test_where_every_frame_counts_missed_ones_leave_a_frame_with_a_fault(opened: Opener) -> None:
    capture = FakeCapture(*map(plain, range(10)), wait_s=0.03)
    camera = opened(capture, kind="device", device=0, trigger="every", queue_frames=2)
    first = camera.read(5.0)
    assert capture.released.wait(10.0)  # the reader slept through all others, of which two still wait
    frames = [camera.read(1.0) for _ in range(3)]
    with pytest.raises(CameraLost):
        camera.read(1.0)
    assert level(first) == 0
    assert frames[0] is not None
    assert "7 frames were missed" in (frames[0].fault or "")
    assert [level(frame) for frame in frames[1:]] == [8, 9]
    assert camera.dropped == 0


def test_frame_ids_go_on_after_a_loss(opened: Opener) -> None:
    captures = iter([FakeCapture(plain(1)), FakeCapture(plain(2))])
    camera = opened(lambda *_: next(captures), kind="device", device=0)
    one = camera.read(5.0)
    with pytest.raises(CameraLost):
        camera.read(5.0)
    other = camera.read(5.0)
    assert one is not None
    assert other is not None
    assert (one.frame_id, other.frame_id) == ("00000001", "00000002")


def test_a_camera_that_opens_but_never_delivers_is_lost(opened: Opener) -> None:
    capture = FakeCapture(wait_s=60.0)
    camera = opened(capture, kind="device", device=0, read_timeout_s=0.1)
    with pytest.raises(CameraLost, match=r"no picture for 0\.\d s"):
        camera.read(0.1)
    capture.released.set()


def test_an_error_of_opencv_is_a_loss(opened: Opener) -> None:
    class Failing(FakeCapture):
        def read(self) -> tuple[bool, Any]:
            cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))
            return False, None

    with pytest.raises(CameraLost, match="reading failed"):
        opened(Failing(), kind="device", device=0).read(5.0)


def test_a_closed_camera_lets_the_capture_go(opened: Opener) -> None:
    capture = FakeCapture(*[plain(1)] * 1000)
    camera = opened(capture, kind="device", device=0)
    camera.read(5.0)
    camera.close()
    assert capture.released.is_set()
    assert camera.read(5.0) is None


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_every_layout_becomes_rgb(shape: tuple[int, ...], kind: Any) -> None:
    image = to_rgb(np.full(shape, 90 if kind == np.uint8 else 90 * 256, kind))
    assert image.shape == (4, 6, 3)
    assert not image.flags.writeable
    assert (image == 90).all()


@pytest.mark.parametrize("image", [np.zeros((4, 6, 2), np.uint8), np.zeros((0, 6, 3), np.uint8), np.zeros((4, 6, 3), np.float32)])
def test_other_layouts_are_refused(image: Any) -> None:
    with pytest.raises(CameraError, match="choose another pixel format"):
        to_rgb(image)


def test_passwords_are_not_told() -> None:
    assert without_password("rtsp://user:pass@10.0.0.1:554/a@b") == "rtsp://***@10.0.0.1:554/a@b"
    assert without_password("rtsp://user:p@ss@10.0.0.1/a") == "rtsp://***@10.0.0.1/a"
    assert without_password("http://cam/mjpg?user=admin&pwd=a/b@c") == "http://cam/mjpg?user=***&pwd=***"
    assert without_password("tcp://127.0.0.1:80") == "tcp://127.0.0.1:80"
