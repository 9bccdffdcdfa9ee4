"""LoRA adapters on the attention of the text model, and their merge into a model's files (Hu et al. 2021, arXiv 2106.09685).

Image and report slots come in as embeddings. What of them reaches the verdict goes through attention alone: softmax attention in the full
layers, a state that is written and read in the linear ones; the MLPs see one position at a time. So the adapters sit on what writes
and reads there: queries, keys, values and output, in transformers' own module names. The gates of linear attention stay as they are.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear as Adapted
from safetensors import safe_open
from safetensors.torch import save_file

from inspector.errors import CheckpointError
from inspector.vlm.full_checkpoint import ADAPTERS, FullCheckpoint, tensor_sizes
from inspector.vlm.full_loading import FullModel

RANK = 16
"""Rank of the update of each matrix."""
_ALPHA = 32
LAYERS = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|linear_attn\.(in_proj_qkv|out_proj))"
"""Modules with an adapter: full attention, then linear attention."""
_NAME = "default"


def adapted(model: FullModel, checkpoint: FullCheckpoint) -> PeftModel:
    """Put untrained adapters, which change nothing, into a loaded model; they alone learn. Raises ``CheckpointError``."""
    config = LoraConfig(r=RANK, lora_alpha=_ALPHA, target_modules=LAYERS, bias="none", lora_dropout=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers 5 by a name that goes in 6
        found = get_peft_model(model, config)
    found.peft_config[_NAME].base_model_name_or_path = checkpoint.name
    _refuse_unmergeable(found, checkpoint)
    return found


def adapter_parameters(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """Return what learns, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def save_adapters(model: PeftModel, folder: Path) -> None:
    """Write the adapters as peft does, so that ``PeftModel.from_pretrained`` reads them."""
    model.save_pretrained(str(folder / ADAPTERS), save_embedding_layers=False)  # "auto" would ask the hub


def merge(model: PeftModel, checkpoint: FullCheckpoint, folder: Path) -> None:
    """Write the checkpoint's weight files with the adapters added, into ``folder``.

    The sum is made in float32 from the files' own numbers and rounded once to the files' type, whatever precision was trained in; tensors
    without an adapter stay as they are to the bit.
    """
    updates = dict(_updates(model))
    for path in checkpoint.weights:
        tensors = {}
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dict
                tensors[name] = _sum(file.get_tensor(name), updates.get(name))
            metadata = file.metadata()
        save_file(tensors, folder / path.name, metadata=metadata)


def _sum(weight: torch.Tensor, layer: Adapted | None) -> torch.Tensor:
    if layer is None:
        return weight
    with torch.inference_mode():
        update: torch.Tensor = layer.get_delta_weight(_NAME)
        return (weight.float() + update.float().cpu()).to(weight.dtype)


def _updates(model: PeftModel) -> Iterator[tuple[str, Adapted]]:
    """Yield the name that an adapted weight has in the files, and its adapter."""
    for name, module in model.get_base_model().named_modules():
        if isinstance(module, Adapted):
            yield f"{name}.weight", module


def _refuse_unmergeable(model: PeftModel, checkpoint: FullCheckpoint) -> None:
    """Raise ``CheckpointError``, before anything is learnt, if an adapted weight is not found in the files."""
    known: Mapping[str, object] = {name: shape for path in checkpoint.weights for name, shape in tensor_sizes(path).items()}
    missing = [name for name, _ in _updates(model) if name not in known]
    if missing:
        raise CheckpointError(
            f"{checkpoint.folder}: its files do not hold {missing[0]} under this name, so that adapters could not be merged into them;"
            " save the model anew with transformers' save_pretrained and use that folder"
        )
