"""Normality: how unlike good parts a picture is, from the distances of its patches to a memory of good parts' patches. Pure.

PatchCore (Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection", arXiv 2106.08265) on the vision tower's last map:
a patch's score is the Euclidean distance to the nearest patch in memory, a picture's score the mean of its most unlike patches.
P = h x w patches a picture, M patches in memory, C channels.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

TELLING_PATCHES = 5
"""Most unlike patches whose mean is the picture's score: a single one would follow noise, many would drown a small defect."""

_SMALL_PRODUCT = 250_000
"""Multiplications of one matrix product: OpenBLAS takes a second thread above 262,144. That thread would wait for a core that ONNX
Runtime's own threads hold: on two busy cores 13 to 55 ms, where small products take 1.4 (models/LOG.md, 2026-11-25)."""


@dataclass(frozen=True, slots=True)
class Normality:
    """How unlike good parts one region is."""

    score: float
    """Mean distance of its most unlike patches to the nearest good ones, 0 or more; no probability."""
    limit: float
    """Score above which the region is unlike any good part seen."""
    patches: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """(h, w) score of each patch, for heat maps; not logged."""

    @property
    def is_normal(self) -> bool:
        """True if the score lies within the limit."""
        return self.score <= self.limit

    @property
    def excess(self) -> float:
        """Score in units of the limit: above 1 the region is unlike any good part seen."""
        return self.score / self.limit


@dataclass(frozen=True, slots=True)
class PatchMemory:
    """Patches of good parts, and how far another patch is from them."""

    patches: NDArray[np.float32]
    """(M, C) features, read-only."""
    squares: NDArray[np.float32]
    """(M,) their squared lengths."""

    @classmethod
    def of(cls, patches: NDArray[np.floating]) -> Self:
        """Return the memory of (M, C) features."""
        kept = np.array(patches, np.float32)
        kept.setflags(write=False)
        return cls(kept, np.einsum("mc,mc->m", kept, kept))

    def distances(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (P,) distances of (P, C) features to their nearest patch in memory."""
        nearest = np.full(len(features), np.inf, np.float32)
        step = max(1, _SMALL_PRODUCT // max(features.size, 1))
        for start in range(0, len(self.patches), step):
            some = slice(start, start + step)
            products = features @ self.patches[some].T  # (P, step)
            np.minimum(nearest, (self.squares[some] - 2.0 * products).min(axis=1), out=nearest)
        squared = nearest + np.einsum("pc,pc->p", features, features)
        distances: NDArray[np.float32] = np.sqrt(np.maximum(squared, 0.0))
        return distances


@dataclass(frozen=True, slots=True)
class NormalityCalibration:
    """What good parts of one product look like, up to which score a part counts as one of them, and what that limit promises."""

    memory: PatchMemory = field(compare=False, repr=False)
    """Patches of good parts."""
    memory_file: str
    """File that holds them; its name bears the hash of its content, so equal names are equal memories."""
    limit: float
    """Largest score of a part that passes."""
    keep: float
    """Promised: at least this share of good parts lies within the limit, 0..1, on average over such fits."""
    groups: int
    """Groups of good pictures behind the limit."""
    fitted_on: int
    """Good pictures behind the fit."""
    model: str
    """``name@revision`` of the checkpoint whose features these are; another one's cannot be compared with them."""
    calibrated_at: datetime | None = None
    """When it was fitted, UTC."""

    def judge(self, features: NDArray[np.float32]) -> Normality:
        """Return the normality of one region from its (h, w, C) features. Raises ``ValueError`` if they are not finite."""
        height, width, channels = features.shape
        scores = self.memory.distances(features.reshape(height * width, channels))
        score = picture_score(scores)
        if not np.isfinite(score):
            raise ValueError("the vision tower returned a feature that is not finite")
        return Normality(score, self.limit, scores.reshape(height, width))


def picture_score(scores: NDArray[np.float32]) -> float:
    """Return the score of a picture from the (P,) scores of its patches."""
    return float(np.sort(scores)[-TELLING_PATCHES:].mean())
