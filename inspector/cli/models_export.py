"""``inspector models export``: a full MiniCPM-V's vision side as an ONNX graph, held against torch before it is offered."""

import time
from pathlib import Path
from typing import Literal

import click

from inspector.errors import CheckpointError
from inspector.settings import ModelSection


@click.command("export")
@click.argument("name", metavar="NAME")
@click.option(
    "--image-tokens", type=click.Choice(("16x", "4x")), default="16x", show_default=True, help="As model.image_tokens of the station."
)
@click.pass_obj
def export(root: Path, name: str, image_tokens: Literal["16x", "4x"]) -> None:
    """Write the vision side (vision tower and merger) of the full MiniCPM-V NAME as an ONNX graph beside its checkpoint.

    With [model] vision = "onnx" a station runs it on model.providers, such as CUDA or TensorRT. It is held against torch here, on the CPU,
    and at every start. inspector-edge is ONNX already. Decoders are not exported: docs/full-model.md says why.
    """
    from inspector.vlm.full_checkpoint import FullCheckpoint  # noqa: PLC0415 - quick --help
    from inspector.vlm.opening import open_any  # noqa: PLC0415 - as above

    model = ModelSection(checkpoint=name, precision="float32", device="cpu", image_tokens=image_tokens)
    checkpoint = open_any(root / "models" / name, model)
    if not isinstance(checkpoint, FullCheckpoint):
        raise CheckpointError(f"{checkpoint.folder}: inspector-edge runs on ONNX Runtime as it is; export is for a full MiniCPM-V")
    from inspector.training.vision_export import export_vision  # noqa: PLC0415 - torch for a full MiniCPM-V alone
    from inspector.vlm.full_loading import load_full  # noqa: PLC0415 - as above
    from inspector.vlm.picture_processor import PictureProcessor  # noqa: PLC0415 - as above
    from inspector.vlm.vision_side import GraphVision, TorchVision, hold_against_torch  # noqa: PLC0415 - as above

    began_s, loaded = time.monotonic(), load_full(checkpoint, model)
    path = export_vision(checkpoint, loaded, image_tokens)
    processor = PictureProcessor(checkpoint.folder, checkpoint.model_type, image_tokens, model.max_slices)
    try:
        graph = GraphVision(checkpoint, model, loaded.config)
        told = hold_against_torch(graph, TorchVision(loaded, image_tokens), processor, loaded.model.vision_tower.dtype)
    except CheckpointError:
        for file in path.parent.glob(f"{path.stem}.*"):
            file.unlink()
        raise
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    click.echo(f"{path}: {size / 1e6:.0f} MB in {time.monotonic() - began_s:.0f} s; {told}")
    click.echo(f'in station.toml: [model] vision = "onnx"{"" if image_tokens == "16x" else f", image_tokens = {image_tokens!r}"}')
