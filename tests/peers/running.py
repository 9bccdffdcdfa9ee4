"""How a contender is run: a torch module as a graph on ONNX Runtime, or by its own code, on two threads, from a picture in memory.

A contender takes (1080, 1920, 3) uint8 RGB to its own answer, resizing included. Weights are random where the trained ones are in no
package index: time does not depend on them, answers mean nothing and are not told.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import torch

from inspector.core.frame import Image
from inspector.training.export import OPSET
from inspector.training.padding import fuse_padding
from inspector.vlm.onnx_session import session_options

Judge = Callable[[Image], object]
THREADS = 2


def planes(image: Image, side: int) -> np.ndarray:
    """Return (1, 3, side, side) float32, 0 to 1."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def exported(model: torch.nn.Module, example: torch.Tensor) -> Callable[[Any], object]:
    """Return a module as a graph on ONNX Runtime, with the options that inspector uses."""
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        path = Path(scratch) / "model.onnx"
        torch.onnx.export(model.eval(), (example,), str(path), dynamo=False, input_names=["x"], opset_version=OPSET)
        fuse_padding(path)
        session = ort.InferenceSession(str(path), session_options(THREADS), providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})


def in_torch(model: torch.nn.Module, side: int) -> Judge:
    """Return a module run by torch, as its makers' own code does."""
    torch.set_num_threads(THREADS)
    model.eval()

    def judge(image: Image) -> object:
        with torch.inference_mode():
            return model(torch.from_numpy(planes(image, side)))

    return judge
