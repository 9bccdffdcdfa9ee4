"""A tiny checkpoint of the true classes, made on the spot: real tower, real decoder, real exported graphs, random weights."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from inspector.core.label import LabelSet
from inspector.training.decoder import decoder_from_llama
from inspector.training.edge_model import EdgeModel
from inspector.training.export import export_checkpoint
from inspector.training.tower import Trunk, Upper
from inspector.vlm.prompt import STOP

REPORT_WIDTH = 384


@dataclass(frozen=True, slots=True)
class Tiny:
    """A tiny checkpoint and the torch source that it was exported from."""

    folder: Path
    """Folder with model.toml."""
    trunk: Trunk
    """Frozen part of the tower."""
    model: EdgeModel
    """The source."""
    tokenizer: Tokenizer
    """Its tokenizer."""
    labels: LabelSet
    """Labels with a shared beginning and one that is a prefix of another."""


def tiny_tokenizer() -> Tokenizer:
    """Return a byte-level BPE tokenizer trained on a few words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = ["Product: ball screw. Labels: good, scale, scale pit, scale crack. Reports: none. Picture: Verdict:"] * 4
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        words, trainers.BpeTrainer(vocab_size=320, special_tokens=[STOP], initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def tiny_model(vocabulary: int) -> tuple[Trunk, EdgeModel]:
    """Return an untrained edge model with two narrow layers."""
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        initializer_range=0.3, tie_word_embeddings=True,
    )  # fmt: skip
    language_model = LlamaForCausalLM(config)
    table = language_model.model.embed_tokens.weight.detach().half().float()
    model = EdgeModel(Upper(), decoder_from_llama(language_model), table, merger_inner=64, report_width=REPORT_WIDTH)
    with torch.no_grad():
        model.logit_scale.fill_(0.0)
    return Trunk().eval(), model.eval()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return the tiny checkpoint, exported in float32."""
    tokenizer = tiny_tokenizer()
    trunk, model = tiny_model(tokenizer.get_vocab_size())
    folder = tmp_path_factory.mktemp("models") / "tiny"
    export_checkpoint(folder, "tiny", trunk, model, tokenizer, side=128, encoder="test@0", precision="float32")
    return Tiny(folder, trunk, model, tokenizer, LabelSet(("good", "scale", "scale_pit", "scale_crack"), "good"))
