"""The fit behind a decision: temperature, thresholds and the promise that goes with them. Whatever voids the promise takes it away."""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DecisionCalibration:
    """Temperature and thresholds of one product, on how many parts they were fitted and what they promise."""

    temperature: float = 1.0
    """Posteriors are raised to 1/temperature and renormalised (Guo et al. 2017, arXiv 1706.04599)."""
    pass_above: float = 0.9
    """A region passes if the good label is the most probable one and its probability is at least this, 0..1."""
    fail_above: float = 0.6
    """A region fails if a defect is the most probable label and all defects together have at least this, 0..1."""
    fitted_on: int = 0
    """Number of labelled pictures behind the fit; 0 means defaults, not a fit."""
    target_escape: float | None = None
    """Promised: at most this share of defective parts passes, 0..1; None: nothing is promised."""
    ece: float | None = None
    """Expected calibration error on the pictures of the fit, 0..1."""
    calibrated_at: datetime | None = None
    """When it was fitted, UTC."""
    confidence: float | None = None
    """Probability with which a fit like this one keeps what it promises, 0..1."""
    groups: int = 0
    """Number of groups with defective parts behind the promise."""
    review_share: float | None = None
    """Share of the pictures of the fit that went to review, 0..1."""
    false_reject_share: float | None = None
    """Share of the good pictures of the fit that failed, 0..1."""
    model: str | None = None
    """``name@revision`` of the checkpoint that judged the pictures of the fit; None: not known."""

    @property
    def is_fitted(self) -> bool:
        """True if labelled pictures stand behind the numbers."""
        return self.fitted_on > 0

    def under(self, model: str) -> "DecisionCalibration":
        """Return what holds while ``model`` (``name@revision``) judges: another one than that of the fit keeps no promise."""
        return self if self.model in {None, model} else self.without_promise()

    def overruled(self, pass_above: float | None = None, fail_above: float | None = None) -> "DecisionCalibration":
        """Return it with thresholds set by hand. A pass made easier voids the promise; a pass made harder keeps it."""
        kept = self if pass_above is None or pass_above >= self.pass_above else self.without_promise()
        return replace(
            kept,
            pass_above=self.pass_above if pass_above is None else pass_above,
            fail_above=self.fail_above if fail_above is None else fail_above,
        )

    def without_promise(self) -> "DecisionCalibration":
        """Return the same numbers, promising nothing."""
        return replace(self, target_escape=None, confidence=None, groups=0)
