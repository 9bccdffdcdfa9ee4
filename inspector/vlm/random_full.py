"""A MiniCPM-V checkpoint with random weights: true classes, a tokenizer and a chat template made on the spot.

For tests (shape ``tiny``, 0.3 M parameters) and for measuring memory and time where the real weights cannot be had (shape ``true``: about
the sizes of MiniCPM-V 4.6, 1.4 billion parameters). It knows nothing about pictures: its answers mean nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    MiniCPMV4_6Config,
    MiniCPMV4_6ForConditionalGeneration,
    MiniCPMV4_7Config,
    MiniCPMV4_7ForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import MiniCPMV4_6ImageProcessorPil

from inspector.vlm.full_checkpoint import REPORTS
from inspector.vlm.prompt import STOP
from inspector.vlm.report_projector import ReportProjector, save_projector

_MARKERS = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "image_start_token": "<image>", "image_end_token": "</image>",
    "slice_start_token": "<slice>", "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>", "image_id_end_token": "</image_id>",
}  # fmt: skip
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}{% if c.type == 'image' %}<|image_pad|>{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_WORDS = "Product: ball screw. Labels: good, scale, scale pit, scale crack. Reports: none. Picture: Which of the labels is right? Verdict:"


@dataclass(frozen=True, slots=True)
class FullShape:
    """Sizes of a random MiniCPM-V."""

    text: dict[str, Any]
    """Text configuration."""
    vision: dict[str, Any]
    """Vision configuration."""
    insert_layer: int
    """Layer of the vision tower behind which windows are merged."""
    slice_px: int
    """Side of the square that a slice is brought to."""


TINY = FullShape(
    text={
        "vocab_size": 352, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
        "linear_value_head_dim": 16, "initializer_range": 0.2,
    },
    vision={"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 14},
    insert_layer=1,
    slice_px=112,
)  # fmt: skip
TRUE = FullShape(
    text={
        "vocab_size": 248320, "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 24, "num_attention_heads": 8,
        "num_key_value_heads": 2, "head_dim": 256, "linear_num_key_heads": 16, "linear_num_value_heads": 16,
    },
    vision={"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16, "patch_size": 14},
    insert_layer=6,
    slice_px=448,
)  # fmt: skip
"""About MiniCPM-V 4.6: SigLIP2-400M and Qwen3.5-0.8B."""


def write_random_full(
    folder: Path, model_type: str, shape: FullShape, *, dtype: torch.dtype = torch.float32, encoder: str = "", seed: int = 7
) -> None:
    """Write a folder that ``open_full`` accepts; with an ``encoder`` (``name@hash``) it gets a random report projector for it."""
    transformers.logging.disable_progress_bar()
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    MiniCPMV4_6ImageProcessorPil(scale_resolution=shape.slice_px, patch_size=shape.vision["patch_size"]).save_pretrained(folder)
    config, kind = _config(tokenizer, model_type, shape)
    before = torch.get_default_dtype()
    torch.manual_seed(seed)
    torch.set_default_dtype(dtype)
    try:
        model = kind(config)
    finally:
        torch.set_default_dtype(before)
    model.save_pretrained(folder)
    if encoder:
        rms = float(model.get_input_embeddings().weight.detach().float().pow(2).mean().sqrt())
        save_projector(folder / REPORTS, ReportProjector(384, shape.text["hidden_size"], rms), encoder)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer with the tokens that a MiniCPM-V names."""
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", STOP, *_MARKERS.values()]
    found.train_from_iterator(
        [_WORDS] * 4,
        trainers.BpeTrainer(
            vocab_size=340, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    named = {"eos_token": STOP, "pad_token": special[0], "chat_template": _TEMPLATE, "extra_special_tokens": dict(_MARKERS)}
    return PreTrainedTokenizerFast(tokenizer_object=found, **named)


def _config(tokenizer: PreTrainedTokenizerFast, model_type: str, shape: FullShape) -> tuple[Any, Any]:
    """Return the configuration and the model class."""

    def token_id(token: str) -> int:
        return int(tokenizer(token, add_special_tokens=False)["input_ids"][0])

    sizes: dict[str, Any] = {
        "text_config": {"model_type": "qwen3_5_text", "tie_word_embeddings": True, **shape.text}, "vision_config": shape.vision,
        "insert_layer_id": shape.insert_layer, "image_size": shape.slice_px, "tie_word_embeddings": True,
        "image_token_id": token_id("<|image_pad|>"), "video_token_id": token_id("<|video_pad|>"),
    }  # fmt: skip
    if model_type == "minicpmv4_6":
        return MiniCPMV4_6Config(**sizes), MiniCPMV4_6ForConditionalGeneration
    named = ("image_start", "image_end", "slice_start", "slice_end")
    markers: dict[str, Any] = {f"{name}_id": token_id(_MARKERS[f"{name}_token"]) for name in named}
    return MiniCPMV4_7Config(**sizes, **markers, newline_id=token_id("\n")), MiniCPMV4_7ForConditionalGeneration
