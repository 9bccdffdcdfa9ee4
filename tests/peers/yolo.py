"""Ultralytics YOLO of nano size, from its own description; ONNX Runtime, raw outputs without their post-processing."""

from collections.abc import Callable
from pathlib import Path

import torch
from ultralytics import YOLO

from tests.peers.running import Judge, exported, planes


def yolo(kind: str, side: int) -> Callable[[Path], Judge]:
    def build(_root: Path) -> Judge:
        model = YOLO(f"{kind}.yaml", verbose=False).model.eval().fuse(verbose=False)
        model.model[-1].export = True
        run = exported(model, torch.zeros(1, 3, side, side))
        return lambda image: run(planes(image, side))

    return build


BUILD = {"YOLO11n-cls, 224 px": yolo("yolo11n-cls", 224), "YOLO11n detection, 640 px": yolo("yolo11n", 640)}
