"""Heat maps: where they are hot, when they are kept, and that they go with their picture."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.core.normality import Normality
from inspector.edge.heat_map import label_heat, unlike_heat
from inspector.edge.log import Log
from inspector.edge.pictures import PictureStore, heat_maps_of
from inspector.edge.retention import sweep
from inspector.settings import LogSection
from tests.edge.conftest import MakeInspection
from tests.station_kit import picture

NATS = {"frame": np.array([[0.0, 0.0], [0.0, 2.0]], np.float32)}


def strange(make_inspection: MakeInspection, disposition: str = "review") -> Inspection:
    """Return an inspection of 640 x 480 pixels whose right lower patch is unlike good parts."""
    patches = np.full((4, 4), 1.0, np.float32)
    patches[3, 3] = 9.0
    found = make_inspection(disposition=disposition, label="good" if disposition != "fail" else None)
    prediction = replace(found.predictions[0], normality=Normality(3.0, 2.0, patches))
    findings = tuple(replace(finding, box_px=None) for finding in found.verdict.findings)
    return replace(found, predictions=(prediction,), verdict=replace(found.verdict, findings=findings))


def frame() -> Frame:
    return Frame("cell-3", "top", "f1", datetime(2026, 3, 1, tzinfo=UTC), 0, picture(1, 480, 640))


def test_a_map_is_hot_where_the_picture_is_strange_and_clear_elsewhere(make_inspection: MakeInspection) -> None:
    heat = unlike_heat(strange(make_inspection), {"frame": None})
    assert heat is not None
    assert heat.shape == (192, 256)
    assert heat[160:, 220:].mean() > 0.5
    assert heat[:96, :128].max() < 0.01


def test_a_region_is_drawn_in_its_own_place(make_inspection: MakeInspection) -> None:
    heat = unlike_heat(strange(make_inspection), {"frame": (0, 0, 320, 240)})
    assert heat is not None
    assert heat[60:96, 90:128].mean() > 0.4
    assert heat[97:].max() == heat[:, 129:].max() == 0.0


def test_little_that_spoke_for_a_label_is_not_blown_up(make_inspection: MakeInspection) -> None:
    strong, weak = (label_heat({"frame": NATS["frame"] * scale}, make_inspection(), {"frame": None}) for scale in (1.0, 0.01))
    assert strong is not None
    assert weak is not None
    assert strong.max() > 5 * weak.max()
    assert label_heat({}, make_inspection(), {"frame": None}) is None


@pytest.mark.parametrize(
    ("rule", "disposition", "kept"),
    [
        ("none", "review", []),
        ("normality", "review", ["-unlike"]),
        ("normality", "fail", ["-unlike"]),
        ("all", "fail", ["-unlike", "-label"]),
        ("all", "pass", []),
    ],
)
def test_the_rule_says_which_heat_maps_lie_beside_a_kept_picture(
    tmp_path: Path, make_inspection: MakeInspection, rule: str, disposition: str, kept: list[str]
) -> None:
    store = PictureStore(tmp_path, LogSection(keep_images="all", keep_heat_maps=rule))  # type: ignore[arg-type]
    judged = strange(make_inspection, disposition)
    path = tmp_path / store.keep(judged, frame(), NATS if store.wants_label_map(judged) else {})
    assert [file.stem.removeprefix(path.stem) for file in heat_maps_of(path) if file.exists()] == kept
    for file in heat_maps_of(path):
        assert not file.exists() or cv2.imread(str(file)) is not None


def test_heat_maps_go_with_their_picture(tmp_path: Path, make_inspection: MakeInspection) -> None:
    rules = LogSection(keep_images="review", keep_image_days=14)
    judged = strange(make_inspection)
    path = tmp_path / PictureStore(tmp_path, rules).keep(judged, frame())
    assert heat_maps_of(path)[0].exists()
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.append(replace(judged, image_path=str(path.relative_to(tmp_path))))
    assert sweep(tmp_path / "log.db", rules, datetime(2026, 6, 1, tzinfo=UTC)).images == 1
    assert not list(tmp_path.rglob("*.jpg"))


def test_scores_survive_the_log_and_stand_in_columns_of_their_own(tmp_path: Path, make_inspection: MakeInspection) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        logged = log.append(strange(make_inspection))
        found = log.get(logged.inspection_id)
        row = log._database.conn.execute("SELECT normality_score, normality_limit FROM inspections").fetchone()
    assert found is not None
    assert found.normality == Normality(3.0, 2.0)
    assert row == (3.0, 2.0)
