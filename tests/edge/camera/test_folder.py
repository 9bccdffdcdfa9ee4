"""Folders: replay, pace, loop, damaged files, files that arrive and files that are still being written."""

import os
import time
from pathlib import Path

import pytest

from inspector.core.frame import Frame
from inspector.edge.camera import Camera, read_image
from inspector.edge.camera.arrivals import PATIENCE_S, SETTLE_S, Arrivals, Stamp, natural
from inspector.errors import CameraError, CameraLost
from tests.edge.camera.conftest import Opener, encoded, picture


def read_all(camera: Camera) -> list[Frame]:
    frames = []
    while not camera.finished:
        frame = camera.read(1.0)
        if frame is not None:
            frames.append(frame)
    return frames


def test_a_replay_shows_each_picture_once_in_natural_order_and_then_is_finished(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder)
    frames = read_all(camera)
    assert [frame.frame_id for frame in frames] == ["part1.png", "part2.png", "part10.png"]
    assert [frame.image.shape[1] for frame in frames] == [41, 42, 50]
    assert frames[0].source == str(folder / "part1.png")
    assert frames[0].station == "station"
    assert frames[0].camera == "cam"
    assert camera.read(0.0) is None


def test_other_files_hidden_files_and_folders_are_passed_over(folder: Path, opened: Opener) -> None:
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / ".part3.png").write_bytes(b"x")
    (folder / "archive.png").mkdir()
    assert len(read_all(opened(kind="folder", path=folder))) == 3


def test_a_file_that_cannot_be_decoded_is_a_fault_and_the_replay_goes_on(folder: Path, opened: Opener) -> None:
    (folder / "part2.png").write_text("no picture at all")
    (folder / "part3.png").write_bytes(b"")
    frames = read_all(opened(kind="folder", path=folder))
    assert [frame.fault is not None for frame in frames] == [False, True, True, False]
    assert "part2.png: not a picture" in (frames[1].fault or "")
    assert "part3.png: the file is empty" in (frames[2].fault or "")
    assert frames[1].image.shape == (0, 0, 3)


def test_a_file_that_vanished_is_a_fault(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder)
    (folder / "part2.png").unlink()
    assert "No such file" in (read_all(camera)[1].fault or "")


def test_a_folder_that_vanishes_is_a_lost_camera_that_goes_on_where_it_was(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder)
    camera.read(1.0)
    away = folder.with_name("away")
    folder.rename(away)
    for _ in range(2):
        with pytest.raises(CameraLost, match="no such folder"):
            camera.read(1.0)
    away.rename(folder)
    assert [frame.frame_id for frame in read_all(camera)] == ["part2.png", "part10.png"]


def test_a_loop_begins_again(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder, loop=True)
    frames = [camera.read(1.0) for _ in range(4)]
    assert [frame.frame_id for frame in frames if frame] == ["part1.png", "part2.png", "part10.png", "part1.png"]
    assert not camera.finished


def test_a_frame_that_is_not_due_is_not_shown(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder, rate_hz=0.01)
    assert camera.read(0.0) is not None
    assert camera.read(0.05) is None
    assert not camera.finished


def test_a_rate_keeps_frames_apart(folder: Path, opened: Opener) -> None:
    frames = read_all(opened(kind="folder", path=folder, rate_hz=20.0))
    assert frames[2].grabbed_ns - frames[0].grabbed_ns >= 95_000_000


def test_an_empty_folder_and_a_missing_folder_are_refused_when_opened(tmp_path: Path, opened: Opener) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CameraError, match="no picture in this folder"):
        opened(kind="folder", path=tmp_path / "empty")
    with pytest.raises(CameraError, match="no such folder"):
        opened(kind="folder", path=tmp_path / "missing")
    with pytest.raises(CameraError, match="no such folder"):
        opened(kind="folder", path=tmp_path / "missing", watch=True)


def test_a_relative_path_is_taken_from_the_station(folder: Path, opened: Opener) -> None:
    assert len(read_all(opened(kind="folder", path=Path(folder.name)))) == 3


def test_a_watched_folder_shows_what_is_there_and_then_what_comes(folder: Path, opened: Opener) -> None:
    for age_s, name in enumerate(("part10.png", "part1.png", "part2.png"), start=50):
        os.utime(folder / name, (time.time() - age_s,) * 2)
    camera = opened(kind="folder", path=folder, watch=True)
    before = [camera.read(1.0) for _ in range(3)]
    assert [frame.frame_id for frame in before if frame] == ["part2.png", "part1.png", "part10.png"]  # oldest first
    assert camera.read(0.0) is None
    assert not camera.finished
    (folder / "new.jpg").write_bytes(encoded(picture(), ".jpg"))
    frame = camera.read(5.0)
    assert frame is not None
    assert frame.frame_id == "new.jpg"


def test_a_watched_file_is_dated_by_when_it_was_written(folder: Path, opened: Opener) -> None:
    written = time.time() - 3600
    os.utime(folder / "part1.png", (written, written))
    frames = [opened(kind="folder", path=folder, watch=True).read(1.0) for _ in range(2)]  # as after a restart
    assert frames[0] is not None
    assert frames[1] is not None
    assert frames[0].captured_at == frames[1].captured_at
    assert abs(frames[0].captured_at.timestamp() - written) < 0.001
    assert 3590 < (time.monotonic_ns() - frames[0].grabbed_ns) / 1e9 < 3700


def test_a_file_from_the_future_has_no_negative_age(folder: Path, opened: Opener) -> None:
    for path in folder.iterdir():
        os.utime(path, (time.time() + 3600,) * 2)
    frame = opened(kind="folder", path=folder, watch=True).read(1.0)
    assert frame is not None
    assert frame.grabbed_ns <= time.monotonic_ns()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tiff", ".webp"])
def test_a_half_written_file_waits_until_it_is_whole(suffix: str, folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder, watch=True)
    for _ in range(3):
        camera.read(1.0)
    data = encoded(picture(90), suffix)
    with (folder / f"new{suffix}").open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        assert camera.read(0.7) is None
        file.write(data[len(data) // 2 :])
    frame = camera.read(5.0)
    assert frame is not None
    assert frame.fault is None
    assert frame.image.shape == (48, 90, 3)


def test_a_file_that_stays_broken_becomes_a_fault_and_counts_again_once_it_is_mended(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder, watch=True)
    for _ in range(3):
        camera.read(1.0)
    (folder / "new.png").write_bytes(encoded(picture(), ".png")[:-20])
    frame = camera.read(PATIENCE_S + 5.0)
    assert frame is not None
    assert "truncated" in (frame.fault or "")
    (folder / "new.png").write_bytes(encoded(picture(), ".png"))
    mended = camera.read(5.0)
    assert mended is not None
    assert mended.fault is None


def test_an_overwritten_file_is_a_new_picture(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder, watch=True)
    for _ in range(3):
        camera.read(1.0)
    (folder / "part1.png").write_bytes(encoded(picture(77), ".png"))
    frame = camera.read(5.0)
    assert frame is not None
    assert frame.image.shape[1] == 77


def test_a_watched_folder_that_vanishes_is_lost_and_found_again(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder, watch=True)
    for _ in range(3):
        camera.read(1.0)
    away = folder.with_name("away")
    folder.rename(away)
    with pytest.raises(CameraLost, match="no such folder"):
        camera.read(5.0)
    away.rename(folder)
    assert camera.read(0.3) is None  # nothing new: what was shown is not shown again
    (folder / "new.png").write_bytes(encoded(picture(), ".png"))
    assert camera.read(5.0) is not None


def test_a_watched_folder_goes_on_after_its_manifest(folder: Path, opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,lot\npart10.png,A\n")
    camera = opened(kind="folder", path=folder, watch=True, manifest=tmp_path / "list.csv")
    frames = [camera.read(1.0) for _ in range(3)]
    assert [(frame.frame_id, frame.lot) for frame in frames if frame and frame.lot] == [("part10.png", "A")]
    assert {frame.frame_id for frame in frames if frame} == {"part1.png", "part2.png", "part10.png"}
    assert camera.read(0.0) is None


def test_a_read_that_waits_ends_when_the_camera_is_closed(folder: Path, opened: Opener) -> None:
    camera = opened(kind="folder", path=folder, rate_hz=0.001)
    camera.read(1.0)
    camera.close()
    assert camera.read(3600.0) is None


def stamp(mtime_ns: int = 0, length: int = 1) -> Stamp:
    return Stamp(mtime_ns, length)


def test_a_jpeg_is_tried_at_once_and_a_bitmap_after_it_has_settled() -> None:
    arrivals = Arrivals()
    listing = {"a.jpg": stamp(), "b.bmp": stamp()}
    assert [arrival.name for arrival in arrivals.look(listing, 0.0)] == ["a.jpg"]
    assert {arrival.name for arrival in arrivals.look(listing, SETTLE_S)} == {"a.jpg", "b.bmp"}


def test_what_did_not_decode_is_tried_again_once_it_changed_or_patience_ended() -> None:
    arrivals = Arrivals()
    arrivals.unfinished(arrivals.look({"a.jpg": stamp(0, 10)}, 0.0)[0])
    assert arrivals.look({"a.jpg": stamp(0, 10)}, 1.0) == []
    (grown,) = arrivals.look({"a.jpg": stamp(0, 20)}, 1.5)
    assert not grown.last_try
    arrivals.unfinished(grown)
    assert arrivals.look({"a.jpg": stamp(0, 20)}, 1.5 + PATIENCE_S / 2) == []
    (last,) = arrivals.look({"a.jpg": stamp(0, 20)}, 1.5 + PATIENCE_S)
    assert last.last_try


def test_a_delivered_file_is_forgotten_once_it_is_gone() -> None:
    arrivals = Arrivals()
    arrivals.delivered(arrivals.look({"a.jpg": stamp()}, 0.0)[0])
    assert arrivals.look({"a.jpg": stamp()}, 1.0) == []
    assert arrivals.look({}, 2.0) == []
    assert len(arrivals.look({"a.jpg": stamp()}, 3.0)) == 1


def test_names_are_sorted_as_people_count() -> None:
    names = ["a10", "a2", "a", "b1", "a2b", "10", "9", "A1", "a02"]
    assert sorted(names, key=natural) == ["9", "10", "A1", "a", "a02", "a2", "a2b", "a10", "b1"]


def test_pictures_outside_the_limit_are_faults(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="more than the 100 allowed"):
        read_image(folder / "part1.png", max_pixels=100)
