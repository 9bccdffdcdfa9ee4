"""One contender in a process of its own: builds it, then judges as often as each line on stdin asks, and prints the times as JSON.

python -m tests.peers.worker NAME ROOT
"""

import importlib
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
from torch import library

from tests.peers.table import CONTENDERS


def main(name: str, root: Path) -> None:
    """Serve until stdin ends."""
    told = os.fdopen(os.dup(1), "w")  # what the others' libraries print goes to stderr
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    module, is_peer = CONTENDERS[name]
    if is_peer:
        _let_torchvision_load()
    judge = importlib.import_module(f"tests.peers.{module}").BUILD[name](root)
    coarse = np.random.default_rng(0).integers(40, 220, (54, 96, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC), np.uint8)
    for _ in range(3):
        judge(image)
    print(json.dumps({"ready": name}), file=told, flush=True)
    for line in sys.stdin:
        taken = []
        for _ in range(int(line)):
            clock, cpu = time.perf_counter(), time.process_time()
            judge(image)
            taken.append((1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - cpu)))
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"times_ms": taken, "peak_mib": peak_mib}), file=told, flush=True)


def _let_torchvision_load() -> None:
    """Import torchvision even where its compiled part is made for torch with CUDA: nothing measured here needs that part."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # its own Python asks for two operators of the compiled part while it is imported
        for loaded in [key for key in sys.modules if key.split(".")[0] == "torchvision"]:
            del sys.modules[loaded]
        for operator in ("nms", "qnms"):
            library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
