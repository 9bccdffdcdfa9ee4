"""The tiny checkpoint with a frozen set of its true source, whole or with a damaged weight."""

import gzip
import shutil
import tomllib
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from inspector.core.context import Context
from inspector.core.report import Report
from inspector.training.export import write_model_toml
from inspector.training.freeze import Candidate, freeze
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.frozen_set import _UNTOLD
from tests.conftest import REPORT_WIDTH, Tiny
from tests.station_kit import picture


def candidates(tiny: Tiny, count: int = 6) -> list[Candidate]:
    """Return pictures, every second one with two reports beside it."""
    vectors = np.random.default_rng(11).normal(size=(2, REPORT_WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for number in range(count):
        told = 2 if number % 2 else 0
        reports = tuple(Report(f"r{place}", _UNTOLD, "screw", "") for place in range(told))
        found.append(Candidate(f"part {number}", picture(number), Context("screw", "ball screw", tiny.labels, reports, vectors[:told])))
    return found


def frozen_tiny(tiny: Tiny, folder: Path, *, damaged: bool = False, changed: int = 0, count: int = 6) -> Path:
    """Write the tiny checkpoint with its frozen set; ``damaged`` graphs differ from the source in one tensor of the decoder.

    ``changed`` adds so many empty lines to the tokenizer's file: another revision that answers alike.
    """
    shutil.copytree(tiny.folder, folder)
    if damaged:
        damage_decoder(folder / "decoder.onnx")
    if changed:
        tokenizer = folder / "tokenizer.json.gz"
        tokenizer.write_bytes(gzip.compress(gzip.decompress(tokenizer.read_bytes()) + b"\n" * changed, mtime=0))
    rewrite_hashes(folder)
    freeze(folder, tiny.trunk, tiny.model, candidates(tiny, count), "the torch model of the tests")
    return folder


def damage_decoder(path: Path) -> None:
    """Multiply one weight matrix of a decoder graph by -1, as a broken export or a wrong kernel could."""
    graph = onnx.load(path)
    tensor = max((entry for entry in graph.graph.initializer if len(entry.dims) == 2), key=lambda entry: np.prod(entry.dims))
    tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
    onnx.save(graph, path)


def rewrite_hashes(folder: Path) -> None:
    """Let model.toml name the files as they are now."""
    checkpoint_toml = folder / "model.toml"
    sizes = tomllib.loads(checkpoint_toml.read_text(encoding="utf-8"))["sizes"]
    write_model_toml(folder, "tiny", sizes, "test@0")
    assert open_checkpoint(folder).name == "tiny"
