"""The showcase: what is shown, what gives way, and that a faulty output leaves the others alone."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.edge.extras import showcase
from inspector.edge.extras.showcase import Showcase
from inspector.edge.messages import result_message
from inspector.edge.newest import Newest, Shown
from inspector.edge.topics import Topics
from inspector.settings import CommandsSection, ExtrasSection
from tests.station_kit import picture

Make = Callable[..., Inspection]


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def open_showcase(topics: Topics, told: list[tuple[str, str]]) -> Callable[..., Showcase]:
    def open_one(**rules: Any) -> Showcase:
        return Showcase(
            ExtrasSection(**rules),
            CommandsSection(),
            topics,
            lambda inspection: result_message(inspection, topics),
            lambda *event: told.append(event),
        )

    return open_one


def shown(inspection: Inspection, *, empty: bool = False) -> Shown:
    image = np.zeros((0, 0, 3), np.uint8) if empty else picture(1)
    return Shown(Frame("cell-3", inspection.camera, inspection.frame_id, datetime.now(UTC), time.monotonic_ns(), image), inspection)


def test_of_many_results_the_newest_is_kept(open_showcase: Any, make_inspection: Make, topics: Topics) -> None:
    show = open_showcase(last=True)
    for number in range(5000):
        assert show.offer(shown(make_inspection(number, seq=number + 1)))
    sent = list(show.due())
    assert [(message.topic, message.retain, qos) for message, qos in sent] == [(topics.last, True, 1)]
    assert b'"seq":5000' in sent[0][0].payload
    assert list(show.due()) == []


def test_pictures_are_shown_by_rule_one_at_a_time_and_old_ones_give_way(open_showcase: Any, make_inspection: Make, topics: Topics) -> None:
    show = open_showcase(image="review")
    assert not show.offer(shown(make_inspection(1)))
    assert not show.offer(shown(make_inspection(2, disposition="fail"), empty=True))
    for number in range(3, 100):
        assert show.offer(shown(make_inspection(number, disposition="fail")))
    sent = [next(iter(show.due())) for _ in range(2)]
    newest = [topics.image(make_inspection(number).inspection_id) for number in (98, 99)]
    assert [(message.topic, message.content_type, qos) for message, qos in sent] == [(topic, "image/jpeg", 0) for topic in newest]
    assert list(show.due()) == []


def test_nothing_is_offered_to_outputs_that_are_off(open_showcase: Any, make_inspection: Make) -> None:
    show = open_showcase()
    assert not show.offer(shown(make_inspection(1, disposition="fail")))
    assert list(show.due()) == list(show.births()) == []
    assert show.will() is None


def test_a_faulty_output_is_told_once_and_leaves_the_others_alone(
    open_showcase: Any, make_inspection: Make, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    show = open_showcase(last=True, image="all")

    def broken(*_: object) -> None:
        raise ValueError("no font")

    with monkeypatch.context() as patched:
        patched.setattr(showcase, "overlay", broken)
        for number in range(3):
            show.offer(shown(make_inspection(number)))
            assert [message.topic.rsplit("/", 1)[1] for message, _ in show.due()] == ["last"]
    show.offer(shown(make_inspection(9)))
    assert len(list(show.due())) == 2
    assert told == [("output-lost", "extras.image: ValueError: no font"), ("output-back", "extras.image: works again")]


def test_the_newest_frame_is_that_of_the_camera_asked_for_and_has_a_picture(make_inspection: Make) -> None:
    newest = Newest()
    assert newest.get(None) is None
    newest.put(shown(make_inspection(1, camera="top")))
    newest.put(shown(make_inspection(2, camera="side")))
    newest.put(shown(make_inspection(3, camera="top"), empty=True))
    frames = [newest.get(camera) for camera in ("top", "side", None)]
    assert [found.inspection.frame_id for found in frames if found] == ["f1", "f2", "f2"]
    assert newest.get("back") is None
