"""Anomalib: PatchCore as it comes, with a memory of 10,000 patches, and EfficientAD; each by its own torch code."""

from collections.abc import Callable
from pathlib import Path

import torch
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel, EfficientAdModelSize
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

from tests.peers.running import Judge, in_torch

_PATCHES, _WIDTH = 10_000, 1536
"""Patches of the memory, and channels of the two maps of WideResNet-50 together."""


def patchcore(_root: Path) -> Judge:
    model = PatchcoreModel(layers=["layer2", "layer3"], backbone="wide_resnet50_2", pre_trained=False)
    model.memory_bank = torch.randn(_PATCHES, _WIDTH)
    return in_torch(model, 224)


def efficient_ad(_root: Path) -> Judge:
    return in_torch(EfficientAdModel(384, model_size=EfficientAdModelSize.S), 256)


BUILD: dict[str, Callable[[Path], Judge]] = {"PatchCore, WideResNet-50, 224 px": patchcore, "EfficientAD-S, 256 px": efficient_ad}
