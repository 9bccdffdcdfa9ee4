"""Cross-modal alignment: does a verdict follow the picture, and a report only where the picture tells nothing?

Each picture is judged beside short reports about its own label, then one thing is swapped. Some swaps should change the answer, others
should not; what does otherwise is an alignment fault. The reports are those of ``phrasing``, in wordings that no training has seen, so
the station's own history plays no part. n pictures, K labels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.report import Report
from inspector.errors import InspectorError
from inspector.pipeline import Pipeline, Predictor
from inspector.training.ablation import FOREIGN
from inspector.training.dataset import Augmentation, varied
from inspector.training.freeze import Witness
from inspector.training.judged import as_frame
from inspector.training.measures import Rate, draws_of, rate_of
from inspector.training.phrasing import VARIANTS, phrasings
from inspector.training.picture import Picture

Encode = Callable[[list[str]], NDArray[np.float32]]
MOVED = 0.02
"""A probability that rises by more than this has moved."""
_NAMED = 8
_WRITTEN = datetime.min.replace(tzinfo=UTC)
"""The model reads a report's vector alone."""
_LIT = Augmentation(crop=0.0, light=0.08)


@dataclass(frozen=True, slots=True)
class Swap:
    """One thing that is exchanged."""

    name: str
    """Short name, as in the JSON document."""
    should: Literal["change", "stay"]
    """What the answer should do."""
    words: str
    """What is exchanged, for people."""


SWAPS = (
    Swap("picture", "change", "picture of another label, reports kept"),
    Swap("reports-alone", "change", "reports of another label, beside a grey picture"),
    Swap("light", "stay", "the same picture, lit a little differently"),
    Swap("reworded", "stay", "the same reports in other words"),
    Swap("foreign", "stay", "reports about other machines instead"),
    Swap("no-reports", "stay", "no reports"),
    Swap("contradicting", "stay", "reports of another label beside the picture"),
)


@dataclass(frozen=True, slots=True)
class Crops:
    """Labelled pictures as the station shows them to the model."""

    labels: LabelSet
    """Label set."""
    product: str
    """Product."""
    description: str
    """The product in a few words."""
    pictures: tuple[Picture, ...]
    """The n pictures."""
    images: tuple[Image, ...]
    """The region of each that decided, (h, w, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class Held:
    """How often the answer did after a swap what it should."""

    n: int
    """Pictures for which the swap says something."""
    rate: Rate
    """Share of them where the answer did as it should, with its 95 % interval over groups."""
    faults: tuple[str, ...]
    """Some of the others, in words."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """One model under all swaps."""

    model: str
    """``name@revision``."""
    swaps: dict[str, Held]
    """By name of the swap; those that say nothing of this model are left out."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        rows = {name: {"n": held.n, "as_it_should": held.rate.to_dict(), "faults": list(held.faults)} for name, held in self.swaps.items()}
        return {"model": self.model, "swaps": rows}


def crops_of(pipeline: Pipeline, product: str, pictures: Sequence[Picture], station: str, tell: Callable[[], None] = lambda: None) -> Crops:
    """Return the pictures as the station would show them; those that it could not judge are left out.

    Raises ``InspectorError`` if fewer than two labels are left: nothing could be exchanged.
    """
    kept, images = [], []
    for picture in pictures:
        witness = Witness(pipeline.predictor)
        judged = replace(pipeline, predictor=witness).inspect([as_frame(picture, product, station)])[0]
        if judged.predictions:
            place = next((place for place, found in enumerate(judged.predictions) if found.label == judged.label), 0)
            kept.append(picture)
            images.append(witness.seen[place][0])
        tell()
    if len({picture.label for picture in kept}) < 2:
        raise InspectorError(f"{product}: {len(kept)} pictures of fewer than 2 labels can be judged; alignment needs pictures of 2 or more")
    known = pipeline.products[product]
    return Crops(known.labels, product, known.description, tuple(kept), tuple(images))


def align(
    predictor: Predictor, crops: Crops, encode: Encode | None, reports: int, tell: Callable[[], None] = lambda: None, seed: int = 0
) -> Alignment:
    """Swap and judge. ``encode`` turns reports into vectors (None: the model reads none); ``reports`` stand beside a picture."""
    groups = tuple(picture.group for picture in crops.pictures)
    draws = draws_of(groups, seed)
    held = {}
    for case in _cases(_Asked(predictor, crops, tell), _Told(crops, encode, reports), seed):
        rate = rate_of(case.right, case.among, groups, draws)
        held[case.name] = Held(int(case.among.sum()), rate, tuple(_faults(crops, case)))
    return Alignment(predictor.name, {swap.name: held[swap.name] for swap in SWAPS if swap.name in held})


def judgements(reads_reports: bool) -> int:  # noqa: FBT001 - one question with two answers
    """Return how often ``align`` judges each picture."""
    return 8 if reads_reports else 2


@dataclass(frozen=True, slots=True)
class _Case:
    """One swap, done."""

    name: str
    right: NDArray[np.bool_]
    """(n,) True where the answer did as it should."""
    among: NDArray[np.bool_]
    """(n,) True where the swap says something."""
    before: NDArray[np.float64]
    """(n, K) posteriors before the swap."""
    after: NDArray[np.float64]
    """(n, K) posteriors after it."""


def _cases(asked: "_Asked", told: "_Told", seed: int) -> Iterator[_Case]:
    """Do each swap that says something of this model."""
    crops, rng = asked.crops, np.random.default_rng(seed)
    own = asked.answers(told.own)
    answers, always = own.argmax(1), np.ones(len(own), np.bool_)

    def stays(name: str, after: NDArray[np.float64], among: NDArray[np.bool_]) -> _Case:
        return _Case(name, np.asarray(after.argmax(1) == answers, np.bool_), among, own, after)

    yield stays("light", asked.answers(told.own, [varied(image, _LIT, rng) for image in crops.images]), always)
    if not told.is_read:
        return
    yield stays("reworded", asked.answers(told.reworded), always)
    yield stays("foreign", asked.answers(told.foreign), always)
    yield stays("no-reports", asked.answers(told.none), always)
    other = _others(crops, seed)
    differ: NDArray[np.bool_] = np.asarray(answers != answers[other], np.bool_)
    crossed = asked.answers(told.own[other])
    yield stays("contradicting", crossed, differ)
    # The same judgement seen from the other side: the reports stood there first, then the picture came.
    yield _Case("picture", np.asarray(crossed.argmax(1) != answers[other], np.bool_), differ, own[other], crossed)
    grey = [np.full_like(image, 128) for image in crops.images]
    before, after = asked.answers(told.own, grey), asked.answers(told.own[other], grey)
    rise = np.take_along_axis(after - before, _truths(crops)[other][:, None], 1)[:, 0]
    yield _Case("reports-alone", np.asarray(rise > MOVED, np.bool_), always, before, after)


class _Asked:
    """Asks the model, picture by picture."""

    def __init__(self, predictor: Predictor, crops: Crops, tell: Callable[[], None]) -> None:
        self._predictor, self.crops, self._tell = predictor, crops, tell

    def answers(self, shown: NDArray[np.float32], images: Sequence[Image] | None = None) -> NDArray[np.float64]:
        """Return the (n, K) posteriors beside the report vectors ``shown`` (n, R, d)."""
        crops, rows = self.crops, []
        for image, vectors in zip(images or crops.images, shown, strict=True):
            reports = tuple(Report(str(place), _WRITTEN, crops.product, "") for place in range(len(vectors)))
            context = Context(crops.product, crops.description, crops.labels, reports, np.ascontiguousarray(vectors))
            scores = self._predictor.predict([("frame", image)], context)[0][0].scores
            rows.append([scores[name] for name in crops.labels.names])
            self._tell()
        return np.array(rows, np.float64)


class _Told:
    """Vectors of the reports beside each picture, (n, R, d)."""

    def __init__(self, crops: Crops, encode: Encode | None, reports: int) -> None:
        count, self.is_read = len(crops.pictures), encode is not None
        if encode is None:
            self.own = self.reworded = self.foreign = self.none = np.zeros((count, 0, 1), np.float32)
            return
        each = min(max(reports, 1), VARIANTS // 2)
        unseen = [replace(picture, split="val") for picture in crops.pictures]
        texts = phrasings("labels", unseen, unseen, 0, crops.labels.good)
        flat = encode([text for row in texts for text in row])
        vectors = flat.reshape(count, VARIANTS, flat.shape[1])
        self.own, self.reworded = vectors[:, :each], vectors[:, each : 2 * each]
        self.foreign = np.repeat(encode(list(FOREIGN[:each]))[None], count, 0)
        self.none = vectors[:, :0]


def _truths(crops: Crops) -> NDArray[np.int64]:
    return np.array([crops.labels.names.index(picture.label) for picture in crops.pictures], np.int64)


def _others(crops: Crops, seed: int) -> NDArray[np.int64]:
    """Return, for each picture, one of another label."""
    truths, rng = _truths(crops), np.random.default_rng(seed)
    return np.array([rng.choice(np.flatnonzero(truths != truth)) for truth in truths], np.int64)


def _faults(crops: Crops, case: _Case) -> list[str]:
    """Return some pictures where the answer did otherwise than it should."""
    names, lines = crops.labels.names, []
    for place in np.flatnonzero(case.among & ~case.right)[:_NAMED]:
        before, after = case.before[place], case.after[place]
        said = f"{names[before.argmax()]} {before.max():.2f}, then {names[after.argmax()]} {after.max():.2f}"
        lines.append(f"{crops.pictures[place].path.name} ({crops.pictures[place].label}): {said}")
    return lines
