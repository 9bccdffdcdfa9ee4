"""Video files written on the spot."""

import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.edge.camera import Camera
from inspector.errors import CameraError, CameraLost
from tests.edge.camera.conftest import Opener


def filmed(path: Path, frames: int, codec: str = "MJPG") -> Path:
    """Write a video whose frame n has the red value 10 * n."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25.0, (64, 48))
    assert writer.isOpened()
    for number in range(frames):
        image = np.zeros((48, 64, 3), np.uint8)
        image[..., 2] = 10 * number
        writer.write(image)
    writer.release()
    return path


def reds(camera: Camera, most: int = 50) -> list[int]:
    found: list[int] = []
    while not camera.finished and len(found) < most:
        frame = camera.read(1.0)
        if frame is not None:
            found.append(-1 if frame.fault else round(float(frame.image[..., 0].mean()) / 10))
    return found


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v")])
def test_a_video_shows_all_its_frames_in_order_and_is_then_finished(suffix: str, codec: str, tmp_path: Path, opened: Opener) -> None:
    camera = opened(kind="video", path=filmed(tmp_path / f"a{suffix}", 12, codec))
    assert reds(camera) == list(range(12))
    assert camera.finished
    assert camera.read(0.0) is None


def test_frames_are_counted_and_read_only(tmp_path: Path, opened: Opener) -> None:
    camera = opened(kind="video", path=filmed(tmp_path / "a.avi", 2))
    frames = [camera.read(1.0), camera.read(1.0)]
    assert [frame.frame_id for frame in frames if frame] == ["000001", "000002"]
    assert all(frame and not frame.image.flags.writeable for frame in frames)


def test_a_video_in_a_loop_begins_again(tmp_path: Path, opened: Opener) -> None:
    camera = opened(kind="video", path=filmed(tmp_path / "a.avi", 3), loop=True)
    assert reds(camera, 8) == [0, 1, 2, 0, 1, 2, 0, 1]


def test_a_frame_that_is_not_due_is_not_shown(tmp_path: Path, opened: Opener) -> None:
    camera = opened(kind="video", path=filmed(tmp_path / "a.avi", 3), rate_hz=0.01)
    assert camera.read(1.0) is not None
    assert camera.read(0.05) is None


def test_a_truncated_video_ends_with_a_fault(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (320, 240))
    for seed in range(40):
        writer.write(np.random.default_rng(seed).integers(0, 256, (240, 320, 3)).astype(np.uint8))
    writer.release()
    os.truncate(path, path.stat().st_size // 2)
    found = reds(opened(kind="video", path=path))
    assert found[-1] == -1
    assert -1 not in found[:-1]
    assert 10 < len(found) < 30


def test_a_video_without_a_frame_that_can_be_decoded_is_refused_when_opened(tmp_path: Path, opened: Opener) -> None:
    path = filmed(tmp_path / "a.avi", 24)
    data = bytearray(path.read_bytes())
    start = data.index(b"movi") + 4
    data[start + 8 : -8] = bytes(len(data) - start - 16)
    path.write_bytes(data)
    with pytest.raises(CameraError, match=r"no frame of this video can be decoded|not a video"):
        opened(kind="video", path=path)


def test_what_is_no_video_or_not_there_is_refused_when_opened(tmp_path: Path, opened: Opener) -> None:
    (tmp_path / "note.mp4").write_text("not a video")
    with pytest.raises(CameraError, match=r"cameras\.cam: .*note\.mp4: not a video"):
        opened(kind="video", path=tmp_path / "note.mp4")
    with pytest.raises(CameraError, match="there is no such file"):
        opened(kind="video", path=tmp_path / "gone.mp4")


def test_a_video_that_vanishes_from_its_loop_is_lost(tmp_path: Path, opened: Opener) -> None:
    path = filmed(tmp_path / "a.avi", 1)
    camera = opened(kind="video", path=path, loop=True)
    camera.read(1.0)
    path.unlink()
    with pytest.raises(CameraLost, match="no such file"):
        camera.read(1.0)
    filmed(path, 1)
    assert camera.read(1.0) is not None


def test_a_read_that_waits_ends_when_the_camera_is_closed(tmp_path: Path, opened: Opener) -> None:
    camera = opened(kind="video", path=filmed(tmp_path / "a.avi", 3), rate_hz=0.001)
    camera.read(1.0)
    threading.Timer(0.05, camera.close).start()
    assert camera.read(3600.0) is None
