"""The demo station's whole verdict, and a conventional classifier of the same tower."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from inspector.bench.pictures import read_frames
from inspector.daemon import open_judge
from inspector.settings import read_station
from inspector.training.tower import Trunk, Upper
from inspector.vlm.pixels import squared
from tests.peers.running import Judge, exported
from tests.peers.table import OURS


class Classifier(torch.nn.Module):
    """EfficientNet-Lite0, mean over the picture, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.upper, self.head = Trunk(), Upper(), torch.nn.Linear(320, 7)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, S, S, 3) uint8 -> (B, 7)."""
        return self.head(self.upper(self.trunk(pixels)).mean((2, 3)))


def station(root: Path) -> Judge:
    """Picture, reports and question to a verdict; log and broker left out."""
    settings = read_station(root / "calibration" / "demo")
    opened = open_judge(settings, root)
    pipeline = opened.__enter__()
    frame = replace(read_frames(settings)[0], recorded_at=None)
    return lambda image: (opened, pipeline.inspect([replace(frame, image=image, grabbed_ns=time.monotonic_ns())]))


def classifier(_root: Path) -> Judge:
    run = exported(Classifier(), torch.zeros(1, 256, 256, 3, dtype=torch.uint8))
    return lambda image: run(squared(image, 256)[None])


BUILD: dict[str, Callable[[Path], Judge]] = {OURS: station, "classifier of the same tower, 256 px": classifier}
