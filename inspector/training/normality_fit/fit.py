"""The fit: patches of good pictures and a wish in, a memory and a limit out, or the reason why nothing can be promised.

The limit comes from scores of pictures whose whole group was held out of the memory (cross-conformal: Vovk 2015; CV+: Barber, Candes,
Ramdas, Tibshirani 2021, arXiv 1905.02928): the ceil((n + 1) keep)-th smallest of n groups' worst scores. The final memory holds all
groups, so it lies nearer to any new good part than the memories that the limit comes from: what it errs, it errs towards fewer reviews.
n pictures, R regions, P patches a region, C channels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.core.normality import PatchMemory, picture_score
from inspector.errors import CalibrationError
from inspector.training.decision_fit.bound import Bound
from inspector.training.normality_fit.coreset import greedy_coreset

MEMORY_PATCHES = 1000
"""Patches in a memory: 0.64 MB in float16 at 320 channels; twice as many caught no more (models/LOG.md, 2026-11-25)."""
FOLDS = 10
"""Parts that the groups are held out in; with fewer groups each is held out alone."""
_MOST_PATCHES = 60_000
"""Patches that a memory is chosen from; more are thinned out at random, so that a fit takes a minute."""


@dataclass(frozen=True, slots=True)
class GoodPictures:
    """What the vision tower sees of good pictures."""

    features: NDArray[np.float16]
    """(n, R, P, C) patches of each region."""
    groups: tuple[str, ...]
    """Group of each picture."""

    def of(self, chosen: NDArray[np.bool_]) -> "GoodPictures":
        """Return the chosen ones, by an (n,) mask."""
        return GoodPictures(self.features[chosen], tuple(np.array(self.groups, object)[chosen]))


@dataclass(frozen=True, slots=True)
class Fitted:
    """A memory and its limit."""

    memory: NDArray[np.float16]
    """(M, C) patches of good parts."""
    limit: float
    """Largest score of a part that passes."""
    keep: float
    """Promised share of good parts within the limit, 0..1."""
    groups: int
    """n groups behind the limit."""
    beyond: int
    """Groups that lie above the limit themselves."""

    def largest_review(self, confidence: float) -> float:
        """Return below which share of good parts the reviews of this very fit stay with a confidence, 0..1."""
        return Bound(confidence).largest_rate(self.beyond, self.groups)

    def scores(self, features: NDArray[np.float16]) -> NDArray[np.float64]:
        """Return the (n,) scores of (n, R, P, C) pictures."""
        return scores(features, PatchMemory.of(self.memory))


def fit(pictures: GoodPictures, keep: float, tell: Callable[[], None] = lambda: None) -> Fitted:
    """Fit memory and limit; ``tell`` hears of each memory made. Raises ``CalibrationError`` if nothing can be promised."""
    names = sorted(set(pictures.groups))
    place = refuse_too_few(len(names), keep)
    folds = min(FOLDS, len(names))
    fold_of = dict(zip(np.random.default_rng(0).permutation(names), np.arange(len(names)) % folds, strict=True))
    member = np.array([fold_of[group] for group in pictures.groups])
    found = np.empty(len(member))
    for fold in range(folds):
        held = member == fold
        found[held] = scores(pictures.features[held], PatchMemory.of(remember(pictures.features[~held])))
        tell()
    worst = np.sort(group_worst(found, pictures.groups))
    memory = remember(pictures.features)
    tell()
    limit = float(worst[place - 1])
    if not limit > 0.0:
        raise CalibrationError("the good pictures look exactly alike to the model; show different parts, not one picture many times")
    return Fitted(memory, limit, keep, len(names), int((worst > limit).sum()))


def refuse_too_few(groups: int, keep: float) -> int:
    """Return which of the groups' ordered worst scores is the limit. Raises ``CalibrationError`` if they are too few for ``keep``."""
    place = math.ceil((groups + 1) * keep - 1e-9)
    if place <= groups:
        return place
    needed, most = groups_for(keep), groups / (groups + 1)
    wanted = f"to promise that {100 * keep:g} % of good parts are not sent to review takes {needed} groups of good parts"
    cure = f"show {needed - groups} more good parts, or ask for less: --keep {math.floor(1000 * most) / 1000:g}"
    raise CalibrationError(f"{wanted}, there {'is' if groups == 1 else 'are'} {groups}; {cure if groups > 1 else 'show more good parts'}")


def groups_for(keep: float) -> int:
    """Return how many groups a promise takes at least."""
    return math.ceil(keep / (1.0 - keep) - 1e-9)


def remember(features: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return the (M, C) patches that stand for all patches of (n, R, P, C) features."""
    patches = features.reshape(-1, features.shape[-1])
    if len(patches) > _MOST_PATCHES:
        patches = patches[np.sort(np.random.default_rng(0).choice(len(patches), _MOST_PATCHES, replace=False))]
    return patches[greedy_coreset(patches.astype(np.float32), MEMORY_PATCHES)]


def scores(features: NDArray[np.float16], memory: PatchMemory) -> NDArray[np.float64]:
    """Return the (n,) scores of (n, R, P, C) pictures: that of the region most unlike good parts."""
    return np.array([max(picture_score(memory.distances(region.astype(np.float32))) for region in picture) for picture in features])


def group_worst(found: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.float64]:
    """Return the highest score of each group: a part is sent to review if one of its pictures is."""
    names, member = np.unique(np.array(groups), return_inverse=True)
    worst = np.full(len(names), -np.inf)
    np.maximum.at(worst, member, found)
    return worst
