"""A prediction: the model's posterior over a closed label set for one region."""

from collections.abc import Mapping
from dataclasses import dataclass

from inspector.core.normality import Normality


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one region."""

    region: str
    """Name of the region."""
    scores: Mapping[str, float]
    """Posterior probability of every label of the product's label set; sums to 1."""
    report_ids: tuple[str, ...]
    """Ids of the reports that stood in the model's input, in slot order."""
    model: str
    """``name@revision`` of the checkpoint."""
    normality: Normality | None = None
    """How unlike good parts the region is; None if the product has no fitted normality."""

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.scores, key=lambda name: self.scores[name])

    @property
    def confidence(self) -> float:
        """Probability of the most probable label, 0..1."""
        return self.scores[self.label]
