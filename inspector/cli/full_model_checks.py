"""The check of a full MiniCPM-V: what it would need on this machine, said before anybody starts the station."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from inspector.cli.findings import Found, note, ok
from inspector.settings import ModelSection

if TYPE_CHECKING:
    from inspector.vlm.full_checkpoint import FullCheckpoint

FULL_KEYS = ("precision", "device", "max_memory_bytes", "image_tokens", "vision", "max_slices")
"""Keys of [model] that a full MiniCPM-V alone reads."""


def check_full_model(checkpoint: "FullCheckpoint", model: ModelSection) -> Iterator[Found]:
    """Say where the files come from and see that device, precision and memory are there. Raises ``CheckpointError`` if not."""
    from inspector.vlm.full_loading import prepare  # noqa: PLC0415 - torch for a full MiniCPM-V alone
    from inspector.vlm.memory_plan import plan_memory  # noqa: PLC0415 - as above

    name = f"{checkpoint.name}@{checkpoint.revision}: {checkpoint.model_type}, {len(checkpoint.weights)} file(s) of weights"
    if checkpoint.is_verified:
        yield ok(f"{name}, hashes right")
    else:
        yield note(f"{name}, copied by hand: nothing says what its files should hash to; inspector models pull would")
    device, _ = prepare(checkpoint, model)
    plan = plan_memory(checkpoint, model, model.precision, on_cpu=device.type == "cpu")
    yield ok(f"{model.precision} on {device.type}, needs about {plan.total_bytes / 1e9:.1f} GB")
    if model.vision == "torch":
        yield from idle_keys(model, ("providers",), checkpoint.name)
        return
    from transformers import AutoConfig  # noqa: PLC0415 - as above

    from inspector.vlm.vision_side import GraphVision  # noqa: PLC0415 - as above

    graph = GraphVision(checkpoint, model, AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True))
    yield ok(f"{graph.path.name}: hashes right, {graph.nodes}; held against torch at every start")


def idle_keys(model: ModelSection, keys: Sequence[str], name: str) -> Iterator[Found]:
    """Find the keys that were set and mean nothing to the checkpoint in use."""
    idle = [key for key in keys if key in model.model_fields_set]
    if idle:
        yield note(f"{name} does not read {', '.join(f'model.{key}' for key in idle)}")
