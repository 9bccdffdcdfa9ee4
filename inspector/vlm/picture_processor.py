"""The checkpoint's own processor, for pictures alone: adaptive slicing, 16x and 4x modes, slots between their markers.

transformers' processors of MiniCPM-V also want a video processor, which needs torchvision; a station shows pictures. Pictures go through
transformers' Pillow implementation on every machine, so that none of them sees other pixels than the rest.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from transformers import AutoTokenizer, MiniCPMV4_6Processor, MiniCPMV4_7Processor, PreTrainedTokenizerBase
from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import MiniCPMV4_6ImageProcessorPil
from transformers.processing_utils import ProcessorMixin

from inspector.core.frame import Image
from inspector.errors import CheckpointError
from inspector.settings import ImageTokens

_MARKERS = ("image", "video", "image_start", "image_end", "slice_start", "slice_end", "image_id_start", "image_id_end")
"""Tokens that the tokenizer of a MiniCPM-V names."""


class _Pictures46(MiniCPMV4_6Processor):
    """The 4.6 processor without video."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:  # noqa: ANN401 - transformers'
        """Do what the parent does, leaving out what concerns video."""
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)
        self.slice_mode = image_processor.slice_mode
        self.default_use_image_id = image_processor.use_image_id
        self.image_token_id, self.video_token_id = tokenizer.image_token_id, tokenizer.video_token_id
        for marker in _MARKERS:
            setattr(self, f"{marker}_token", getattr(tokenizer, f"{marker}_token"))


class _Pictures47(MiniCPMV4_7Processor):
    """The 4.7 processor without video."""

    __init__ = _Pictures46.__init__


class PictureProcessor:
    """Turns one picture and the text behind it into token ids, patches and their grids."""

    def __init__(self, folder: Path, model_type: str, image_tokens: ImageTokens, max_slices: int) -> None:
        """Load tokenizer and image processor. Raises ``CheckpointError`` if they do not belong to a MiniCPM-V."""
        try:
            self.tokenizer = cast("PreTrainedTokenizerBase", AutoTokenizer.from_pretrained(folder, local_files_only=True))
            images = MiniCPMV4_6ImageProcessorPil.from_pretrained(folder, local_files_only=True)
            kind = _Pictures46 if model_type == "minicpmv4_6" else _Pictures47
            self._processor = kind(images, self.tokenizer, chat_template=self.tokenizer.chat_template)
        except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{folder}: tokenizer and processor are not those of a MiniCPM-V ({error}); fetch the folder anew"
            ) from error
        self._mode = {"downsample_mode": image_tokens, "max_slice_nums": max_slices}

    def frame(self, image: Image, tail: str) -> "FrameInput":
        """Return one picture, (h, w, 3) uint8 RGB, with ``tail`` behind it. Raises ``ValueError`` for a picture that cannot be cut."""
        text = [self._processor.image_token + tail]
        found = self._processor(images=[Pillow.fromarray(np.asarray(image))], text=text, add_special_tokens=False, **self._mode)
        return FrameInput(found["input_ids"][0].numpy(), found["pixel_values"], found["target_sizes"])

    @property
    def slice_px(self) -> int:
        """Side of the square that a slice is brought to, pixels."""
        return int(self._processor.image_processor.scale_resolution)

    @property
    def patches_per_slot(self) -> int:
        """Patches along each side of an image slot."""
        return 2 if self._mode["downsample_mode"] == "4x" else 4

    def slicing(self, image: Image) -> tuple[int, int]:
        """Return the (rows, columns) of slices that stand beside the whole picture; (0, 0) if there are none."""
        pictures = self._processor.image_processor
        if not pictures.slice_mode:
            return 0, 0
        rows, columns = pictures.get_sliced_grid(image.shape[:2], self._mode["max_slice_nums"], pictures.scale_resolution) or (0, 0)
        return rows, columns


class FrameInput:
    """What the model gets of one picture. T tokens, n slices, N patches in all."""

    def __init__(self, ids: NDArray[np.int64], patches: torch.Tensor, grids: torch.Tensor) -> None:
        """Keep token ids (T,), patches (1, 3, patch, N * patch) and the grids (n, 2) of rows and columns in patches."""
        self.ids, self.patches, self.grids = ids, patches, grids

    @property
    def layout(self) -> bytes:
        """Frames of one layout have the same tokens and the same grids, so they go through the model side by side without padding."""
        return self.ids.tobytes() + self.grids.numpy().tobytes()
