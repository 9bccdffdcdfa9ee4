"""Teaching a full MiniCPM-V: labelled pictures and a plan to a model folder, resumable, with the best weights of the run."""

import hashlib
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from rich.console import Console

from inspector.core.context import Context
from inspector.core.report import Report
from inspector.settings import ModelSection, StationSettings
from inspector.training.build import Encode, report_vectors
from inspector.training.evaluate import score
from inspector.training.freeze import Candidate, freeze_full
from inspector.training.full_model.adapters import adapted, merge, save_adapters
from inspector.training.full_model.learner import FullLearner
from inspector.training.full_model.pool import Copies, FullPool, FullVisit, see_all
from inspector.training.picture import Picture, read_rgb
from inspector.training.recipe import Recipe
from inspector.training.station_model.learning import some
from inspector.training.train import Check, Source, train
from inspector.training.visits import LotVisits, PositionVisits
from inspector.vlm.checkpoint import sha256
from inspector.vlm.full_checkpoint import ORIGIN, REPORTS, TRAINING, FullCheckpoint, open_full, shaping_files, write_origin
from inspector.vlm.full_prompt import build_full_prompt
from inspector.vlm.model_history import name_for
from inspector.vlm.report_projector import ReportProjector, load_projector, save_projector
from inspector.vlm.torch_predictor import TorchPredictor

MOST_CHECKED = 100
"""Pictures that are looked at during training; the numbers at the end are of all of them."""
_OFFERED = 60
"""Pictures of val among which the frozen set is chosen."""
_WEIGHTS = {".safetensors", ".bin", ".pt", ".gguf"}
_SOURCE = "the model as trained, adapters beside the weights, before merging and rounding"


@dataclass(frozen=True, slots=True)
class FullPools:
    """Pictures of one product."""

    train: FullPool
    """Pictures to learn from."""
    val: FullPool
    """Pictures to check with; never learnt from."""


class FullTraining:
    """One training of one full MiniCPM-V, from its opening to its folder."""

    def __init__(self, checkpoint: FullCheckpoint, model: ModelSection, recipe: Recipe, encoder: str) -> None:
        """Load the model with untrained adapters; ``encoder`` is the report encoder's revision, empty for no reports."""
        torch.manual_seed(recipe.seed)
        self.checkpoint, self.recipe, self.encoder = checkpoint, recipe, encoder
        self.predictor = TorchPredictor(checkpoint, model)
        self.adapters: PeftModel = adapted(self.predictor.model, checkpoint)
        self.projector: ReportProjector | None = None

    def pools(self, pictures: Sequence[Picture], encode: Encode, work: Path, console: Console) -> FullPools:
        """Let the model see all pictures and return them with the reports about them."""
        product, recipe = next(iter(self.recipe.products.values())), self.recipe
        labels, tokenizer = product.label_set(), self.predictor.processor.tokenizer
        prompts = [build_full_prompt(tokenizer, product.description, labels, count) for count in range(recipe.max_reports + 1)]

        def pool(chosen: list[Picture], copies: int) -> FullPool:
            how = Copies(copies, product.augmentation(), recipe.seed)
            files = see_all(self.predictor, prompts[0].tail, chosen, how, work, console)
            vectors = report_vectors(product.history, chosen, pictures, recipe.seed, encode, labels.good)
            return FullPool(labels, chosen, files, copies, prompts, vectors)

        sides = [[picture for picture in pictures if picture.split == split] for split in ("train", "val")]
        return FullPools(pool(sides[0], recipe.copies), pool(some(sides[1], recipe.seed, MOST_CHECKED), 1))

    def learn(self, pools: FullPools, limit_s: float, work: Path, console: Console) -> None:
        """Teach adapters and projector; a run that was stopped goes on where it was."""
        product = next(iter(self.recipe.products.values()))
        self.projector = self._fresh_projector(pools.train) if self.encoder else None
        learner = FullLearner(self.predictor, self.adapters, self.projector)
        visits = PositionVisits[FullVisit](pools.train) if product.has_times else LotVisits[FullVisit](pools.train, even_groups=True)
        every = max(len(pools.train.pictures) // (2 * self.recipe.visits * self.recipe.visit_size), 30)
        check: Check[FullLearner] = Check(every, lambda _: measure(self.predictor, pools.val, product.description))
        state = work / f"{self.checkpoint.revision}-{self._key(pools)}.state.pt"
        train(learner, {"product": Source(visits, 1.0)}, self.recipe.model_copy(update={"limit_s": limit_s}), state, console, check)
        self.predictor.forget()

    def finish(self, settings: StationSettings, pools: FullPools, product: str, work: Path) -> FullCheckpoint:
        """Write the model's folder below ``work`` with its frozen set, named as it will be when the station uses it."""
        folder = work / "fresh"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in self.checkpoint.folder.iterdir():
            if path.is_file() and path.suffix not in _WEIGHTS and path.name not in {ORIGIN, TRAINING}:
                shutil.copy2(path, folder / path.name)
        merge(self.adapters, self.checkpoint, folder)
        save_adapters(self.adapters, folder)
        if self.projector is not None:
            save_projector(folder / REPORTS, self.projector, self.encoder)
        hashes = {path.name: sha256(path) for path in shaping_files(folder)}
        write_origin(folder, f"taught from {self.checkpoint.name}", self.checkpoint.revision, hashes)
        named = work / name_for(settings.name, open_full(folder, settings.model).revision)
        shutil.rmtree(named, ignore_errors=True)
        folder.rename(named)
        fresh = open_full(named, settings.model)
        freeze_full(fresh, self.predictor, self._candidates(product, pools), _SOURCE)
        return fresh

    def seconds_a_picture(self, pool: FullPool) -> float:
        """Return how long a verdict takes here, by judging one picture."""
        context = context_of("", next(iter(self.recipe.products.values())).description, pool)
        image = read_rgb(pool.pictures[0].path)
        self.predictor.predict([("frame", image)], context)
        began_s = time.monotonic()
        self.predictor.predict([("frame", image)], context)
        return time.monotonic() - began_s

    def _fresh_projector(self, pool: FullPool) -> ReportProjector:
        """Return the model's own projector, or a fresh one that knows how the training reports are spread."""
        width = self.checkpoint.config["text_config"]["hidden_size"]
        if self.checkpoint.encoder:
            return load_projector(self.checkpoint.projector, self.checkpoint.report_width, width)
        vectors = torch.from_numpy(pool.vectors.reshape(-1, pool.vectors.shape[2]))
        rms = float(self.predictor.model.get_input_embeddings().weight.float().pow(2).mean().sqrt())
        projector = ReportProjector(vectors.shape[1], width, rms)
        projector.mean.copy_(vectors.mean(0))
        projector.deviation.copy_(vectors.std(0).clamp(min=1e-3))
        return projector

    def _candidates(self, product: str, pools: FullPools) -> list[Candidate]:
        """Return pictures of val, every second one with a report about a training picture of the same label."""
        description, found = next(iter(self.recipe.products.values())).description, []
        places = np.linspace(0, len(pools.val.pictures) - 1, min(_OFFERED, len(pools.val.pictures))).astype(int)
        for number, place in enumerate(places):
            picture = pools.val.pictures[place]
            alike = np.flatnonzero(pools.train.targets == pools.val.targets[place])
            vectors = pools.train.vectors[alike[:1], 0] if number % 2 and self.encoder else pools.train.vectors[:0, 0]
            found.append(Candidate(picture.path.stem, read_rgb(picture.path), context_of(product, description, pools.val, vectors)))
        return found

    def _key(self, pools: FullPools) -> str:
        """Return a hash of recipe and training pictures: a saved state is taken up only by the run that it belongs to."""
        parts = [self.recipe.model_copy(update={"limit_s": math.inf}).model_dump_json(), self.encoder]
        parts += [f"{picture.path.name}:{picture.label}" for picture in pools.train.pictures]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def measure(predictor: TorchPredictor, pool: FullPool, description: str) -> tuple[float, ...]:
    """Return macro-F1 rounded to half a percent, then the negative log-likelihood with its sign turned, both without reports."""
    predictor.forget()
    context, rows = context_of("", description, pool), []
    for member in range(len(pool.pictures)):
        seen = pool.seen(member)
        rows.append(predictor.posterior(context, seen.frame, seen.slots[None])[0])
    found = score(np.array(rows), pool.targets)
    return round(found.macro_f1 * 200) / 200, -found.nll


def context_of(product: str, description: str, pool: FullPool, vectors: NDArray[np.float32] | None = None) -> Context:
    """Return what the model reads beside a picture of a pool."""
    shown = pool.vectors[:0, 0] if vectors is None else vectors
    reports = tuple(Report(str(place), datetime.now(UTC), "", "") for place in range(len(shown)))
    return Context(product, description, pool.labels, reports, shown)
