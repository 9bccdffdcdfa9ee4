"""What is remembered of a passed parity gate: one small file in the station's state folder, keyed by all that could change an answer.

Only a pass is remembered, so a refusal is always judged anew. The file spares time and proves nothing: one that cannot be read or
written means that the set is judged again.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import tokenizers

from inspector import __version__
from inspector.settings import ModelSection
from inspector.settings.table_file import replace_text
from inspector.vlm.checkpoint import Checkpoint, sha256
from inspector.vlm.frozen_set import FrozenSet
from inspector.vlm.full_checkpoint import AnyCheckpoint

_CPU_LINES = ("model name", "flags", "Features", "CPU part")
"""Lines of /proc/cpuinfo that say which instructions ONNX Runtime may choose from: x86-64, then Arm."""
_OF_FULL = ("torch", "transformers", "bitsandbytes", "pillow")
"""Packages between a picture and the posterior of a full MiniCPM-V; asked for their version, not imported."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a checkpoint runs on."""

    software: str
    """Versions of everything between a picture and its posterior."""
    processor: str
    """Name and instruction sets of the processor; driver and names of the GPUs."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A passed gate."""

    key: str
    """Hash over model, frozen sets, software, providers and processor."""
    pictures: int
    """Pictures judged."""
    flips: int
    """Labels that changed."""
    largest_shift: float
    """Largest difference of a probability, 0..1."""
    judged_at: str
    """UTC day."""


def this_machine(proc: Path = Path("/proc")) -> Machine:
    """Return what this process runs on; ``proc`` is where the kernel tells it."""
    versions = {"inspector": __version__, "onnxruntime": ort.__version__, "tokenizers": tokenizers.__version__}
    versions |= {"opencv": cv2.__version__, "numpy": np.__version__}
    gpus = [proc / "driver/nvidia/version", *sorted(proc.glob("driver/nvidia/gpus/*/information"))]
    cpu = [line for line in _text(proc / "cpuinfo").split("\n\n", 1)[0].splitlines() if line.split("\t")[0].strip() in _CPU_LINES]
    return Machine(json.dumps(versions), "\n".join([*cpu, *map(_text, gpus)]))


def key_of(checkpoint: AnyCheckpoint, sets: Sequence[FrozenSet], model: ModelSection, machine: Machine) -> str:
    """Return the hash over all that could change an answer. The checkpoint's files have been held against their hashes."""
    if isinstance(checkpoint, Checkpoint):
        how = [sha256(checkpoint.folder / "model.toml"), *model.providers]
    else:
        how = [model.device, *map(_version, _OF_FULL)]
    parts = [checkpoint.revision, *how, *(frozen.seal for frozen in sets)]
    return hashlib.sha256("\n".join([*parts, machine.software, machine.processor]).encode()).hexdigest()


def recall(path: Path, key: str) -> Pass | None:
    """Return the pass that is remembered under a key, if there is one."""
    try:
        found = Pass(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.key == key else None


def remember(path: Path, key: str, pictures: int, flips: int, largest_shift: float) -> None:
    """Keep a pass, if the state folder is there and can be written."""
    passed = Pass(key, pictures, flips, round(largest_shift, 6), datetime.now(UTC).date().isoformat())
    with suppress(OSError):  # then the next start judges again
        replace_text(path, json.dumps(asdict(passed)) + "\n")


def _version(package: str) -> str:
    with suppress(PackageNotFoundError):
        return version(package)
    return "not installed"


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    return ""
