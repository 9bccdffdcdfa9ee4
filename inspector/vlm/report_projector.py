"""ReportProjector: one past QC report, as a sentence embedding, becomes one soft token of the language model. One class for all models.

For a full MiniCPM-V it lies beside the checkpoint as ``reports.safetensors``, whose metadata name the report encoder that it has learnt
to read. R reports, d width of a report vector, D width of the language model.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional


class ReportProjector(nn.Module):
    """Sentence embedding to one soft token (xRAG, arXiv 2405.13792).

    The embeddings are centred and scaled to unit variance first, and the last layer has no bias: otherwise a bias larger than the signal
    of a unit vector makes all reports look alike.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, inputs: int, width: int, embedding_rms: float) -> None:
        """Build the MLP; ``mean`` and ``deviation`` (inputs,) are set from the training reports."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.inner = nn.Linear(inputs, width)
        self.outer = nn.Linear(width, width, bias=False)
        self.scale = nn.LayerNorm(width)
        nn.init.constant_(self.scale.weight, embedding_rms)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """(R, d) unit vectors -> (R, D)."""
        spread = (vectors - self.mean) / self.deviation
        return self.scale(self.outer(functional.gelu(self.inner(spread))))


def save_projector(path: Path, projector: ReportProjector, encoder: str) -> None:
    """Write a projector; ``encoder`` is the ``name@hash`` of the report encoder whose vectors it was trained on."""
    tensors = {name: tensor.detach().float().contiguous() for name, tensor in projector.state_dict().items()}
    save_file(tensors, path, metadata={"format": "1", "encoder": encoder})


def load_projector(path: Path, inputs: int, width: int) -> ReportProjector:
    """Read a projector from (inputs,) to (width,). The sizes were checked when the checkpoint was opened."""
    projector = ReportProjector(inputs, width, 1.0)
    projector.load_state_dict(load_file(path))
    return projector.eval()
