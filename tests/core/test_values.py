"""Small values of the core: label sets, regions, frames, latencies."""

from datetime import UTC, datetime

import numpy as np
import pytest

from inspector.core.frame import Frame
from inspector.core.label import LabelSet
from inspector.core.latency import Latencies
from inspector.core.region import Region


def test_every_mistake_of_a_label_set_is_told() -> None:
    labels = LabelSet(("good", "", "dent ", "dent ", "good"), "fine", display={"pit": {"en": "pit"}}, severity={"hole": "major"})
    told = "\n".join(labels.mistakes())
    for part in (
        "labels[1]: a label may not be empty",
        "labels[2]",
        "'good' is listed more than once",
        "'dent ' is listed",
        "'fine'",
        "'pit'",
        "'hole'",
    ):
        assert part in told


def test_a_label_set_of_one_label_is_refused() -> None:
    assert LabelSet(("good",), "good").mistakes() == []
    assert LabelSet((), None).mistakes() == ["labels: at least 1 label is needed, found 0"]
    assert "must be the good one" in LabelSet(("dent",)).mistakes()[0]


def test_a_sound_label_set_has_no_mistake() -> None:
    assert LabelSet(("good", "dent"), "good", severity={"dent": "minor"}).mistakes() == []


def test_a_label_is_spoken_without_underscores() -> None:
    assert LabelSet(("no_pitting", "pitting")).spoken("no_pitting") == "no pitting"


@pytest.mark.parametrize(
    ("box", "shape"),
    [(None, (6, 8, 3)), ((2, 1, 3, 4), (4, 3, 3)), ((6, 4, 5, 5), (2, 2, 3)), ((8, 0, 2, 2), (2, 0, 3)), ((-2, 0, 4, 6), (6, 2, 3))],
)
def test_a_region_takes_what_lies_inside_the_frame(box: tuple[int, int, int, int] | None, shape: tuple[int, ...]) -> None:
    assert Region("r", box).crop(np.zeros((6, 8, 3), np.uint8)).shape == shape


def test_history_ends_when_a_replayed_picture_was_first_taken() -> None:
    captured, recorded = datetime(2026, 3, 1, tzinfo=UTC), datetime(2020, 8, 28, tzinfo=UTC)
    image = np.zeros((4, 4, 3), np.uint8)
    assert Frame("s1", "line", "f", captured, 0, image).history_at == captured
    assert Frame("s1", "line", "f", captured, 0, image, recorded_at=recorded).history_at == recorded


def test_latencies_before_the_first_value_are_zero() -> None:
    assert set(Latencies().summary().values()) == {0.0}


def test_latencies_are_those_of_the_last_values() -> None:
    latencies = Latencies(size=101)
    for value in [9999.0, *map(float, range(101))]:
        latencies.add(value)
    assert latencies.summary() == {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "max_ms": 100.0}
