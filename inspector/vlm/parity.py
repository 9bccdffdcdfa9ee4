"""The parity gate: a deployed checkpoint must answer on this machine as its source did, before it may judge parts.

The graphs that will run here (exported, quantised, through this build of ONNX Runtime and its execution provider) judge the frozen sets
of checkpoint and station. A label that flips or a probability that moves further than model.toml allows refuses the checkpoint, with
the pictures named. A pass is remembered (``parity_memory``), so a normal start does not pay for it again.
"""

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.errors import CheckpointError, PredictionError
from inspector.settings import ModelSection, StationSettings
from inspector.vlm.frozen_set import FOLDER, FrozenPicture, FrozenSet, open_set
from inspector.vlm.full_checkpoint import AnyCheckpoint, FullCheckpoint
from inspector.vlm.parity_memory import Machine, key_of, recall, remember, this_machine

MAX_FLIPS = 0
"""Labels that may change, unless model.toml says otherwise."""
MAX_SHIFT = 0.05
"""Largest difference of a probability that is allowed, unless model.toml says otherwise: models/LOG.md has what it was chosen from."""
_NAMED = 8
"""Pictures that a refusal names; the sheet shows all."""


class Judge(Protocol):
    """A model behind one call."""

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        """Judge (region name, (h, w, 3) uint8 RGB) pairs; return predictions in order and milliseconds by stage."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a deployed checkpoint may be from its source."""

    max_flips: int = MAX_FLIPS
    """Labels that may change, over all pictures."""
    max_shift: float = MAX_SHIFT
    """Largest difference of a probability, 0..1."""
    is_required: bool = False
    """True if model.toml says that the checkpoint has a frozen set."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A frozen picture and what the deployed checkpoint said of it."""

    picture: FrozenPicture
    """The picture and its source's posterior."""
    found: Mapping[str, float]
    """The deployed posterior; empty if the model could not judge it."""

    @property
    def expected_label(self) -> str:
        """The source's label."""
        return max(self.picture.expected, key=lambda name: self.picture.expected[name])

    @property
    def found_label(self) -> str:
        """The deployed label."""
        return max(self.found, key=lambda name: self.found[name]) if self.found else "no answer"

    @property
    def is_flipped(self) -> bool:
        """True if the label changed."""
        return self.found_label != self.expected_label

    @property
    def shift(self) -> float:
        """Largest difference of a probability, 0..1; 1 without an answer."""
        return max(abs(p - self.found[name]) for name, p in self.picture.expected.items()) if self.found else 1.0

    def is_beyond(self, limits: Limits) -> bool:
        """True if this picture alone speaks against the checkpoint."""
        return self.is_flipped or self.shift > limits.max_shift


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands between a checkpoint and a station's parts."""

    checkpoint: AnyCheckpoint
    """The checkpoint."""
    station: str
    """Name of the station; STATION if there is none."""
    sets: tuple[FrozenSet, ...]
    """Frozen sets of this checkpoint: its own, the station's."""
    notes: tuple[str, ...]
    """What is not compared, and why."""
    limits: Limits
    """How much is allowed."""
    key: str
    """Hash over all that could change an answer."""

    def judge(self, model: Judge) -> list[Compared]:
        """Let the model judge every frozen picture; raises nothing if it fails: a picture without an answer is a flip."""
        return [Compared(picture, _answer(model, picture)) for frozen in self.sets for picture in frozen.pictures]

    def refuse(self, compared: Sequence[Compared]) -> None:
        """Raise ``CheckpointError``, with the pictures named, if the answers are not those of the source."""
        if is_within(compared, self.limits):
            return
        raise CheckpointError("\n".join(self._refusal(compared)))

    def _refusal(self, compared: Sequence[Compared]) -> list[str]:
        """Return what is wrong, with which pictures, how to see them and what to do."""
        limits = self.limits
        worst = sorted((one for one in compared if one.is_beyond(limits)), key=lambda one: (not one.is_flipped, -one.shift))
        allowed = f"{limits.max_flips} flips and a shift of {limits.max_shift:g} are allowed, so it may not judge parts"
        lines = [f"{self.checkpoint.folder}: does not answer on this machine as its source did: {summary(compared)}; {allowed}"]
        lines += [f"  - {_told(one)}" for one in worst[:_NAMED]]
        lines += [f"  - and {len(worst) - _NAMED} more"] if len(worst) > _NAMED else []
        return [
            *lines,
            f"See all pictures: inspector models verify {self.station} --sheet parity.png",
            f"Restore the previous model: inspector models rollback {self.station}",
            f"If there is none, or it is refused too: {self._way_back()}",
        ]

    def _way_back(self) -> str:
        """Return what may be at fault beside the model."""
        if isinstance(self.checkpoint, FullCheckpoint):
            return "go back to the torch, the transformers and the model.precision that worked"
        return "go back to the ONNX Runtime and the model.providers that worked"


@dataclass(frozen=True, slots=True)
class Parity:
    """How a passed gate was passed."""

    is_compared: bool
    """False if there was nothing to compare with."""
    text: str
    """One line for people."""
    notes: tuple[str, ...] = ()
    """What was not compared, and why."""


def open_gate(checkpoint: AnyCheckpoint, settings: StationSettings | None, machine: Machine | None = None) -> Gate:
    """Read the frozen sets of checkpoint and station; without a station the checkpoint's own.

    Raises ``CheckpointError`` if one is missing, truncated, altered or, in the checkpoint's folder, another checkpoint's.
    """
    limits, sets, notes = limits_of(checkpoint), list[FrozenSet](), list[str]()
    name, own = checkpoint.identity, checkpoint.folder / FOLDER
    if limits.is_required or own.exists():
        sets.append(open_set(own))
        if sets[0].model != name:
            raise CheckpointError(f"{own}: was made for {sets[0].model}, the model is {name}; {_cure(checkpoint)}")
    else:
        notes.append(f"{name} has no frozen set: nothing shows that it answers here as its source did")
    if settings is not None and (local := settings.folder / FOLDER).exists():
        frozen = open_set(local)
        if frozen.model == name:
            sets.append(frozen)
        else:
            notes.append(f"{local}: was made for {frozen.model} and is not compared; inspector models freeze {settings.name} makes it anew")
    key = key_of(checkpoint, sets, settings.model if settings is not None else ModelSection(), machine or this_machine())
    return Gate(checkpoint, "STATION" if settings is None else settings.name, tuple(sets), tuple(notes), limits, key)


def check_parity(gate: Gate, model: Callable[[], Judge], memory: Path | None, *, keep: bool = True) -> Parity:
    """Hold a checkpoint against its frozen sets; ``model`` is asked for only if no pass is remembered in the file ``memory``.

    A new pass is written there if ``keep``. Raises ``CheckpointError`` that names the pictures.
    """
    if not gate.sets:
        return Parity(is_compared=False, text="parity not shown, no frozen set", notes=gate.notes)
    if memory is not None and (known := recall(memory, gate.key)):
        told = _outcome(known.pictures, known.flips, known.largest_shift)
        return Parity(is_compared=True, text=f"parity: {told} (judged {known.judged_at})", notes=gate.notes)
    judge, began_s = model(), time.monotonic()
    compared = gate.judge(judge)
    gate.refuse(compared)
    if memory is not None and keep:
        remember(memory, gate.key, len(compared), flips_of(compared), largest_of(compared))
    return Parity(is_compared=True, text=f"parity: {summary(compared)} (judged in {time.monotonic() - began_s:.1f} s)", notes=gate.notes)


def memory_of(database: Path) -> Path:
    """Return where a station's pass is remembered: beside its log."""
    return database.with_suffix(".parity.json")


def limits_of(checkpoint: AnyCheckpoint) -> Limits:
    """Return what ``[parity]`` in model.toml allows; a full MiniCPM-V has none. Raises ``CheckpointError`` if it makes no sense."""
    if isinstance(checkpoint, FullCheckpoint):
        return Limits(is_required=checkpoint.is_trained)
    path = checkpoint.folder / "model.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("parity")
    if table is None:
        return Limits()
    flips, shift = table.get("max_flips", MAX_FLIPS), table.get("max_shift", MAX_SHIFT)
    if isinstance(flips, bool) or not isinstance(flips, int) or flips < 0:
        raise CheckpointError(f"{path}: parity.max_flips must be a whole number of 0 or more (found {flips})")
    if isinstance(shift, bool) or not isinstance(shift, int | float) or not 0.0 < shift < 1.0:
        raise CheckpointError(f"{path}: parity.max_shift must lie between 0 and 1 (found {shift})")
    return Limits(flips, float(shift), is_required=True)


def is_within(compared: Sequence[Compared], limits: Limits) -> bool:
    """Return True if flips and shifts stay within the limits."""
    return flips_of(compared) <= limits.max_flips and not any(one.shift > limits.max_shift for one in compared)


def flips_of(compared: Sequence[Compared]) -> int:
    """Return how many labels changed."""
    return sum(one.is_flipped for one in compared)


def largest_of(compared: Sequence[Compared]) -> float:
    """Return the largest difference of a probability."""
    return max((one.shift for one in compared), default=0.0)


def summary(compared: Sequence[Compared]) -> str:
    """Return the outcome in few words."""
    return _outcome(len(compared), flips_of(compared), largest_of(compared))


def _cure(checkpoint: AnyCheckpoint) -> str:
    """Return what to do about a model's own set that was made for another one."""
    if isinstance(checkpoint, FullCheckpoint):
        return "set model.image_tokens and model.max_slices as they were, or fetch the model folder anew"
    return "fetch the model folder anew"


def _outcome(pictures: int, flips: int, shift: float) -> str:
    return f"{pictures} frozen picture{'s' if pictures != 1 else ''}, {flips} flip{'s' if flips != 1 else ''}, largest shift {shift:.4f}"


def _answer(model: Judge, picture: FrozenPicture) -> Mapping[str, float]:
    try:
        return model.predict([("frame", picture.pixels())], picture.context)[0][0].scores
    except PredictionError:
        return {}


def _told(one: Compared) -> str:
    """Return what was expected of a picture and what was found."""
    label, expected = one.expected_label, one.picture.expected
    here = f"{one.found_label} {one.found[one.found_label]:.3f}" if one.found else "no answer"
    beside = f" ({label} {one.found[label]:.3f})" if one.found and one.is_flipped else ""
    return f"{one.picture.file} ({one.picture.context.product}): expected {label} {expected[label]:.3f}, found {here}{beside}"
