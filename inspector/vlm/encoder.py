"""The report encoder: texts -> (n, d) float32 unit vectors.

``OnnxEncoder`` needs ``tokenizers`` and ONNX Runtime alone and is what the daemon uses; ``SentenceTransformerEncoder`` is the reference.
Both agree within 1e-4. An encoder folder holds ``encoder.toml``, ``model.onnx`` with its weights beside it, and ``tokenizer.json``; it
is written once from the source by ``inspector.training.encoder_export``. N texts, T tokens, d width of a vector.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inspector.errors import CheckpointError, ReportError
from inspector.vlm.checkpoint import sha256
from inspector.vlm.encoder_source import KNOWN, encoder_name, find_encoder

FORMAT = 1
"""Version of encoder.toml that this code reads."""
_KEYS = ("revision", "pooling", "dim", "max_length", "pad_id", "pad_token")
_FILES = ("model.onnx", "weights.bin", "tokenizer.json")
_BATCH = 8
"""Texts encoded together; more would only cost memory (about 20 MB for each text of full length)."""


class OnnxEncoder:
    """Encodes texts on ONNX Runtime."""

    revision: str
    """``name@hash`` of the source; vectors of different revisions are never compared."""
    dim: int
    """Width d of a vector."""

    def __init__(self, folder_or_file: Path, *, threads: int = 1) -> None:
        """Open an encoder folder (or the model.onnx in it). Raises ``CheckpointError`` if a file is missing or altered."""
        folder = folder_or_file if folder_or_file.is_dir() else folder_or_file.parent
        table = read_encoder_toml(folder)
        faults = encoder_faults(folder, table)
        if faults:
            raise CheckpointError("\n".join(faults))
        self.revision, self.dim = table["revision"], table["dim"]
        self._mean = table["pooling"] == "mean"
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(table["max_length"])
        self._tokenizer.enable_padding(pad_id=table["pad_id"], pad_token=table["pad_token"])
        self._session = _open_session(folder / "model.onnx", threads)
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (N, d) float32 unit vectors, in order. Raises ``ReportError`` if the encoder fails."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # texts of like length waste no padding
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            vectors[chosen] = self._encode_batch([texts[index] for index in chosen])
        return vectors

    def _encode_batch(self, texts: list[str]) -> NDArray[np.float32]:
        encodings = self._tokenizer.encode_batch([_sayable(text) for text in texts])
        feeds = {
            "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
            "token_type_ids": np.array([encoding.type_ids for encoding in encodings], np.int64),
        }
        try:
            hidden = self._session.run(["hidden"], {name: feed for name, feed in feeds.items() if name in self._inputs})[0]  # (N, T, d)
        except (ValueError, RuntimeError) as error:
            raise ReportError(f"report encoder {self.revision}: {len(texts)} text(s) could not be encoded: {error}") from error
        return _unit(_pooled(hidden, feeds["attention_mask"]) if self._mean else hidden[:, 0])


class SentenceTransformerEncoder:
    """Encodes texts through sentence-transformers: the reference that the ONNX encoder must equal. Imports torch."""

    def __init__(self, name_or_path: str) -> None:
        """Load a known encoder or a sentence-transformers folder on the CPU. Raises ``CheckpointError``."""
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - torch must stay out of the daemon

        source = find_encoder(name_or_path)
        self.revision = source.revision
        self.model = SentenceTransformer(str(source.folder), device="cpu", local_files_only=True)
        self.dim = int(self.model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (N, d) float32 unit vectors, in order."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        found = self.model.encode([_sayable(text) for text in texts], convert_to_numpy=True, show_progress_bar=False)
        return _unit(np.asarray(found, np.float32))


def open_encoder(name_or_path: str, models_dir: Path, *, threads: int = 1) -> OnnxEncoder:
    """Open the exported encoder below ``models_dir``. Raises ``CheckpointError`` that tells the command if it must be exported first."""
    folder = models_dir / encoder_name(name_or_path)
    if (Path(name_or_path) / "encoder.toml").is_file():  # an exported folder was named itself
        return OnnxEncoder(Path(name_or_path), threads=threads)
    if not (folder / "encoder.toml").is_file():
        raise CheckpointError(f"{folder}: the report encoder is not exported yet; run: inspector reports prepare STATION")
    encoder = OnnxEncoder(folder, threads=threads)
    wanted = expected_revision(name_or_path)
    if encoder.revision != wanted:
        raise CheckpointError(f"{folder}: holds {encoder.revision}, reports.encoder is {wanted}; run: inspector reports prepare STATION")
    return encoder


def expected_revision(name_or_path: str) -> str:
    """Return the revision that an encoder must have. A known name needs neither its package nor a hash over its weights."""
    known = KNOWN.get(name_or_path)
    if (Path(name_or_path) / "encoder.toml").is_file():  # an exported folder was named itself
        return str(read_encoder_toml(Path(name_or_path))["revision"])
    return f"{name_or_path}@{known.sha256[:12]}" if known is not None else find_encoder(name_or_path).revision


def read_encoder_toml(folder: Path) -> dict[str, Any]:
    """Return the table of an encoder folder. Raises ``CheckpointError`` if it is missing or of another format."""
    path = folder / "encoder.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the file is missing; run: inspector reports prepare STATION") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as TOML: {error}; delete the folder and run: inspector reports prepare STATION"
        ) from error
    if table.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {table.get('format')!r}, expected {FORMAT}; run: inspector reports prepare STATION")
    absent = [key for key in _KEYS if key not in table] + [f"files.{name}" for name in _FILES if name not in table.get("files", {})]
    if absent:
        raise CheckpointError(f"{path}: {absent[0]} is missing; delete the folder and run: inspector reports prepare STATION")
    return table


def encoder_faults(folder: Path, table: dict[str, Any]) -> list[str]:
    """Return one line for each file that is missing, truncated or altered. Empty if the encoder may be used."""
    faults = []
    for name, entry in table.get("files", {}).items():
        path, cure = folder / name, "delete the folder and run: inspector reports prepare STATION"
        if not path.is_file():
            faults.append(f"{path}: the file is missing; {cure}")
        elif path.stat().st_size != entry["bytes"]:
            faults.append(f"{path}: {path.stat().st_size} bytes, expected {entry['bytes']}; {cure}")
        elif (found := sha256(path)) != entry["sha256"]:
            faults.append(f"{path}: sha256 {found[:12]}..., expected {entry['sha256'][:12]}...; {cure}")
    return faults


def _open_session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # a query now and then is not worth keeping the peak of an import
    options.add_session_config_entry("session.disable_prepacking", "1")  # weights stay mapped from the file instead of copied
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises bare Exception subclasses of its own
        raise CheckpointError(f"{path}: ONNX Runtime cannot load it: {error}") from error


def _pooled(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the (N, d) mean of the (N, T, d) token vectors under an (N, T) mask."""
    weights = mask[:, :, None].astype(np.float32)
    pooled: NDArray[np.float32] = (hidden * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
    return pooled


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def _sayable(text: str) -> str:
    """Return the text without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
