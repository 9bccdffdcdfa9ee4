"""The decision: from posteriors to pass, fail or review. Pure; raising a threshold never turns a fail into a pass."""

from collections.abc import Mapping, Sequence

from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.inspection import Disposition, Finding, Verdict
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.core.region import Region

__all__ = ["DecisionCalibration", "decide", "tempered"]


def tempered(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Return the posterior raised to ``1 / temperature`` and renormalised. The order of the labels is kept."""
    peak = max(scores.values())
    powered = {name: (p / peak) ** (1.0 / temperature) for name, p in scores.items()}
    total = sum(powered.values())
    return {name: p / total for name, p in powered.items()}


def decide(
    predictions: Sequence[Prediction],
    regions: Mapping[str, Region],
    labels: LabelSet,
    calibration: DecisionCalibration,
) -> Verdict:
    """Judge a part by the predictions of all its regions, whose scores are already tempered.

    One failed region fails the part; else one doubtful region sends it to review; else it passes. A region that would pass but is
    unlike any good part seen (``Prediction.normality``) is doubtful.
    """
    if not predictions:
        return Verdict.undecided("no region was judged", fault=True)
    judged = [_judge(prediction, labels, calibration) for prediction in predictions]
    findings = tuple(
        Finding(prediction.region, prediction.label, prediction.confidence, regions[prediction.region].box_px, disposition)
        for prediction, (disposition, _) in zip(predictions, judged, strict=True)
        if disposition != "pass"
    )
    for wanted in ("fail", "review"):
        reasons = [reason for disposition, reason in judged if disposition == wanted]
        if reasons:
            return Verdict(wanted, findings, "; ".join(reasons))
    return Verdict("pass", (), "; ".join(reason for _, reason in judged))


def _judge(prediction: Prediction, labels: LabelSet, calibration: DecisionCalibration) -> tuple[Disposition, str]:
    """Return (disposition, reason) of one region."""
    where, label, confidence = prediction.region, prediction.label, prediction.confidence
    if label == labels.good:
        if confidence >= calibration.pass_above:
            return _pass_if_normal(prediction, labels)
        return "review", f"{where}: {label} {confidence:.2f} is below pass_above {calibration.pass_above:.2f}"
    defect = 1.0 - prediction.scores[labels.good] if labels.good is not None else confidence
    if defect >= calibration.fail_above:
        return "fail", f"{where}: {label} {confidence:.2f}"
    return "review", f"{where}: {label} {confidence:.2f}, defect {defect:.2f} is below fail_above {calibration.fail_above:.2f}"


def _pass_if_normal(prediction: Prediction, labels: LabelSet) -> tuple[Disposition, str]:
    """Return (disposition, reason) of a region that passes by its posterior."""
    where, normality = prediction.region, prediction.normality
    if normality is None:
        if labels.is_good_alone:
            return "review", f"{where}: good parts alone are known and none were shown yet; run inspector calibrate normality"
        return "pass", f"{where}: {prediction.label} {prediction.confidence:.2f}"
    measured = f"score {normality.score:.4g}, limit {normality.limit:.4g}"
    if not normality.is_normal:
        return "review", f"{where}: unlike any good part seen ({measured})"
    if labels.is_good_alone:  # a posterior over one label is always 1: it must not look like evidence
        return "pass", f"{where}: like the good parts seen ({measured})"
    return "pass", f"{where}: {prediction.label} {prediction.confidence:.2f}"
