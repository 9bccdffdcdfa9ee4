"""The report encoder: ONNX equals sentence-transformers, and nothing wrong is ever loaded."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizer

from inspector.errors import CheckpointError
from inspector.training.encoder_export import ensure_onnx_encoder, export_encoder
from inspector.vlm.encoder import OnnxEncoder, SentenceTransformerEncoder, expected_revision, open_encoder
from inspector.vlm.encoder_source import EncoderSource, find_encoder

NAME = "all-MiniLM-L6-v2"
TEXTS = (
    "slag inclusion at left edge, strip stopped",
    "SLAG INCLUSION at left edge, strip stopped",
    "钢带表面有划痕、长度约 30 毫米",
    "",
    "   \n\t ",
    "word " * 3000,
    "划" * 600,
    "\ud800 half a pair",
    "\x00null\x01",
    "😀🔥 x\u200by\u0301 naïve ÄÖÜ ß",
    "[MASK] [CLS] [PAD]",
    "1" * 5000,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    ensure_onnx_encoder(NAME, folder)
    return folder


@pytest.fixture(scope="module")
def encoder(models: Path) -> OnnxEncoder:
    return open_encoder(NAME, models)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a real sentence-transformers folder with a small random BERT and cls pooling, without Normalize."""
    folder = tmp_path_factory.mktemp("source")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pit", "no", "##ting", "found"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    config = BertConfig(
        vocab_size=len(words),
        max_position_embeddings=24,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder / "bert")
    BertTokenizer(vocab=str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=16)
    model = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode="cls")], device="cpu")
    model.save(str(folder / "tiny-cls"), create_model_card=False)
    return folder / "tiny-cls"


def test_onnx_equals_sentence_transformers_on_every_kind_of_text(encoder: OnnxEncoder) -> None:
    reference = SentenceTransformerEncoder(NAME)
    assert reference.revision == encoder.revision == "all-MiniLM-L6-v2@53aa51172d14"
    assert np.abs(reference.encode(TEXTS) - encoder.encode(TEXTS)).max() < 1e-4


def test_vectors_are_float32_of_unit_length(encoder: OnnxEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dim) == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_text_has_the_same_vector_alone_and_in_any_batch(encoder: OnnxEncoder) -> None:
    together = encoder.encode(TEXTS)
    assert max(np.abs(encoder.encode([text])[0] - vector).max() for text, vector in zip(TEXTS, together, strict=True)) < 1e-5
    assert np.abs(encoder.encode(TEXTS[::-1])[::-1] - together).max() < 1e-5


def test_no_text_gives_no_vector(encoder: OnnxEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_texts_of_like_meaning_are_closer_than_others(encoder: OnnxEncoder) -> None:
    scratch, scored, ash = encoder.encode(["scratch on surface", "surface is scratched", "iron ash spot"])
    assert scratch @ scored > scratch @ ash


def test_another_sentence_transformers_folder_with_cls_pooling_is_exported_and_agrees(tiny: Path, tmp_path: Path) -> None:
    ensure_onnx_encoder(str(tiny), tmp_path)
    encoder = open_encoder(str(tiny), tmp_path)
    texts = ["no pitting found", "pit", "", "found " * 99]
    assert encoder.revision.startswith("tiny-cls@")
    assert np.abs(SentenceTransformerEncoder(str(tiny)).encode(texts) - encoder.encode(texts)).max() < 1e-4


def test_an_exported_folder_can_be_named_itself(models: Path, tmp_path: Path) -> None:
    assert open_encoder(str(models / NAME), tmp_path).revision == expected_revision(NAME) == expected_revision(str(models / NAME))


def test_an_encoder_is_exported_once(models: Path) -> None:
    lines: list[str] = []
    ensure_onnx_encoder(NAME, models, lines.append)
    assert lines == []


def test_a_missing_export_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="inspector reports prepare"):
        open_encoder(NAME, tmp_path)


def test_a_changed_source_asks_for_a_new_export(tiny: Path, tmp_path: Path) -> None:
    ensure_onnx_encoder(str(tiny), tmp_path)
    toml = tmp_path / "tiny-cls" / "encoder.toml"
    toml.write_text(toml.read_text().replace("tiny-cls@", "tiny-cls@0"), encoding="utf-8")
    with pytest.raises(CheckpointError, match="reports prepare"):
        open_encoder(str(tiny), tmp_path)


@pytest.mark.parametrize("line", ["revision", "dim", "pooling", '[files."weights.bin"]'])
def test_an_encoder_toml_without_a_key_is_refused(models: Path, tmp_path: Path, line: str) -> None:
    text = (models / NAME / "encoder.toml").read_text(encoding="utf-8")
    (tmp_path / "encoder.toml").write_text(text.replace(line, "[other]" if line[0] == "[" else "other"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"is missing; delete the folder"):
        OnnxEncoder(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "weights.bin", "tokenizer.json"])
def test_a_truncated_altered_or_missing_file_is_refused_by_name(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = ensure_onnx_encoder(str(tiny), tmp_path)
    content = (folder / name).read_bytes()
    for broken in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), None):
        (folder / name).unlink()
        if broken is not None:
            (folder / name).write_bytes(broken)
        with pytest.raises(CheckpointError, match=name):
            OnnxEncoder(folder)
        (folder / name).write_bytes(content)
    assert OnnxEncoder(folder / "model.onnx").dim == 32


def test_a_damaged_export_is_written_anew(tiny: Path, tmp_path: Path) -> None:
    folder = ensure_onnx_encoder(str(tiny), tmp_path)
    (folder / "weights.bin").write_bytes(b"")
    lines: list[str] = []
    ensure_onnx_encoder(str(tiny), tmp_path, lines.append)
    assert len(lines) == 1
    assert OnnxEncoder(folder).dim == 32


def test_a_folder_that_holds_something_else_is_not_overwritten(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny-cls").mkdir()
    (tmp_path / "tiny-cls" / "model.toml").write_text("", encoding="utf-8")
    with pytest.raises(CheckpointError, match="rename that folder"):
        ensure_onnx_encoder(str(tiny), tmp_path)


def test_an_unknown_encoder_and_an_incomplete_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a known encoder"):
        find_encoder("all-MiniLM-L7")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        find_encoder(str(tmp_path))


@pytest.mark.parametrize(
    ("modules", "pooling", "reason"),
    [
        (("Transformer", "Pooling", "Dense"), {"pooling_mode": "mean"}, "Dense"),
        (("Transformer", "Pooling"), {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, "only mean and cls"),
        (("Transformer", "Pooling"), {"pooling_mode": ["mean", "cls"]}, "only mean and cls"),
    ],
)
def test_pooling_that_is_not_supported_is_refused_clearly(
    tmp_path: Path, modules: Sequence[str], pooling: dict[str, object], reason: str
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    (tmp_path / "modules.json").write_text(
        json.dumps([{"type": f"sentence_transformers.models.{name}"} for name in modules]), encoding="utf-8"
    )
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    with pytest.raises(CheckpointError, match=reason):
        find_encoder(str(tmp_path))


def test_an_export_that_cannot_be_written_names_the_folder(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    source = EncoderSource("tiny-cls", tiny, "0" * 64, "cls")
    with pytest.raises(CheckpointError, match="cannot be written"):
        export_encoder(source, tmp_path / "file" / "tiny-cls")


def test_encoding_loads_neither_torch_nor_transformers(models: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from inspector.vlm.encoder import open_encoder;"
        f"open_encoder({NAME!r}, Path({str(models)!r})).encode(['pit']);"
        "sys.exit(bool({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
