"""Pictures that a full MiniCPM-V learns from: seen once by vision tower and merger, which do not learn, and kept as image slots.

n pictures, I image slots of one, D width of the language model.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file

from inspector.core.label import LabelSet
from inspector.training.dataset import Augmentation, varied
from inspector.training.picture import Picture, read_rgb
from inspector.vlm.checkpoint import sha256
from inspector.vlm.full_prompt import FullPrompt
from inspector.vlm.picture_processor import FrameInput
from inspector.vlm.torch_predictor import TorchPredictor


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture as the language model gets it."""

    frame: FrameInput
    """Tokens and grids; the patches are gone."""
    slots: torch.Tensor
    """(I, D) image slots."""


@dataclass(frozen=True, slots=True)
class Copies:
    """How often a picture is seen."""

    count: int
    """Copies; the first is the picture as it is."""
    how: Augmentation
    """How the others are varied."""
    seed: int
    """Seed of that."""


@dataclass(frozen=True, slots=True)
class FullVisit:
    """Pictures that share one static prefix."""

    prompt: FullPrompt
    """The prompt with R report slots."""
    vectors: torch.Tensor
    """(R, d) report vectors in slot order."""
    seen: Sequence[Seen] | None
    """The pictures; None leaves them out, so that the model must read the reports."""
    targets: NDArray[np.int64]
    """(m,) index of the true label."""


@dataclass(frozen=True, slots=True)
class FullPool:
    """Pictures of one product."""

    labels: LabelSet
    """Label set of the product."""
    pictures: Sequence[Picture]
    """The n pictures."""
    files: Sequence[Path]
    """Where the slots of each picture and of its varied copies lie."""
    copies: int
    """Copies of each picture; copy 0 is the picture as it is."""
    prompts: Sequence[FullPrompt]
    """The product's prompt with 0, 1, ... reports."""
    vectors: NDArray[np.float32]
    """(n, phrasings, d): vectors of reports about each picture, each phrased in several ways."""

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
        prior: NDArray[np.float64] | None = None,  # noqa: ARG002 - nobody teaches a full model: it learns the true labels
    ) -> FullVisit:
        """Return the visit of the pictures ``members`` with reports about the pictures ``told``, oldest first."""
        phrasing = rng.integers(self.vectors.shape[1], size=len(told))
        vectors = torch.from_numpy(self.vectors[told, phrasing])
        copies = rng.integers(self.copies, size=len(members))
        seen = None if blind else [self.seen(int(member), int(copy)) for member, copy in zip(members, copies, strict=True)]
        return FullVisit(self.prompts[len(told)], vectors, seen, self.targets[members])

    def seen(self, member: int, copy: int = 0) -> Seen:
        """Return one picture."""
        kept = load_file(self.files[member])
        frame = FrameInput(kept[f"ids{copy}"].numpy(), torch.empty(0), kept[f"grids{copy}"])
        return Seen(frame, kept[f"slots{copy}"])


def see_all(predictor: TorchPredictor, tail: str, pictures: Sequence[Picture], copies: Copies, work: Path, console: Console) -> list[Path]:
    """Let the model see each picture and its varied copies, once; return a file for each. What is there from an earlier run is kept."""
    work.mkdir(parents=True, exist_ok=True)
    shaping = hashlib.sha256(repr((predictor.name, tail, copies)).encode()).hexdigest()[:12]
    files = []
    for picture in track(pictures, f"seeing {len(pictures)} pictures, {copies.count} time(s) each", console=console):
        key = sha256(picture.path)[:16]  # its content, so that the same pictures elsewhere are varied alike
        files.append(file := work / f"seen-{shaping}-{key}.safetensors")
        if not file.is_file():
            fresh = file.with_suffix(".new")
            save_file(_see(predictor, tail, picture, copies, int(key, 16)), fresh)
            fresh.replace(file)  # a kill never leaves half a file under the final name
    return files


def _see(predictor: TorchPredictor, tail: str, picture: Picture, copies: Copies, key: int) -> dict[str, torch.Tensor]:
    rng, kept, image = np.random.default_rng([copies.seed, key]), dict[str, torch.Tensor](), read_rgb(picture.path)
    for copy in range(copies.count):
        frame = predictor.processor.frame(varied(image, copies.how, rng) if copy else image, tail)
        with torch.inference_mode():
            slots = predictor.see([frame])[0].cpu()
        kept |= {f"ids{copy}": torch.from_numpy(frame.ids), f"grids{copy}": frame.grids, f"slots{copy}": slots.contiguous()}
    return kept
