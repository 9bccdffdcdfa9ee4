"""The section of a camera: what each kind needs, and which defaults hold for live cameras and for replays."""

import pytest
from pydantic import ValidationError

from inspector.settings import CameraSection

GIGE = {"kind": "genicam", "device": "40001"}
KINDS = [
    {"kind": "folder", "path": "a"},
    {"kind": "video", "path": "a"},
    {"kind": "device", "device": 0},
    {"kind": "rtsp", "url": "rtsp://a"},
    GIGE,
]


@pytest.mark.parametrize("keys", KINDS)
def test_live_cameras_have_limits_of_age_and_stillness_and_replays_have_none(keys: dict[str, object]) -> None:
    section = CameraSection(**keys)  # type: ignore[arg-type]
    assert section.is_live == (section.age_limit_ms == 2000.0) == (section.frozen_limit > 1)
    assert section.is_live != section.every_frame_counts
    assert CameraSection(**keys, max_age_ms=0.0).age_limit_ms is None  # type: ignore[arg-type]
    assert CameraSection(**keys, frozen_after=0).frozen_limit == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(("source", "counts"), [("none", False), ("software", True), ("hardware", True)])
def test_every_frame_of_a_triggered_camera_counts_unless_the_settings_say_otherwise(source: str, counts: bool) -> None:
    assert CameraSection(**GIGE, trigger_source=source).every_frame_counts is counts  # type: ignore[arg-type]
    assert not CameraSection(**GIGE, trigger_source=source, trigger="newest").every_frame_counts  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"kind": "genicam"}, 'kind = "genicam" needs this key'),
        ({"kind": "genicam", "device": 40001}, 'write it in quotes, "40001"'),
        ({**GIGE, "frozen_after": 1}, "1 would make every picture a fault"),
        ({**GIGE, "roi_px": [0, 0, 0, 10]}, "width and height 1 or more"),
        ({**GIGE, "exposure_us": 0.0}, "greater than 0"),
        ({**GIGE, "trigger_source": "radio"}, "Input should be 'none', 'software' or 'hardware'"),
    ],
)
def test_a_mistake_is_told_with_its_cure(keys: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CameraSection(**keys)  # type: ignore[arg-type]
