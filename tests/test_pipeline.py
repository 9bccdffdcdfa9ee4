"""The way of a frame: order, batches, faults, history. Small real fakes, and the tiny model."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.core.calibration import CameraCalibration
from inspector.core.context import Context
from inspector.core.decision import DecisionCalibration, tempered
from inspector.core.frame import Frame, Image
from inspector.core.inspection import Inspection
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.core.region import Region
from inspector.core.report import Report
from inspector.errors import LogError, PredictionError
from inspector.pipeline import NoReports, Pipeline, Predictor, Product, nanoseconds
from inspector.settings import QualitySection
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from tests.conftest import REPORT_WIDTH, Tiny
from tests.station_kit import picture

LABELS = LabelSet(("good", "dent"), "good")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LENS = CameraCalibration(camera_matrix=((90.0, 0.0, 64.0), (0.0, 90.0, 48.0), (0.0, 0.0, 1.0)), dist_coeffs=(-0.9, 0.3, 0.0, 0.0))
POISON = 250
"""The fake model cannot judge a batch that holds a picture whose first value is this."""


@dataclass
class FakePredictor:
    """Says "good" with the share of the picture's mean brightness, and remembers its batches."""

    name: str = "fake@1"
    batches: list[tuple[str, tuple[str, ...], int]] = field(default_factory=list)

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        ids = tuple(report.report_id for report in context.reports)
        self.batches.append((context.product, ids, len(images)))
        if any(image[0, 0, 0] == POISON for _, image in images):
            raise PredictionError("the model returned a logit that is not finite")
        shares = [float(image.mean()) / 255 for _, image in images]
        return [Prediction(region, {"good": p, "dent": 1 - p}, ids, self.name) for (region, _), p in zip(images, shares, strict=True)], {
            "vision": 2.0
        }


@dataclass
class FakeReports:
    """Knows one report about each lot, and remembers what it was asked."""

    asked: list[tuple[str, str, str | None, datetime]] = field(default_factory=list)

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> tuple[tuple[Report, ...], NDArray[np.float32]]:
        self.asked.append((product, station, lot, before))
        if lot is None:
            return (), np.zeros((0, 4), np.float32)
        return (Report(f"QC-{lot}", NOON, product, "dent found"),), np.ones((1, 4), np.float32)


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports()


@pytest.fixture
def pipeline(predictor: FakePredictor, reports: FakeReports) -> Pipeline:
    return judge(predictor, reports=reports)


def judge(predictor: Predictor, *, labels: LabelSet = LABELS, **changes: object) -> Pipeline:
    product = Product("a part", labels, DecisionCalibration(pass_above=0.6, fail_above=0.6))
    base = Pipeline(predictor, NoReports(4), {"a": product, "b": product}, "a", {"frame": Region("frame")}, QualitySection())
    return replace(base, **changes)  # type: ignore[arg-type]


def frame(number: int = 0, image: Image | None = None, **changes: object) -> Frame:
    shown = picture(number) if image is None else image
    captured = NOON + timedelta(seconds=number)
    return replace(Frame("s1", "line", f"f{number}", captured, time.monotonic_ns(), shown), **changes)  # type: ignore[arg-type]


def flat(value: int, height: int = 64, width: int = 64) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def told(record: Inspection) -> tuple[object, ...]:
    """Return what a verdict says, without its times."""
    return record.inspection_id, record.product, record.verdict, record.predictions, record.lot, record.model, record.width_px


def test_results_come_in_the_order_of_the_frames(pipeline: Pipeline) -> None:
    frames = [frame(n, product="ab"[n % 2], lot=f"L{n % 3}") for n in range(7)]
    assert [record.frame_id for record in pipeline.inspect(frames)] == [f"f{n}" for n in range(7)]


def test_frames_that_share_product_and_reports_go_through_the_model_as_one_batch(pipeline: Pipeline, predictor: FakePredictor) -> None:
    pipeline.inspect([frame(0, lot="L1"), frame(1, product="b"), frame(2, lot="L1"), frame(3, lot="L2"), frame(4, product="b")])
    assert sorted(predictor.batches) == [("a", ("QC-L1",), 2), ("a", ("QC-L2",), 1), ("b", (), 2)]


def test_each_frame_is_judged_with_the_reports_of_its_own_lot(pipeline: Pipeline) -> None:
    records = pipeline.inspect([frame(n, lot=lot) for n, lot in enumerate(("L1", "L2", None, "L1"))])
    assert [record.report_ids for record in records] == [("QC-L1",), ("QC-L2",), (), ("QC-L1",)]
    assert [record.lot for record in records] == ["L1", "L2", None, "L1"]


def test_a_batch_says_the_same_as_single_calls(pipeline: Pipeline) -> None:
    frames = [frame(n, product="ab"[n % 2], lot=f"L{n % 3}") for n in range(6)] + [frame(6, fault="no picture"), frame(7, flat(0))]
    assert [told(r) for r in pipeline.inspect(frames)] == [told(pipeline.inspect([f])[0]) for f in frames]


def test_no_frames_give_no_inspections(pipeline: Pipeline, predictor: FakePredictor) -> None:
    assert pipeline.inspect([]) == []
    assert predictor.batches == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (frame(fault="camera line: the cable is out"), "camera line: the cable is out"),
        (frame(fault="broken", image=np.zeros((0, 0, 3), np.uint8)), "broken"),
        (frame(image=np.zeros((0, 0, 3), np.uint8)), "0 x 0 pixels"),
        (frame(image=flat(100, 1, 1)), "1 x 1 pixels"),
        (frame(image=flat(0)), "too dark"),
        (frame(image=flat(255)), "too bright"),
        (frame(image=flat(100, 300, 300)), "quality.max_pixels = 40000"),
        (frame(product="screw"), "product 'screw' is not one of this station's products a, b"),
        (frame(image=flat(POISON)), "not finite"),
    ],
)
def test_a_frame_that_cannot_be_judged_goes_to_review_with_its_reason(predictor: FakePredictor, bad: Frame, reason: str) -> None:
    pipeline = judge(predictor, quality=QualitySection(max_pixels=40_000))
    record, after = pipeline.inspect([bad, frame(1)])
    assert (record.verdict.disposition, record.verdict.evaluation, record.predictions) == ("review", "Undefined", ())
    assert record.verdict.fault
    assert reason in record.verdict.reason
    assert record.timings_ms["total"] >= 0
    assert after.predictions, "the frame beside it is judged all the same"


def test_a_picture_that_the_model_cannot_take_does_not_send_its_neighbours_to_review(pipeline: Pipeline) -> None:
    records = pipeline.inspect([frame(0), frame(1, flat(POISON)), frame(2)])
    assert [record.verdict.fault for record in records] == [False, True, False]


def test_a_region_that_leaves_the_frame_is_a_fault_that_names_the_setting(predictor: FakePredictor) -> None:
    pipeline = judge(predictor, regions={"left": Region("left", (0, 0, 40, 40)), "tip": Region("tip", (100, 60, 50, 50))})
    verdict = pipeline.inspect([frame()])[0].verdict
    assert verdict.fault
    assert "tip: box_px [100, 60, 50, 50] leaves the frame of 128 x 96 pixels; correct regions.tip" in verdict.reason


def test_every_region_is_judged_and_one_bad_region_fails_the_part(predictor: FakePredictor) -> None:
    halves = np.concatenate([flat(240), flat(20)], axis=1)
    regions = {"left": Region("left", (0, 0, 64, 64)), "right": Region("right", (64, 0, 64, 64))}
    record = judge(predictor, regions=regions).inspect([frame(0, halves)])[0]
    assert [(p.region, p.label) for p in record.predictions] == [("left", "good"), ("right", "dent")]
    assert record.verdict.disposition == "fail"
    assert [finding.box_px for finding in record.verdict.findings] == [(64, 0, 64, 64)]
    assert predictor.batches == [("a", (), 2)]


def test_history_ends_when_the_picture_was_taken_or_first_taken(pipeline: Pipeline, reports: FakeReports) -> None:
    recorded = datetime(2020, 8, 28, tzinfo=UTC)
    pipeline.inspect([frame(1, lot="L1"), frame(2, product="b", recorded_at=recorded)])
    assert reports.asked == [("a", "s1", "L1", NOON + timedelta(seconds=1)), ("b", "s1", None, recorded)]


def test_a_frame_without_product_is_judged_as_the_stations_own(pipeline: Pipeline) -> None:
    assert [record.product for record in pipeline.inspect([frame(0), frame(1, product="b")])] == ["a", "b"]


def test_the_logged_posterior_is_the_tempered_one_that_was_decided_on(predictor: FakePredictor) -> None:
    raw = judge(predictor).inspect([frame()])[0].predictions[0].scores
    hot = Product("a part", LABELS, DecisionCalibration(temperature=2.5))
    assert judge(predictor, products={"a": hot}).inspect([frame()])[0].predictions[0].scores == tempered(raw, 2.5)


def test_a_verdict_bears_what_it_stands_under_as_long_as_the_model_is_that_of_the_fit(predictor: FakePredictor) -> None:
    fit = DecisionCalibration(pass_above=0.6, fitted_on=400, target_escape=0.01, confidence=0.9, groups=240, model=predictor.name)
    product = Product("a part", LABELS, fit)
    assert judge(predictor, products={"a": product}).inspect([frame()])[0].calibration == fit
    other = replace(product, decision=replace(fit, model="other@1"))
    standing = judge(predictor, products={"a": other}).inspect([frame()])[0].calibration
    assert standing is not None
    assert (standing.target_escape, standing.pass_above) == (None, 0.6)


def test_without_a_fit_and_without_a_judgement_a_verdict_stands_under_nothing(predictor: FakePredictor) -> None:
    fitted = Product("a part", LABELS, DecisionCalibration(fitted_on=400, target_escape=0.01))
    unknown, broken = judge(predictor, products={"a": fitted}).inspect([frame(product="nut"), frame(fault="no frame for 2 s")])
    assert (unknown.calibration, broken.calibration) == (None, None)
    assert judge(predictor).inspect([frame()])[0].calibration is None


def test_inspecting_changes_nothing_that_it_was_given(pipeline: Pipeline) -> None:
    frames = [frame(n, picture(n).copy()) for n in range(3)]
    before = [f.image.copy() for f in frames]
    pipeline.inspect(frames)
    assert all(np.array_equal(f.image, image) for f, image in zip(frames, before, strict=True))


def test_the_age_of_a_frame_is_counted_from_its_grab_and_never_negative(pipeline: Pipeline) -> None:
    grabbed = time.monotonic_ns()
    old, future = pipeline.inspect([frame(0, grabbed_ns=grabbed - 5_000_000_000), frame(1, grabbed_ns=grabbed + 10**12)])
    assert old.frame_age_ms >= 5000
    assert future.frame_age_ms == 0


def test_a_frame_older_than_its_cameras_limit_is_not_judged_and_the_reason_says_how_old(predictor: FakePredictor) -> None:
    limited = judge(predictor, age_limits_ms={"line": 2000.0})
    old_ns, fresh_ns = time.monotonic_ns() - 3_000_000_000, time.monotonic_ns()
    fresh, stale, other = limited.inspect(
        [frame(0, grabbed_ns=fresh_ns), frame(1, grabbed_ns=old_ns), frame(2, grabbed_ns=old_ns, camera="replay")]
    )
    assert stale.verdict.disposition == "review"
    assert stale.verdict.reason is not None
    assert re.match(r"stale: the frame was taken 3\d\d\d ms ago, cameras\.line\.max_age_ms is 2000; ", stale.verdict.reason)
    assert stale.predictions == ()
    assert fresh.predictions
    assert other.predictions


def test_a_frame_keeps_its_part_its_lot_and_its_size(pipeline: Pipeline) -> None:
    record = pipeline.inspect([frame(0, lot="L1", part_id="P-7", source="a.png")])[0]
    assert (record.lot, record.part_id, record.width_px, record.height_px, record.source) == ("L1", "P-7", 128, 96, "a.png")
    assert record.timings_ms.keys() == {"preprocess", "reports", "vision", "decide", "total"}


def test_a_calibrated_lens_is_taken_out_before_the_model_looks(predictor: FakePredictor) -> None:
    plain = judge(predictor).inspect([frame()])[0].predictions[0].scores
    bent = judge(predictor, calibrations={"line": LENS}).inspect([frame()])[0].predictions[0].scores
    assert bent != plain


def test_a_line_scan_too_long_to_be_corrected_is_a_fault_and_no_crash(predictor: FakePredictor) -> None:
    verdict = judge(predictor, calibrations={"line": LENS}).inspect([frame(0, flat(100, 40_000, 64))])[0].verdict
    assert verdict.fault
    assert "a picture of 64 x 40000 pixels cannot be corrected for the lens of line" in verdict.reason


def test_a_gain_map_of_another_size_sends_the_picture_to_review(predictor: FakePredictor) -> None:
    flat_field = CameraCalibration(flat_field="flat-line.npz", gain=np.ones((10, 20), np.float32))
    verdict = judge(predictor, calibrations={"line": flat_field}).inspect([frame()])[0].verdict
    assert verdict.fault
    assert "line: the picture has 128 x 96 pixels, flat-line.npz was measured at 20 x 10" in verdict.reason


def test_a_log_that_cannot_be_read_is_not_taken_for_a_bad_picture(predictor: FakePredictor) -> None:
    class BrokenReports:
        def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> tuple[tuple[Report, ...], NDArray[np.float32]]:
            raise LogError("inspector.db: cannot look up reports")

    with pytest.raises(LogError):
        judge(predictor, reports=BrokenReports()).inspect([frame()])


def test_an_instant_is_turned_into_nanoseconds_without_rounding() -> None:
    assert nanoseconds(datetime(2026, 1, 1, 0, 0, 0, 123_457, tzinfo=UTC)) == 1_767_225_600_123_457_000


@pytest.fixture(scope="module")
def tiny_pipeline(tiny: Tiny) -> Pipeline:
    predictor = OnnxPredictor(open_checkpoint(tiny.folder), threads=1)
    return judge(predictor, labels=tiny.labels, reports=NoReports(REPORT_WIDTH))


def test_the_tiny_model_judges_a_batch_as_it_judges_single_frames(tiny_pipeline: Pipeline) -> None:
    frames = [frame(n, picture(n, 96 + 8 * n, 128), product="ab"[n % 2]) for n in range(4)]
    together, alone = tiny_pipeline.inspect(frames), [tiny_pipeline.inspect([f])[0] for f in frames]
    for one, other in zip(together, alone, strict=True):
        assert one.predictions[0].scores == pytest.approx(other.predictions[0].scores, abs=1e-5)
        assert one.label == other.label
        assert one.timings_ms.keys() == {"preprocess", "reports", "prefill", "pixels", "vision", "decode", "decide", "total"}


@pytest.mark.parametrize("image", [flat(100, 32, 4000), flat(100, 4000, 32), flat(3), picture(3, 700, 33)])
def test_the_tiny_model_judges_whatever_passes_the_quality_check(tiny_pipeline: Pipeline, tiny: Tiny, image: Image) -> None:
    record = tiny_pipeline.inspect([frame(0, image)])[0]
    assert not record.verdict.fault
    assert record.label in tiny.labels.names
    assert sum(record.predictions[0].scores.values()) == pytest.approx(1.0)
