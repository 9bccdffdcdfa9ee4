"""The size table: each part of a checkpoint at 32, 16, 8 and 4 bits, all others in float32, with what that costs in answers.

The float32 weights are those that the graphs hold, expanded (``graph_weights``): what their own rounding had changed is not seen.
"""

import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Frame
from inspector.core.prediction import Prediction
from inspector.pipeline import Pipeline
from inspector.training.export import TOKENIZER, export_checkpoint, write_model_toml
from inspector.training.graph_weights import model_of
from inspector.training.grids import Width
from inspector.training.narrow_graph import narrow_matrices
from inspector.training.rounding import halve, round_activations, round_convolutions, round_table
from inspector.vlm.checkpoint import PARTS, Checkpoint, open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.pixels import squared

Change = Callable[[Path], int | None]
"""Rounds files of a checkpoint folder; returns the bytes of a table that stays float16 on the disk."""


@dataclass(frozen=True, slots=True)
class Size:
    """One line of the table."""

    part: str
    """What was rounded."""
    precision: str
    """To what."""
    part_bytes: int
    """Bytes of the files that hold the part."""
    whole_bytes: int
    """Bytes of the whole checkpoint."""
    rss_mib: float
    """Peak memory of a process that opens the checkpoint and judges one picture."""
    cpu_ms: float
    """Median processor time of a verdict, all threads, milliseconds."""
    flips: int
    """Labels that differ from float32."""
    shift: float
    """Largest difference of a probability."""
    right: int
    """Labels that are the true ones."""
    pictures: int
    """Pictures judged."""

    def to_dict(self) -> dict[str, object]:
        """Return the line for JSON."""
        return asdict(self)


def variants(checkpoint: Checkpoint, pixels: Sequence[NDArray[np.uint8]]) -> dict[tuple[str, str], tuple[tuple[str, ...], Change]]:
    """Return (part, precision) -> files that hold the part, and what makes it of a float32 checkpoint; ``pixels`` calibrate 8 bits."""

    def on(file: str, change: Callable[[Path], None]) -> tuple[tuple[str, ...], Change]:
        return (file,), lambda folder: change(folder / file)

    def table(bits: int) -> tuple[tuple[str, ...], Change]:
        return ("embedding.npy",), lambda folder: round_table(folder / "embedding.npy", bits)

    def all_of(*parts: tuple[tuple[str, ...], Change]) -> tuple[tuple[str, ...], Change]:
        def change(folder: Path) -> int | None:
            saved = [part(folder) for _, part in parts]
            return next((one for one in saved if one is not None), None)

        return ("vision.onnx", "decoder.onnx", "embedding.npy", "projector.onnx"), change

    tower = on("vision.onnx", lambda path: round_convolutions(path, "trunk", pixels))
    upper = on("vision.onnx", lambda path: round_convolutions(path, "upper", pixels))
    merger, decoder = ({bits: on(file, lambda path, bits=bits: narrow_matrices(path, Width(bits, 32))) for bits in (8, 4)}  # type: ignore[misc]
                       for file in ("vision.onnx", "decoder.onnx"))  # fmt: skip
    return {
        ("everything", "float32"): all_of(),
        ("vision", "float16"): on("vision.onnx", halve),
        ("tower, blocks 0-10", "int8"): tower,
        ("tower, blocks 11-15", "int8"): upper,
        ("merger", "int8"): merger[8],
        ("merger", "int4"): merger[4],
        ("decoder", "float16"): on("decoder.onnx", halve),
        ("decoder", "int8"): decoder[8],
        ("decoder", "int8, activations too"): on("decoder.onnx", round_activations),
        ("decoder", "int4"): decoder[4],
        ("embedding", "int8"): table(8),
        ("embedding", "int4"): table(4),
        ("merger, decoder", "int8"): all_of(merger[8], decoder[8]),
        ("everything", "int8"): all_of(merger[8], tower, upper, decoder[8], table(8)),
        ("everything", "int4, tower int8"): all_of(merger[4], tower, upper, decoder[4], table(4)),
        ("everything", "as it ships"): (_FILES, partial(_as_shipped, checkpoint)),
    }


def _as_shipped(checkpoint: Checkpoint, folder: Path) -> None:
    """Put the checkpoint's own files into a folder."""
    for part, file in checkpoint.files.items():
        shutil.copy2(file, folder / _FILES[PARTS.index(part)])


def measure_sizes(
    checkpoint: Checkpoint, pipeline: Pipeline, frames: Sequence[Frame], truth: Mapping[str, str], folder: Path
) -> Iterator[Size]:
    """Yield the lines: each variant is built below ``folder``, judges all frames and is removed. A third of the frames calibrates."""
    source = folder / "float32"
    export_checkpoint(
        source, checkpoint.name, *model_of(checkpoint), checkpoint.tokenizer(), side=checkpoint.image_px, encoder=checkpoint.encoder,
        precision="float32",
    )  # fmt: skip
    pixels = [squared(frame.image, checkpoint.image_px) for frame in frames[::3]]
    expected: list[Prediction] = []
    for (part, precision), (files, change) in variants(checkpoint, pixels).items():
        place = folder / "variant"
        shutil.copytree(source, place)
        saved = change(place)
        _seal(place)
        found, cpu_ms = _judged(place, pipeline, frames)
        expected = expected or found
        whole, held = (sum((place / file).stat().st_size for file in names) for names in (_FILES, files))
        less = 0 if saved is None else (place / "embedding.npy").stat().st_size - saved
        yield Size(
            part=part,
            precision=precision,
            part_bytes=held - less,
            whole_bytes=whole - less,
            rss_mib=_peak_mib(place),
            cpu_ms=cpu_ms,
            flips=sum(one.label != other.label for one, other in zip(expected, found, strict=True)),
            shift=max(
                abs(one.scores[name] - other.scores[name]) for one, other in zip(expected, found, strict=True) for name in one.scores
            ),
            right=sum(one.label == truth[frame.frame_id] for one, frame in zip(found, frames, strict=True)),
            pictures=len(frames),
        )
        shutil.rmtree(place)


def _judged(folder: Path, pipeline: Pipeline, frames: Sequence[Frame]) -> tuple[list[Prediction], float]:
    """Return one prediction a frame, with the reports that the station shows beside it, and the median processor time, milliseconds."""
    judging = replace(pipeline, predictor=OnnxPredictor(open_checkpoint(folder)))
    found, times = [], []
    for frame in frames:
        began = time.process_time()
        found.append(judging.inspect([replace(frame, grabbed_ns=time.monotonic_ns())])[0].predictions[0])
        times.append(1e3 * (time.process_time() - began))
    return found, float(np.median(times))


def _seal(folder: Path) -> None:
    """Write the hashes of what lies there now into model.toml."""
    table = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    write_model_toml(folder, table["name"], table["sizes"], table["encoder"])


def _peak_mib(folder: Path) -> float:
    """Return the peak memory of a process of its own, without torch, that opens the checkpoint and looks at a picture, MiB."""
    done = subprocess.run([sys.executable, "-c", _LOOK, str(folder)], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout) / 1024


_LOOK = """
import sys
from pathlib import Path
import numpy as np
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
OnnxPredictor(open_checkpoint(Path(sys.argv[1]))).image_slots([np.zeros((256, 256, 3), np.uint8)])
status = Path("/proc/self/status").read_text().splitlines()  # ru_maxrss would count the parent's memory, from before this began
print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""
_FILES = ("vision.onnx", "projector.onnx", "decoder.onnx", "embedding.npy", TOKENIZER)
"""The files of a checkpoint, in the order of its parts."""
