"""What is decided before a full MiniCPM-V is taught: the recipe, and whether it fits into memory. Nothing is loaded for it.

None of these numbers has been measured with the real weights; they are those that LoRA is usually trained with.
"""

from collections.abc import Sequence

from inspector.errors import CheckpointError
from inspector.settings import ModelSection
from inspector.training.full_model.adapters import RANK
from inspector.training.picture import Picture
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.training.station_model.plan import Wish
from inspector.vlm.full_checkpoint import FullCheckpoint
from inspector.vlm.full_loading import choose_device, free_bytes
from inspector.vlm.memory_plan import gigabytes, picture_patches, plan_memory

EDGE_ONLY = {"image_px", "layers", "merges", "deep", "half", "dropout", "mixing", "limit_s", "foreign_reports"}
"""Fields of a recipe that mean nothing here."""
_EPOCHS, _LEAST_STEPS = 20, 200
VISIT = 4
"""Pictures of one step: they go through together where their layouts agree."""
_COPIES = 4
_KEPT = 6
"""Float32 numbers for each one that learns: itself, its gradient, two of the optimiser, the average, the best of the run."""
_MERGED = {"16x": 16, "4x": 4}
"""Patches that become one image slot."""
_PROMPT = 200
"""Tokens of prompt, labels and reports."""
_OF_INNER, _OF_HEADS = 6, 12
"""Float32 numbers a token that one layer keeps on its way back, in units of the MLP's width and of the states' keys and values."""


def full_plan(product: ProductRecipe, name: str, pictures: Sequence[Picture], wish: Wish, max_reports: int) -> Recipe:
    """Return the recipe for these training pictures, with at most ``max_reports`` reports beside each."""
    return Recipe(
        name=name,
        seed=wish.seed,
        copies=_COPIES,
        steps=max(_EPOCHS * len(pictures) // VISIT, _LEAST_STEPS),
        visits=1,
        visit_size=VISIT,
        learning_rate=2e-4,
        weight_decay=0.0,
        averaging=0.98,
        max_reports=max_reports,
        blind_start=0.05,
        blind=0.05,
        without_reports=0.5 if max_reports else 0.75,
        swapped_reports=0.2,
        products={"product": product},
    )


def training_section(model: ModelSection) -> ModelSection:
    """Return [model] as it is trained with: quantised weights are no ground to learn on, so int8 and int4 are trained in bfloat16."""
    return model if model.precision == "float32" else model.model_copy(update={"precision": "bfloat16"})


def training_bytes(checkpoint: FullCheckpoint, model: ModelSection) -> int:
    """Return the most memory that training takes, estimated from the files' headers and config.json.

    Beside the weights: what learns, the kept inputs of each layer, and one layer at a time with all that its way back needs.
    """
    text = checkpoint.config["text_config"]
    width, layers, inner = (int(text[name]) for name in ("hidden_size", "num_hidden_layers", "intermediate_size"))
    heads, key, value = (int(text.get(f"linear_{part}", 0)) for part in ("num_value_heads", "key_head_dim", "value_head_dim"))
    learning = 4 * _KEPT * (RANK * 8 * width * layers + width * (width + 384))
    tokens = VISIT * (picture_patches(checkpoint, model) // _MERGED[model.image_tokens] + _PROMPT)
    inputs = (4 if model.precision == "float32" else 2) * layers * tokens * width
    one_layer = 4 * tokens * (_OF_INNER * inner + _OF_HEADS * heads * (key + value))
    return plan_memory(checkpoint, model, model.precision).total_bytes + learning + inputs + one_layer


def refuse_too_large_to_train(checkpoint: FullCheckpoint, model: ModelSection) -> None:
    """Raise ``CheckpointError`` with advice if training would take more memory than is allowed or free."""
    limit = free_bytes(choose_device(model.device))
    if model.max_memory_bytes:
        limit = min(limit, model.max_memory_bytes)
    if (needed := training_bytes(checkpoint, model)) <= limit:
        return
    less = model.model_copy(update={"max_slices": 1, "image_tokens": "16x", "max_batch": 1})
    advice = "train on a machine with more memory"
    if training_bytes(checkpoint, less) <= limit:
        advice = 'with max_slices = 1, image_tokens = "16x" and max_batch = 1 in [model] it would fit'
    raise CheckpointError(
        f"{checkpoint.folder}: teaching it takes about {gigabytes(needed)} in {model.precision}, and {gigabytes(limit)} are free or"
        f' allowed; {advice}, or train checkpoint = "inspector-edge" instead'
    )
