"""Training visits: pictures that are seen together, with a history that another part of the training data tells.

Two kinds of history. ``positions``: the source has time stamps, so a picture's reports are those of *earlier* inspections of the same
position. ``lots``: the source has neither times nor lots, so a lot is simulated: a label mix is drawn from a Dirichlet prior and both the
pictures and the reports (always about *other* training pictures) are drawn from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from inspector.core.label import LabelSet
from inspector.training.dataset import Picture
from inspector.training.edge_model import Visit
from inspector.training.tower import Trunk
from inspector.vlm.prompt import Prompt

History = Literal["true", "none", "swapped"]
"""Which reports a visit carries: its own, none, or those of another lot or position."""
LOT_CONCENTRATION = 0.35
"""Concentration of the Dirichlet prior of a lot's label mix: most lots have one or two kinds of defect."""
_LAG_MEAN = 3.0
_NEAR, _HARD = 4, 3.0
"""Pictures within 4 places of a change of label are the hard ones: they are drawn 3 times as often."""


VisitT = TypeVar("VisitT")
VisitT_co = TypeVar("VisitT_co", covariant=True)


class Drawn(Protocol[VisitT_co]):
    """Pictures of one product that visits are drawn from."""

    @property
    def labels(self) -> LabelSet:
        """Label set of the product."""
        ...

    @property
    def pictures(self) -> Sequence[Picture]:
        """The n pictures."""
        ...

    @property
    def most_reports(self) -> int:
        """Most reports in a prompt."""
        ...

    @property
    def targets(self) -> NDArray[np.int64]:
        """(n,) index of each picture's label."""
        ...

    def visit(
        self,
        members: NDArray[np.int64],
        told: NDArray[np.int64],
        rng: np.random.Generator,
        *,
        blind: bool,
        prior: NDArray[np.float64] | None = None,
    ) -> VisitT_co:
        """Return the visit of the pictures ``members`` with reports about the pictures ``told``, oldest first; ``prior`` as in ``Pool``."""
        ...


@dataclass(frozen=True, slots=True)
class Pool:
    """The training pictures of one product with everything precomputed."""

    labels: LabelSet
    """Label set of the product."""
    pictures: Sequence[Picture]
    """n pictures."""
    features: NDArray[np.float16] | NDArray[np.uint8]
    """(n, copies, 272, h, w) trunk features, or (n, copies, S, S, 3) pixels; copy 0 is the picture as it is."""
    prompts: Sequence[Prompt]
    """The product's prompt with 0, 1, ... reports."""
    vectors: NDArray[np.float32]
    """(n, phrasings, 384): vectors of reports about each picture, each phrased in several ways."""
    dropout: float = 0.0
    """Share of the trunk's channels that a visit leaves out (Tompson et al., SpatialDropout, arXiv 1411.4280)."""
    mixing: float = 0.0
    """Both parameters of the Beta distribution by which two pictures' features are mixed (mixup, arXiv 1710.09412); 0 never mixes."""
    beliefs: NDArray[np.float32] | None = None
    """(n, K) probabilities that a teacher gave the labels; None where the pictures are labelled."""
    notes: NDArray[np.float32] | None = None
    """(m, 384) vectors of notes about other machines, or None where none are mixed in."""

    @property
    def most_reports(self) -> int:
        """Most reports in a prompt."""
        return len(self.prompts) - 1

    @property
    def targets(self) -> NDArray[np.int64]:
        """(n,) index of each picture's label."""
        return np.array([self.labels.names.index(picture.label) for picture in self.pictures], np.int64)

    def visit(
        self,
        members: NDArray[np.int64],
        told: NDArray[np.int64],
        rng: np.random.Generator,
        *,
        blind: bool,
        prior: NDArray[np.float64] | None = None,
    ) -> Visit:
        """Return the visit of the pictures ``members`` with reports about the pictures ``told``, oldest first.

        ``prior`` (K,): what these reports say about a label, where that is known; only then pictures are mixed.
        """
        phrasing = rng.integers(self.vectors.shape[1], size=len(told))
        vectors = torch.from_numpy(self.vectors[told, phrasing])
        copies = rng.integers(self.features.shape[1], size=len(members))
        seen = None if blind else self.seen(members, copies)
        if seen is not None and self.mixing and prior is not None:
            shares = torch.from_numpy(rng.beta(self.mixing, self.mixing, len(members)).astype(np.float32))[:, None, None, None]
            seen = seen * shares + seen[torch.from_numpy(rng.permutation(len(members)))] * (1 - shares)
        kept = None
        if self.dropout and not blind:
            drawn = rng.random((len(members), Trunk.channels)) >= self.dropout
            kept = torch.from_numpy(drawn.astype(np.float32) / (1 - self.dropout))
        known = None if prior is None else torch.from_numpy(prior.astype(np.float32))
        beliefs = None if self.beliefs is None else torch.from_numpy(self.beliefs[members])
        return Visit(self.prompts[len(told)], vectors, seen, torch.from_numpy(self.targets[members]), beliefs, kept, known)

    def seen(self, members: NDArray[np.int64], copies: NDArray[np.int64] | int = 0) -> torch.Tensor:
        """Return what the model sees of some pictures: (m, 272, h, w) float32 features or (m, S, S, 3) uint8 pixels."""
        chosen = self.features[members, copies]
        return torch.from_numpy(chosen if chosen.dtype == np.uint8 else chosen.astype(np.float32))


class Visits(Protocol[VisitT_co]):
    """A source of training visits for one product."""

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> VisitT_co:
        """Return a visit of ``size`` pictures; ``blind`` leaves the pictures out so that only the reports can answer."""
        ...


class LotVisits(Generic[VisitT]):
    """Visits of simulated lots."""

    def __init__(self, pool: Drawn[VisitT], *, even_groups: bool = False, swapped: float = 0.0) -> None:
        """Sort the pictures by label.

        ``even_groups`` draws large groups less often than their size says; ``swapped`` is the share of told reports that are another lot's.
        """
        self.pool, self.swapped = pool, swapped
        targets = pool.targets
        self._labels = np.unique(targets)  # where a teacher gave the labels, a rare one may be missing
        self._by_label = [np.flatnonzero(targets == label) for label in self._labels]
        self._weights = [self._weighted(members, even=even_groups) for members in self._by_label]

    def _weighted(self, members: NDArray[np.int64], *, even: bool) -> NDArray[np.float64] | None:
        """Return the chance of each picture of a label: alike, or that of its group, which is the root of the group's size."""
        if not even or not len(members):
            return None
        _, group, sizes = np.unique([self.pool.pictures[member].group for member in members], return_inverse=True, return_counts=True)
        weights = 1 / np.sqrt(sizes[group])
        return np.asarray(weights / weights.sum(), np.float64)

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> VisitT:
        """Return a visit; see ``Visits``."""
        most = self.pool.most_reports
        mix = rng.dirichlet(np.full(len(self._by_label), LOT_CONCENTRATION))
        if history == "none" and not blind:
            # Nothing tells of a lot here: all labels alike, so that a step learns what they look like and not how often they came.
            members = self._from(np.full(len(mix), 1 / len(mix)), size, rng)
            return self.pool.visit(members, np.empty(0, np.int64), rng, blind=False, prior=self._prior(members[:0], blind=False))
        members = self._from(mix, size, rng)
        if history == "swapped" and not blind:
            mix = rng.dirichlet(np.full(len(self._by_label), LOT_CONCENTRATION))
        if most == 0:
            return self.pool.visit(members, np.empty(0, np.int64), rng, blind=False, prior=self._prior(members[:0], blind=False))
        told = self._from(mix, int(rng.integers(1, most + 1)) + size, rng)
        told = told[~np.isin(told, members)][: int(rng.integers(1, most + 1))]
        blind = blind and len(told) > 0
        return self.pool.visit(members, told, rng, blind=blind, prior=self._prior(told, blind=blind))

    def _prior(self, told: NDArray[np.int64], *, blind: bool) -> NDArray[np.float64]:
        """Return (K,) what the reports about ``told`` say about a part of the lot: the mean of the Dirichlet posterior of its label mix.

        Reports that may be another lot's say less; those of a blind visit are never swapped.
        """
        counts = np.bincount(self.pool.targets[told], minlength=len(self.pool.labels.names)).astype(np.float64)
        counts[self._labels] += LOT_CONCENTRATION
        swapped = 0.0 if blind else self.swapped
        return np.asarray((1 - swapped) * counts / counts.sum() + swapped / len(counts), np.float64)

    def _from(self, mix: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        drawn = rng.choice(len(mix), size=size, p=mix)
        return np.array([rng.choice(self._by_label[label], p=self._weights[label]) for label in drawn], np.int64)


class PositionVisits(Generic[VisitT]):
    """Visits of positions whose history is known."""

    def __init__(self, pool: Drawn[VisitT]) -> None:
        """Sort the pictures of each position by time."""
        self.pool = pool
        groups: dict[str, list[int]] = {}
        for index in sorted(range(len(pool.pictures)), key=lambda i: str(pool.pictures[i].taken_at)):
            groups.setdefault(pool.pictures[index].group, []).append(index)
        self._groups = [np.array(members, np.int64) for members in groups.values()]
        self._spot = {int(member): (g, place) for g, group in enumerate(self._groups) for place, member in enumerate(group)}
        targets = pool.targets
        self._by_label = _by_label(targets)
        self._weights = np.ones(len(targets))
        for group in self._groups:
            for place, member in enumerate(group):
                near = group[max(place - _NEAR, 0) : place + _NEAR + 1]
                self._weights[member] = _HARD if (targets[near] != targets[member]).any() else 1.0

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> VisitT:
        """Return a visit; see ``Visits``."""
        label = int(rng.integers(len(self._by_label)))
        members_of = self._by_label[label]
        number, place = self._spot[int(rng.choice(members_of, p=self._weights[members_of] / self._weights[members_of].sum()))]
        group = self._groups[number]
        cut = max(place - int(rng.geometric(1 / _LAG_MEAN)) + 1, 0)  # reports about group[:cut], pictures from group[cut:]
        window = group[cut : place + 7]
        members = np.append(rng.choice(window, size - 1), group[place])
        if history == "none" and not blind:
            return self.pool.visit(members, np.empty(0, np.int64), rng, blind=False)
        if history == "swapped" and not blind:
            other = int(rng.integers(len(self._groups)))
            other = (other + 1) % len(self._groups) if other == number else other  # its own history could tell of the members
            group = self._groups[other] if other != number else group[:0]
            cut = int(rng.integers(max(len(group), 1)))
        most = self.pool.most_reports
        told = group[max(cut - int(rng.integers(1, most + 1)), 0) : cut] if most else group[:0]
        return self.pool.visit(members, told, rng, blind=blind and len(told) > 0)


def _by_label(targets: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the pictures of each label that has any; where a teacher gave the labels, a rare one may be missing."""
    return [np.flatnonzero(targets == label) for label in np.unique(targets)]


def last_reports(pool: Pool, index: int, most: int) -> NDArray[np.int64]:
    """Return the pictures of the same position taken before picture ``index``, the last ``most``, oldest first."""
    picture = pool.pictures[index]
    earlier = [
        i
        for i, other in enumerate(pool.pictures)
        if other.group == picture.group and other.taken_at and picture.taken_at and other.taken_at < picture.taken_at
    ]
    earlier.sort(key=lambda i: str(pool.pictures[i].taken_at))
    return np.array(earlier[len(earlier) - min(most, len(earlier)) :], np.int64)
