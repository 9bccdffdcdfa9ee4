"""The way of a frame: preprocess, regions, reports, prediction, decision. No side effects: daemon, replay and CLI share it.

A fault anywhere on the way (picture, region, model) gives a ``review`` verdict with its reason; no frame passes silently.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.calibration import CameraCalibration
from inspector.core.context import Context
from inspector.core.decision import DecisionCalibration, decide, tempered
from inspector.core.frame import Frame, Image
from inspector.core.inspection import Inspection, Verdict, inspection_id
from inspector.core.label import LabelSet
from inspector.core.normality import NormalityCalibration
from inspector.core.prediction import Prediction
from inspector.core.region import Region
from inspector.core.report import Report
from inspector.errors import CalibrationError, PredictionError
from inspector.preprocess import correct, quality_fault
from inspector.settings import QualitySection


class Reports(Protocol):
    """Finds the historical reports that matter."""

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> tuple[tuple[Report, ...], NDArray[np.float32]]:
        """Return reports written before an instant, oldest first, and their (n, d) float32 unit vectors."""
        ...


class NoReports:
    """A station without history."""

    def __init__(self, width: int) -> None:
        """Remember the width of a report vector."""
        self._width = width

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> tuple[tuple[Report, ...], NDArray[np.float32]]:  # noqa: ARG002 - the protocol's
        """Return no reports."""
        return (), np.zeros((0, self._width), np.float32)


class Predictor(Protocol):
    """A model behind one call."""

    name: str
    """``name@revision`` of the checkpoint."""

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        """Judge (region name, (h, w, 3) uint8 RGB) pairs; return predictions in order and milliseconds by stage."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A model that can tell which places of a picture spoke for a label."""

    def label_map(self, image: Image, context: Context, label: str) -> NDArray[np.float32]:
        """Return (g, g) nats of log-odds by which each place of (h, w, 3) uint8 RGB spoke for a label. Raises ``PredictionError``."""
        ...


@dataclass(frozen=True, slots=True)
class Product:
    """One product as the pipeline needs it."""

    description: str
    """The product in a few words, read by the model."""
    labels: LabelSet
    """The closed vocabulary."""
    decision: DecisionCalibration
    """Temperature and thresholds."""
    normality: NormalityCalibration | None = None
    """What good parts look like; None: not fitted."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A frame on its way, before the model."""

    frame: Frame
    product: str
    started: float
    images: tuple[tuple[str, Image], ...] = ()
    fault: str | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Turns frames into inspections."""

    predictor: Predictor
    """The model."""
    reports: Reports
    """The history."""
    products: Mapping[str, Product]
    """Products by name."""
    default_product: str
    """Product in view when a frame names none."""
    regions: Mapping[str, Region]
    """Regions to judge, by name."""
    quality: QualitySection
    """When a picture is too poor."""
    calibrations: Mapping[str, CameraCalibration] = field(default_factory=dict)
    """Camera calibrations by camera name."""
    age_limits_ms: Mapping[str, float] = field(default_factory=dict)
    """Age above which a frame is not judged, by camera name; those of other cameras may be of any age."""
    is_simulated: bool = False
    """Marks every inspection as a test."""
    notes: tuple[str, ...] = ()
    """What an operator should know of how this pipeline judges."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The clock of ``inspected_at``."""

    def inspect(self, frames: Sequence[Frame]) -> list[Inspection]:
        """Judge frames, in order. Frames that share product and reports go through the model as one batch."""
        prepared = [self._prepare(frame) for frame in frames]
        done: dict[int, Inspection] = {}
        batches: dict[object, tuple[Context, list[int]]] = {}
        for index, item in enumerate(prepared):
            if item.fault:
                done[index] = self._finish(item, (), Verdict.undecided(item.fault, fault=True))
                continue
            context = self._context(item)
            key = (context.product, tuple(report.report_id for report in context.reports))
            batches.setdefault(key, (context, []))[1].append(index)
        for context, members in batches.values():
            done |= zip(members, self._judge([prepared[index] for index in members], context), strict=True)
        return [done[index] for index in range(len(frames))]

    def cut(self, frame: Frame) -> tuple[tuple[tuple[str, Image], ...], str | None]:
        """Return a frame's corrected regions, (name, (h, w, 3) uint8 RGB) each, or none and the fault."""
        item = self._prepare(frame)
        return item.images, item.fault

    def label_maps(self, frame: Frame, inspection: Inspection) -> dict[str, NDArray[np.float32]]:
        """Return, by region, (g, g) nats by which each place of a judged frame spoke for the region's label.

        Costs about three verdicts' time. Empty where no label was chosen among several. Raises ``PredictionError``.
        """
        item = self._prepare(replace(frame, grabbed_ns=time.monotonic_ns()))  # judged already: its age no longer counts
        if item.fault or not isinstance(self.predictor, Explaining) or len(self.products[item.product].labels.names) < 2:
            return {}
        context, labels = self._context(item), {p.region: p.label for p in inspection.predictions}
        return {name: self.predictor.label_map(image, context, labels[name]) for name, image in item.images if name in labels}

    def _prepare(self, frame: Frame) -> _Prepared:
        """Correct a frame and cut out its regions, or find its fault."""
        started = time.perf_counter()
        product = frame.product or self.default_product
        item = _Prepared(frame, product, started)
        if unfit := frame.fault or _stale(frame, self.age_limits_ms.get(frame.camera)):
            return _with_fault(item, unfit)
        if product not in self.products:
            return _with_fault(item, f"product {product!r} is not one of this station's products {', '.join(self.products)}")
        image = frame.image
        # The frame's own size is checked before anything works on it: undistorting 100 megapixels would stall the line.
        fault = _too_large(image, self.quality)
        if fault:
            return _with_fault(item, fault)
        calibration = self.calibrations.get(frame.camera, CameraCalibration())
        image, fault = _corrected(frame, calibration)
        if fault:
            return _with_fault(item, fault)
        images = []
        for region in self.regions.values():
            crop = region.crop(image)
            fault = _outside(region, image, crop) or quality_fault(crop, self.quality, calibration)
            if fault:
                return _with_fault(item, f"{region.name}: {fault}")
            images.append((region.name, crop))
        item.timings_ms["preprocess"] = 1e3 * (time.perf_counter() - started)
        return _Prepared(frame, product, started, tuple(images), None, item.timings_ms)

    def _context(self, item: _Prepared) -> Context:
        """Look up the reports for a frame."""
        started = time.perf_counter()
        product, frame = self.products[item.product], item.frame
        reports, vectors = self.reports.relevant(item.product, frame.station, frame.lot, frame.history_at)
        item.timings_ms["reports"] = 1e3 * (time.perf_counter() - started)
        return Context(item.product, product.description, product.labels, reports, vectors, product.normality)

    def _judge(self, items: Sequence[_Prepared], context: Context) -> list[Inspection]:
        """Run the model over all regions of frames that share a context."""
        images = [image for item in items for image in item.images]
        try:
            predictions, stages = self.predictor.predict(images, context)
        except PredictionError as error:
            if len(items) > 1:  # one picture that the model cannot take must not send its neighbours to review
                return [self._judge([item], context)[0] for item in items]
            return [self._finish(item, (), Verdict.undecided(str(error), fault=True)) for item in items]
        product, inspections, start = self.products[context.product], [], 0
        for item in items:
            stop = start + len(item.images)
            began = time.perf_counter()
            own = tuple(_tempered(p, product.decision.temperature) for p in predictions[start:stop])
            verdict = decide(own, self.regions, product.labels, product.decision)
            item.timings_ms.update(stages, decide=1e3 * (time.perf_counter() - began))
            inspections.append(self._finish(item, own, verdict))
            start = stop
        return inspections

    def _finish(self, item: _Prepared, predictions: tuple[Prediction, ...], verdict: Verdict) -> Inspection:
        """Write the record of one frame."""
        frame = item.frame
        item.timings_ms["total"] = 1e3 * (time.perf_counter() - item.started)
        return Inspection(
            inspection_id=inspection_id(frame.station, frame.camera, frame.frame_id, nanoseconds(frame.captured_at)),
            station=frame.station,
            camera=frame.camera,
            frame_id=frame.frame_id,
            product=item.product,
            captured_at=frame.captured_at,
            inspected_at=self.now(),
            frame_age_ms=max((time.monotonic_ns() - frame.grabbed_ns) / 1e6, 0.0),
            verdict=verdict,
            predictions=predictions,
            timings_ms=item.timings_ms,
            model=self.predictor.name,
            lot=frame.lot,
            part_id=frame.part_id,
            width_px=frame.image.shape[1],
            height_px=frame.image.shape[0],
            source=frame.source,
            is_simulated=self.is_simulated,
            calibration=None if verdict.fault else self._standing(item.product),
        )

    def _standing(self, product: str) -> DecisionCalibration | None:
        """Return what a verdict stands under, None if nothing was fitted."""
        decision = self.products[product].decision
        return decision.under(self.predictor.name) if decision.is_fitted else None


def nanoseconds(instant: datetime) -> int:
    """Return whole nanoseconds since the Unix epoch of a UTC instant, without the rounding of a float."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def _with_fault(item: _Prepared, fault: str) -> _Prepared:
    return _Prepared(item.frame, item.product, item.started, (), fault, item.timings_ms)


def _stale(frame: Frame, limit_ms: float | None) -> str | None:
    """Return why a frame is too old to stand for the part that is in view now."""
    age_ms = (time.monotonic_ns() - frame.grabbed_ns) / 1e6
    if limit_ms is None or age_ms <= limit_ms:
        return None
    return (
        f"stale: the frame was taken {age_ms:.0f} ms ago, cameras.{frame.camera}.max_age_ms is {limit_ms:g}; "
        "lower the camera's rate, use a faster model, or raise max_age_ms"
    )


def _corrected(frame: Frame, calibration: CameraCalibration) -> tuple[Image, str | None]:
    """Return the corrected picture, or why there is none."""
    try:
        return correct(frame, calibration), None
    except CalibrationError as error:
        return frame.image, f"{frame.camera}: {error}"
    except cv2.error as error:  # OpenCV undistorts no side of 32767 pixels or more
        size = f"{frame.image.shape[1]} x {frame.image.shape[0]}"
        return frame.image, f"a picture of {size} pixels cannot be corrected for the lens of {frame.camera}: {error.err}"


def _too_large(image: Image, quality: QualitySection) -> str | None:
    pixels = image.shape[0] * image.shape[1]
    if pixels > quality.max_pixels:
        return f"the frame has {pixels} pixels, more than quality.max_pixels = {quality.max_pixels}"
    return None


def _outside(region: Region, image: Image, crop: Image) -> str | None:
    """Return why a region does not lie within the frame."""
    if region.box_px is None or crop.shape[:2] == (region.box_px[3], region.box_px[2]):
        return None
    return f"box_px {list(region.box_px)} leaves the frame of {image.shape[1]} x {image.shape[0]} pixels; correct regions.{region.name}"


def _tempered(prediction: Prediction, temperature: float) -> Prediction:
    return replace(prediction, scores=tempered(prediction.scores, temperature))
