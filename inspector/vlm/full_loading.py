"""Loading a full MiniCPM-V: device, precision and memory are settled before the weights are touched, and no weight may be missing.

int8 and int4 go through bitsandbytes, on CUDA and on the CPU (LLM.int8, arXiv 2208.07339; NF4, arXiv 2305.14314). Pictures and the tables
of the vocabulary stay in bfloat16.
"""

import gc
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, TypeAlias

import torch
import transformers
from transformers import BitsAndBytesConfig, MiniCPMV4_6ForConditionalGeneration, MiniCPMV4_7ForConditionalGeneration

from inspector.errors import CheckpointError
from inspector.settings import Device, ModelSection, Precision
from inspector.vlm.full_checkpoint import FullCheckpoint
from inspector.vlm.memory_plan import NOT_QUANTISED, host_free_bytes, refuse_too_large

FullModel: TypeAlias = Any
"""MiniCPMV4_6ForConditionalGeneration or its 4.7 twin; transformers' annotations of them are not right in all places."""


def load_full(checkpoint: FullCheckpoint, model: ModelSection) -> FullModel:
    """Return the model, in evaluation mode on its device. Raises ``CheckpointError`` if it is refused or cannot be loaded."""
    device, options = prepare(checkpoint, model)
    transformers.logging.set_verbosity_error()  # what matters of a load is checked below
    transformers.logging.disable_progress_bar()
    kind: FullModel = MiniCPMV4_6ForConditionalGeneration if checkpoint.model_type == "minicpmv4_6" else MiniCPMV4_7ForConditionalGeneration
    try:
        found, report = kind.from_pretrained(
            checkpoint.folder, local_files_only=True, use_safetensors=True, output_loading_info=True, device_map=str(device), **options
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{checkpoint.folder}: the weights cannot be loaded: {str(error).splitlines()[0]}") from error
    _refuse_gaps(checkpoint, report)
    return found.eval().requires_grad_(requires_grad=False)


def prepare(checkpoint: FullCheckpoint, model: ModelSection) -> tuple[torch.device, dict[str, Any]]:
    """Return the device and what ``from_pretrained`` needs. Raises ``CheckpointError`` if it cannot be had here; loads nothing."""
    device = choose_device(model.device)
    options = precision_options(model.precision, device)
    refuse_too_large(checkpoint, model, free_bytes(device), on_cpu=device.type == "cpu")
    return device, options


def free_bytes(device: torch.device) -> int:
    """Return the memory that is free on a device."""
    gc.collect()  # a model that nobody uses any more is given back first
    return host_free_bytes() if device.type == "cpu" else int(torch.cuda.mem_get_info(device)[0])


def choose_device(device: Device) -> torch.device:
    """Return the device. Raises ``CheckpointError`` if CUDA is asked for and not there."""
    if device == "cuda" and not torch.cuda.is_available():
        raise CheckpointError('model.device is "cuda", but torch finds no CUDA device; see nvidia-smi and the build of torch, or set "cpu"')
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def precision_options(precision: Precision, device: torch.device) -> dict[str, Any]:
    """Return what ``from_pretrained`` needs for a precision. Raises ``CheckpointError`` if it cannot be had here, with what can."""
    if precision == "float32":
        return {"dtype": torch.float32}
    has_bfloat16 = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16":
        if not has_bfloat16:
            raise CheckpointError('model.precision is "bfloat16", which this GPU does not have; "float32", "int8" and "int4" work on it')
        return {"dtype": torch.bfloat16}
    missing = [package for package in ("bitsandbytes", "accelerate") if find_spec(package) is None]
    if missing:
        raise CheckpointError(
            f"model.precision is \"{precision}\", which needs {' and '.join(missing)}: pip install 'qc-inspector[full]';"
            ' without them "float32" and "bfloat16" work'
        )
    working = torch.bfloat16 if has_bfloat16 else torch.float16
    return {"dtype": working, "quantization_config": _quantisation(precision, working)}


def _quantisation(precision: Precision, working: torch.dtype) -> BitsAndBytesConfig:
    skipped = list(NOT_QUANTISED)
    if precision == "int4":
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=working, llm_int8_skip_modules=skipped
        )
    # Outliers are looked for in the whole batch: with a threshold above 0 a verdict would depend on the pictures beside it.
    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0, llm_int8_skip_modules=skipped)


def _refuse_gaps(checkpoint: FullCheckpoint, report: Mapping[str, Any]) -> None:
    """Raise ``CheckpointError`` if a weight was missing or of another size: transformers would go on with random numbers."""
    gaps = sorted([*report.get("missing_keys", ()), *(str(key) for key in report.get("mismatched_keys", ()))])
    if gaps:
        raise CheckpointError(
            f"{checkpoint.folder}: {len(gaps)} weight(s) missing or of another size than config.json says, such as {gaps[0]};"
            " fetch the folder anew: inspector models pull"
        )
