"""The shipped checkpoint on the shipped pictures: right often enough, told by reports, and never by reports from the future."""

import csv
import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from inspector.cli import main
from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.daemon import open_judge
from inspector.edge.camera import open_camera, read_image
from inspector.errors import CheckpointError
from inspector.pipeline import Pipeline
from inspector.settings import read_station
from inspector.vlm.checkpoint import open_checkpoint, verify
from inspector.vlm.frozen_set import open_set
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.parity import open_gate
from inspector.vlm.pixels import squared
from tests.parity_measure import flattened, judged_with

REPOSITORY = Path(__file__).parent.parent
MODEL = REPOSITORY / "models" / "inspector-edge"
DEMO = REPOSITORY / "calibration" / "demo"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with the shipped model and demo station, whose reports have been imported."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "models").mkdir()
    (folder / "calibration").mkdir()
    (folder / "models" / "inspector-edge").symlink_to(MODEL)
    (folder / "calibration" / "demo").symlink_to(DEMO)
    done = CliRunner().invoke(main, ["--root", str(folder), "reports", "import", "demo", str(DEMO / "reports.csv")])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def pipeline(root: Path) -> Iterator[Pipeline]:
    """Return the demo station's own pipeline."""
    with open_judge(read_station(root / "calibration" / "demo"), root) as judge:
        yield judge


@pytest.fixture(scope="module")
def frames(root: Path) -> list[Frame]:
    """Return all frames of the demo's replay."""
    settings = read_station(root / "calibration" / "demo")
    section = settings.cameras["replay"].model_copy(update={"rate_hz": 0.0})
    camera, found = open_camera("replay", section, station="demo", base=settings.folder), list[Frame]()
    while not camera.finished:
        frame = camera.read(1.0)
        found += [frame] if frame else []
    return found


@pytest.fixture(scope="module")
def inspections(pipeline: Pipeline, frames: list[Frame]) -> list[Inspection]:
    """Return the verdicts of the whole replay."""
    return [pipeline.inspect([frame])[0] for frame in frames]


@pytest.fixture(scope="module")
def truth() -> dict[str, str]:
    """Return the true label of each shipped picture."""
    with (DEMO / "frames" / "frames.csv").open(encoding="utf-8", newline="") as stream:
        return {row["file"]: row["label"] for row in csv.DictReader(stream)}


def test_every_file_of_the_shipped_checkpoint_has_its_hash() -> None:
    assert verify(MODEL) == []


def test_the_shipped_folders_stay_within_what_a_repository_can_carry() -> None:
    weights = [path for path in MODEL.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in weights) < 95_000_000
    assert sum(path.stat().st_size for path in weights) <= 120_000_000
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 8_000_000


def test_at_least_95_of_100_shipped_pictures_get_their_true_label(inspections: list[Inspection], truth: dict[str, str]) -> None:
    assert len(inspections) == len(truth) >= 120
    assert not any(inspection.verdict.fault for inspection in inspections)
    right = [inspection.label == truth[inspection.frame_id] for inspection in inspections]
    assert np.mean(right) >= 0.95


def test_no_shipped_picture_is_judged_with_a_report_that_was_written_later(inspections: list[Inspection], frames: list[Frame]) -> None:
    with (DEMO / "reports.csv").open(encoding="utf-8", newline="") as stream:
        written_at = {row["report_id"]: datetime.fromisoformat(row["written_at"]) for row in csv.DictReader(stream)}
    assert any(inspection.report_ids for inspection in inspections)
    for inspection, frame in zip(inspections, frames, strict=True):
        assert all(written_at[report] < frame.history_at for report in inspection.report_ids)


def test_the_history_changes_the_posterior_of_the_same_picture(pipeline: Pipeline, frames: list[Frame]) -> None:
    screw = next(frame for frame in frames if frame.frame_id == "screw-045.jpg")
    told = pipeline.inspect([screw])[0]
    before_all = pipeline.inspect([replace(screw, recorded_at=datetime(2000, 1, 1, tzinfo=UTC))])[0]
    assert told.report_ids
    assert not before_all.report_ids
    assert told.predictions[0].scores != before_all.predictions[0].scores


def test_a_batch_of_shipped_pictures_is_judged_like_each_alone(
    pipeline: Pipeline, frames: list[Frame], inspections: list[Inspection]
) -> None:
    together = pipeline.inspect(frames[:6])
    for batched, alone in zip(together, inspections[:6], strict=True):
        assert batched.predictions[0].scores == pytest.approx(alone.predictions[0].scores, abs=0.02)
        assert batched.label == alone.label


def test_the_card_and_the_evaluation_tell_the_same_numbers() -> None:
    numbers = json.loads((MODEL / "evaluation.json").read_text(encoding="utf-8"))
    card = (MODEL / "CARD.md").read_text(encoding="utf-8")
    for product in tomllib.loads((MODEL / "recipe.toml").read_text(encoding="utf-8"))["products"]:
        for case in ("reports", "no_reports", "shuffled_reports"):
            assert f"{numbers[product][case]['onnx']['accuracy']:.4f}" in card
            assert f"{numbers[product][case]['onnx']['macro_f1']:.4f}" in card


def test_the_shipped_model_answers_its_frozen_set_as_its_source_did_and_a_flattened_matrix_of_it_does_not(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(MODEL)
    gate = open_gate(checkpoint, None)
    compared = gate.judge(OnnxPredictor(checkpoint))
    gate.refuse(compared)
    assert {one.picture.context.product for one in compared} == {"ball-screw", "steel-strip"}
    assert len({one.expected_label for one in compared}) == 9, "every label of both products"
    assert any(one.picture.context.reports for one in compared)
    with pytest.raises(CheckpointError, match=r"parity/\d\d-(screw|strip)-\d{3}\.png .*: expected"):
        gate.refuse(judged_with(checkpoint, flattened(41), tmp_path))


def test_the_frozen_pictures_are_those_of_the_demo_and_stay_small() -> None:
    frozen = open_set(MODEL / "parity")
    assert 24 <= len(frozen.pictures) <= 40
    assert sum(path.stat().st_size for path in frozen.folder.iterdir()) <= 2_000_000
    for one in frozen.pictures:
        original = read_image(DEMO / "frames" / f"{one.file.stem[3:]}.jpg")
        assert np.array_equal(one.pixels(), squared(original, 256) if original.size > one.pixels().size else original)
