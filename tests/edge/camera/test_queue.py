"""The queue between cameras and pipeline: its two policies, and what holds for any order of events."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.frame import Frame
from inspector.edge.camera import FrameQueue
from inspector.errors import CameraError

STOP = threading.Event()


def frame(camera: str, number: int) -> Frame:
    return Frame("station", camera, str(number), datetime.now(UTC), number, np.zeros((1, 1, 3), np.uint8))


def queue_of(**cameras: int) -> FrameQueue:
    """Return a queue; 0 stands for the newest frame wins, other numbers for how many frames may wait."""
    queue = FrameQueue()
    for camera, capacity in cameras.items():
        queue.add(camera, every=capacity > 0, capacity=capacity or 4)
    return queue


def names(frames: Sequence[Frame]) -> list[str]:
    return [f"{frame.camera}{frame.frame_id}" for frame in frames]


def test_frames_of_all_cameras_are_taken_in_the_order_they_came() -> None:
    queue = queue_of(a=4, b=4)
    for camera, number in (("a", 1), ("b", 1), ("a", 2), ("b", 2)):
        queue.put(frame(camera, number), STOP)
    assert queue.depth == 4
    assert names(queue.take(3, 0.0)) == ["a1", "b1", "a2"]
    assert names(queue.take(3, 0.0)) == ["b2"]
    assert queue.take(3, 0.0) == []


def test_the_newest_frame_wins_and_the_old_one_is_counted() -> None:
    queue = queue_of(a=0)
    for number in range(5):
        queue.put(frame("a", number), STOP)
    assert queue.dropped == {"a": 4}
    assert names(queue.take(4, 0.0)) == ["a4"]


def test_a_camera_waits_for_room_where_every_frame_counts_and_stalls_no_other() -> None:
    queue = queue_of(a=2, b=2)
    thread = threading.Thread(target=lambda: [queue.put(frame("a", number), STOP) for number in range(6)])
    thread.start()
    assert queue.put(frame("b", 0), STOP)
    taken: list[str] = []
    while len(taken) < 7:
        batch = queue.take(2, 5.0)
        assert queue.depth <= 4
        taken += names(batch)
    thread.join(5.0)
    assert [name for name in taken if name[0] == "a"] == [f"a{number}" for number in range(6)]
    assert queue.dropped == {"a": 0, "b": 0}


def test_a_camera_whose_frames_give_way_keeps_its_turn() -> None:
    queue = queue_of(fast=0, slow=4)
    queue.put(frame("fast", 0), STOP)
    for number in range(4):
        queue.put(frame("slow", number), STOP)
        queue.put(frame("fast", number + 1), STOP)
    assert names(queue.take(1, 0.0)) == ["fast4"]


def test_a_stop_lets_the_frame_in_hand_in_beyond_the_bound() -> None:
    queue, stop = queue_of(a=1), threading.Event()
    queue.put(frame("a", 0), stop)
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(queue.put(frame("a", 1), stop)))
    thread.start()
    stop.set()
    queue.wake()
    thread.join(5.0)
    assert done == [True]
    assert names(queue.take(4, 0.0)) == ["a0", "a1"]


def test_a_closed_queue_takes_nothing_in_but_gives_what_it_has() -> None:
    queue = queue_of(a=1)
    queue.put(frame("a", 0), STOP)
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(queue.put(frame("a", 1), STOP)))
    thread.start()
    queue.close()
    thread.join(5.0)
    assert done == [False]
    assert names(queue.take(4, 60.0)) == ["a0"]
    assert queue.take(4, 60.0) == []


def test_a_take_that_waits_ends_with_the_first_frame() -> None:
    queue = queue_of(a=1)
    threading.Timer(0.02, lambda: queue.put(frame("a", 0), STOP)).start()
    assert names(queue.take(4, 60.0)) == ["a0"]


def test_two_cameras_of_one_name_are_refused() -> None:
    queue = queue_of(a=1)
    with pytest.raises(CameraError, match="camera a feeds this queue already"):
        queue.add("a", every=True)


events = st.lists(st.one_of(st.sampled_from(["a", "b", "c"]), st.integers(1, 5)), max_size=60)


@given(events)
def test_put_is_taken_plus_dropped_plus_waiting_and_order_is_kept(events: list[str | int]) -> None:
    queue = queue_of(a=0, b=60, c=60)
    put = dict.fromkeys("abc", 0)
    taken: dict[str, list[int]] = {camera: [] for camera in "abc"}
    for event in events:
        if isinstance(event, str):
            put[event] += 1
            queue.put(frame(event, put[event]), STOP)
        else:
            batch = queue.take(event, 0.0)
            assert len(batch) <= event
            for each in batch:
                taken[each.camera].append(int(each.frame_id))
        assert sum(put.values()) == sum(map(len, taken.values())) + sum(queue.dropped.values()) + queue.depth
    for camera in "bc":
        assert taken[camera] == list(range(1, len(taken[camera]) + 1))
    assert taken["a"] == sorted(set(taken["a"]))
    assert queue.dropped["b"] == queue.dropped["c"] == 0


@given(events)
def test_where_only_the_newest_frame_counts_no_older_one_is_ever_taken(events: list[str | int]) -> None:
    queue, newest = queue_of(a=0), 0
    for event in events:
        if isinstance(event, str):
            newest += 1
            queue.put(frame("a", newest), STOP)
        else:
            assert [int(each.frame_id) for each in queue.take(event, 0.0)] in ([], [newest])
