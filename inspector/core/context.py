"""A context: what the model reads beside the picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.core.label import LabelSet
from inspector.core.normality import NormalityCalibration
from inspector.core.report import Report


@dataclass(frozen=True, slots=True)
class Context:
    """What the model reads beside the picture; equal contexts share one static prefix."""

    product: str
    """Name of the product."""
    description: str
    """The product in a few words."""
    labels: LabelSet
    """The closed vocabulary."""
    reports: tuple[Report, ...]
    """Historical reports, oldest first."""
    vectors: NDArray[np.float32]
    """(len(reports), d) float32 unit vectors of the reports' texts."""
    normality: NormalityCalibration | None = None
    """What good parts look like, for the score beside the posterior; the model does not read it. None: not fitted."""
