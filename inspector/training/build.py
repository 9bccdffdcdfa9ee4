"""Building ``inspector-edge``: from a recipe and pictures to a checkpoint that the daemon runs, with its numbers beside it.

The new checkpoint is written to a scratch folder and takes the old one's place only when the exported graphs agree with the source.
"""

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from inspector.errors import CheckpointError
from inspector.training.base_weights import LANGUAGE_MODEL, VISION_TOWER, fetch, tower_state
from inspector.training.card import update_card
from inspector.training.dataset import Picture, read_pictures, read_rgb, trunk_features
from inspector.training.decision_fit.evidence import tempered_rows
from inspector.training.decision_fit.temperature import fit_temperature
from inspector.training.decoder import decoder_from_llama
from inspector.training.edge_model import EdgeModel
from inspector.training.evaluate import Agreement, agreement, context_of, histories, judge_onnx, judge_torch, score
from inspector.training.export import export_checkpoint
from inspector.training.foreign_notes import training_notes
from inspector.training.freeze import Candidate, freeze
from inspector.training.language_model import load_language_model, load_tokenizer
from inspector.training.phrasing import phrasings
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.training.recipe_visits import visits_of
from inspector.training.tower import Trunk, load_tower
from inspector.training.train import Source, train
from inspector.training.visits import LOT_CONCENTRATION, Pool, last_reports
from inspector.vlm.checkpoint import PARTS, open_checkpoint
from inspector.vlm.encoder import SentenceTransformerEncoder
from inspector.vlm.frozen_set import FOLDER
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.parity import open_gate
from inspector.vlm.prompt import build_prompt

MAX_FLIP_SHARE = 0.01
"""Share of validation pictures whose label the export may change before it is refused."""
Encode: TypeAlias = Callable[[list[str]], NDArray[np.float32]]
"""n texts to (n, d) float32 unit vectors."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Training and validation pictures of one product."""

    train: Pool
    """Pictures to learn from."""
    val: Pool
    """Pictures to check with; never learnt from."""


def build(recipe: Recipe, data: Path, out: Path, work: Path, console: Console, *, start: Path | None = None) -> dict[str, Any]:
    """Train, check, export and install a checkpoint in ``out``; return the numbers, which also stand in ``out/evaluation.json``.

    ``start`` is the saved state of an earlier run, whose averaged weights this one begins with.
    """
    torch.manual_seed(recipe.seed)
    trunk, upper = load_tower(tower_state(fetch(VISION_TOWER, work, console)))
    gguf = fetch(LANGUAGE_MODEL, work, console)
    tokenizer, rows = load_tokenizer(gguf, recipe.merges)
    language_model = load_language_model(gguf, recipe.layers)
    table = language_model.model.embed_tokens.weight.detach()[rows].half().float()  # shipped in float16
    encoder = SentenceTransformerEncoder("all-MiniLM-L6-v2")
    model = EdgeModel(upper, decoder_from_llama(language_model), table, report_width=encoder.dim)
    pools = {name: read_pools(product, recipe, data, trunk, tokenizer, encoder, work) for name, product in recipe.products.items()}
    standardise_reports(model, pools)
    sources = {name: Source(visits_of(product, recipe, pools[name].train), product.share) for name, product in recipe.products.items()}
    if start is not None:
        begin_with(model, start)
    train(model, sources, recipe, work / f"{recipe.name}-{plan_key(recipe, pools)}.state.pt", console)
    fresh = work / f"{recipe.name}-fresh"
    export_checkpoint(fresh, recipe.name, trunk, model, tokenizer, side=recipe.image_px, encoder=encoder.revision)
    numbers = examine(model, OnnxPredictor(open_checkpoint(fresh)), recipe, pools)
    print_numbers(numbers, console)
    refuse_if_flipped(numbers)
    freeze(fresh, trunk, model, frozen_candidates(recipe, pools), "float32 torch model as trained, before export and quantisation")
    gate = open_gate(open_checkpoint(fresh), None)
    gate.refuse(gate.judge(OnnxPredictor(open_checkpoint(fresh))))
    install(fresh, out, numbers)
    return numbers


def begin_with(model: EdgeModel, start: Path) -> None:
    """Load the averaged weights of a saved state. Raises ``CheckpointError`` if it is of another model."""
    try:
        model.load_state_dict(torch.load(start, weights_only=True)["average"])
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{start}: not a saved state of this model: {str(error)[:200]}; give the .state.pt of an earlier run"
        ) from error


def plan_key(recipe: Recipe, pools: Mapping[str, Pools]) -> str:
    """Return a hash of recipe and training pictures: a saved state is taken up only by the run that it belongs to."""
    parts = [recipe.model_dump_json()]
    parts += [f"{picture.path.name}:{picture.label}" for pair in pools.values() for picture in pair.train.pictures]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def read_pools(
    product: ProductRecipe,
    recipe: Recipe,
    data: Path,
    trunk: Trunk,
    tokenizer: Tokenizer,
    encoder: SentenceTransformerEncoder,
    work: Path,
) -> Pools:
    """Read a product's pictures and compute their features and the vectors of the reports about them."""
    pictures = read_pictures(data / product.data, product.labels)
    train, val = ([picture for picture in pictures if picture.split == split] for split in ("train", "val"))
    return pools_of(product, recipe, (train, val), pictures, trunk, tokenizer, encoder.encode, work)


def pools_of(  # noqa: PLR0913, PLR0917 - what is learnt from, what reads it, and where it is kept
    product: ProductRecipe,
    recipe: Recipe,
    sides: tuple[list[Picture], list[Picture]],
    known: Sequence[Picture],
    trunk: Trunk,
    tokenizer: Tokenizer,
    encode: Encode,
    work: Path,
    console: Console | None = None,
) -> Pools:
    """Return the pictures to learn from and those to check with, everything precomputed; ``known`` gives their history."""
    labels = product.label_set()
    prompts = [build_prompt(tokenizer, product.description, labels, count) for count in range(recipe.max_reports + 1)]
    notes = encode(training_notes()) if recipe.foreign_reports else None

    def pool(chosen: list[Picture], copies: int) -> Pool:
        seen = trunk_features(
            None if recipe.deep else trunk, chosen, recipe.image_px, product.augmentation(), copies, recipe.seed, work,
            half=recipe.half, console=console,
        )  # fmt: skip
        vectors = report_vectors(product.history, chosen, known, recipe.seed, encode, labels.good)
        return Pool(labels, chosen, seen, prompts, vectors, notes=notes)

    return Pools(pool(sides[0], recipe.copies), pool(sides[1], 1))


def report_vectors(
    history: str, chosen: Sequence[Picture], pictures: Sequence[Picture], seed: int, encode: Encode, good: str | None
) -> NDArray[np.float32]:
    """Return (n, phrasings, d) vectors of what a technician would write about each picture."""
    texts = phrasings(history, chosen, pictures, seed, good)
    flat = encode([text for row in texts for text in row])
    return flat.reshape(len(texts), -1, flat.shape[1])


def standardise_reports(model: EdgeModel, pools: Mapping[str, Pools]) -> None:
    """Set the projector's mean and deviation from the training reports."""
    vectors = torch.from_numpy(np.concatenate([pool.train.vectors.reshape(-1, pool.train.vectors.shape[2]) for pool in pools.values()]))
    model.projector.mean.copy_(vectors.mean(0))
    model.projector.deviation.copy_(vectors.std(0).clamp(min=1e-3))


def validation_reports(pools: Pools, product: ProductRecipe, most: int, seed: int) -> tuple[list[NDArray[np.int64]], Pool]:
    """Return, for each validation picture, the pictures that its reports are about, and the pool that these are in."""
    if product.has_times:
        return [last_reports(pools.val, index, most) for index in range(len(pools.val.pictures))], pools.val
    rng, targets = np.random.default_rng(seed), pools.train.targets
    told = []
    for target in pools.val.targets:
        weights = np.full(len(pools.val.labels.names), LOT_CONCENTRATION)
        weights[target] += 1.0  # the Dirichlet posterior of a lot's label mix, given that it holds this part
        drawn = rng.choice(len(weights), size=most, p=rng.dirichlet(weights))
        told.append(np.array([rng.choice(np.flatnonzero(targets == label)) for label in drawn], np.int64))
    return told, pools.train


def examine(model: EdgeModel, predictor: OnnxPredictor, recipe: Recipe, pools: Mapping[str, Pools]) -> dict[str, Any]:
    """Judge the validation pictures by source and by exported graphs, with, without and with shuffled reports."""
    numbers: dict[str, Any] = {}
    for name, product in recipe.products.items():
        pool, targets = pools[name].val, pools[name].val.targets
        told, source = validation_reports(pools[name], product, recipe.max_reports, recipe.seed)
        shuffled = [told[i] for i in np.random.default_rng(recipe.seed).permutation(len(told))]
        none = [np.empty(0, np.int64)] * len(told)
        result: dict[str, Any] = {}
        deployed: dict[str, NDArray[np.float64]] = {}
        for case, chosen in (("reports", told), ("no_reports", none), ("shuffled_reports", shuffled)):
            history = histories(chosen, source)
            ours = judge_torch(model, pool, history)
            deployed[case] = judge_onnx(predictor, pool, product.description, history)
            result[case] = {"torch": score(ours, targets).to_dict(), "onnx": score(deployed[case], targets).to_dict()}
            result[case]["agreement"] = _plain(agreement(ours, deployed[case]))
        both = np.concatenate([deployed["reports"], deployed["no_reports"]])
        result["temperature"] = round(fit_temperature(both, np.tile(targets, 2)), 4)
        result["calibrated"] = score(tempered_rows(deployed["reports"], result["temperature"]), targets).to_dict()
        numbers[name] = result
    return numbers


def frozen_candidates(recipe: Recipe, pools: Mapping[str, Pools]) -> list[Candidate]:
    """Return the validation pictures with their reports, for the checkpoint's frozen set."""
    found = []
    for name, product in recipe.products.items():
        pool = pools[name].val
        history = histories(*validation_reports(pools[name], product, recipe.max_reports, recipe.seed))
        found += [
            Candidate(picture.path.stem, read_rgb(picture.path), context_of(name, product.description, pool, index, history))
            for index, picture in enumerate(pool.pictures)
        ]
    return found


def _plain(found: Agreement) -> dict[str, float]:
    return {"flips": found.flips, "largest_difference": round(found.largest, 5), "mean_distance": round(found.mean, 5)}


def refuse_if_flipped(numbers: Mapping[str, Any]) -> None:
    """Raise ``CheckpointError`` if the export changed too many labels."""
    for name, result in numbers.items():
        case = result["reports"]
        if case["agreement"]["flips"] > MAX_FLIP_SHARE * case["onnx"]["n"]:
            raise CheckpointError(
                f"{name}: export changed the label of {case['agreement']['flips']} of {case['onnx']['n']} pictures; not installed"
            )


def install(fresh: Path, out: Path, numbers: Mapping[str, Any]) -> None:
    """Move the files of a checkpoint into its place; recipe and card that stand there are kept."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = open_checkpoint(fresh)
    for part in PARTS:
        shutil.copy2(checkpoint.files[part], out / checkpoint.files[part].name)
    shutil.rmtree(out / FOLDER, ignore_errors=True)
    shutil.copytree(fresh / FOLDER, out / FOLDER)
    shutil.copy2(fresh / "model.toml", out / "model.toml")
    (out / "evaluation.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    update_card(out / "CARD.md", numbers)


def print_numbers(numbers: Mapping[str, Any], console: Console) -> None:
    """Print one row for each product and history."""
    table = Table(
        "product", "history", "n", "accuracy", "macro-F1", "ECE", "torch accuracy", "flips", "largest difference", title="validation"
    )
    for name, result in numbers.items():
        for case in ("reports", "no_reports", "shuffled_reports"):
            onnx, source, same = result[case]["onnx"], result[case]["torch"], result[case]["agreement"]
            table.add_row(
                name, case, str(onnx["n"]), f"{onnx['accuracy']:.4f}", f"{onnx['macro_f1']:.4f}", f"{onnx['ece']:.4f}",
                f"{source['accuracy']:.4f}", str(same["flips"]), f"{same['largest_difference']:.4f}",
            )  # fmt: skip
    console.print(table)
