"""A report projector that begins by naming labels: what a past report says of the part goes into the prompt as the label's own words.

A report's vector tells its label almost perfectly to a linear reader, in wordings that it has never seen; the projector of a model that
was taught another product does not know these labels, and learning them through the language model alone takes hundreds of steps. So some
of its hidden units, those that mattered least, are given over to the labels: each answers to reports of one label (ridge regression, Hoerl
and Kennard 1970) and writes that label's word embeddings into the report's slot. From there training goes on as before.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inspector.vlm.report_projector import ReportProjector

_RIDGE = 10.0
"""Penalty on the reader's weights, in reports."""
_SURE = 3.0
"""Input of a unit for a report of its label; for one of another label it is minus that, which GELU makes nothing of."""
_LOUD = 3.0
"""How much louder the label's words are than the rest of a report's slot."""


def label_words(tokenizer: Tokenizer, names: Sequence[str], embedding: torch.Tensor) -> torch.Tensor:
    """Return (K, D) one direction for each label: the mean embedding of its tokens, without what all labels share, of mean square 1."""
    rows = torch.stack([embedding[tokenizer.encode(name, add_special_tokens=False).ids].mean(0) for name in names])
    own = rows - rows.mean(0)
    return own / own.pow(2).mean(1, keepdim=True).sqrt().clamp(min=1e-6)


@torch.no_grad()
def speak_of_labels(projector: ReportProjector, words: torch.Tensor, vectors: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
    """Give the least used hidden units of ``projector`` over to the labels, in place.

    ``words`` (K, D) are what to say for each label, ``vectors`` (n, d) reports to learn from, ``targets`` (n,) their labels' indices.
    """
    spread = (torch.from_numpy(vectors) - projector.mean) / projector.deviation  # (n, d)
    hidden = torch.nn.functional.gelu(projector.inner(spread))  # (n, H)
    loudness = hidden.pow(2).mean(0).sqrt() * projector.outer.weight.norm(dim=0)
    units = loudness.argsort()[: len(words)]
    projector.outer.weight[:, units] = 0.0
    usual = (hidden @ projector.outer.weight.T).pow(2).mean().sqrt()  # of a slot's entries, before they are scaled
    weights, bias = _readers(spread, torch.from_numpy(targets), len(words))
    projector.inner.weight[units], projector.inner.bias[units] = weights, bias
    projector.outer.weight[:, units] = words.T * (_LOUD * usual.clamp(min=1e-6) / _SURE)


def _readers(spread: torch.Tensor, targets: torch.Tensor, labels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (K, d) weights and (K,) biases of linear readers that answer ``_SURE`` for reports of their label, minus that for others."""
    wanted = _SURE * (2.0 * torch.nn.functional.one_hot(targets, labels).double() - 1.0)
    middle, level = spread.double().mean(0), wanted.mean(0)
    inputs = spread.double() - middle
    weights = torch.linalg.solve(
        inputs.T @ inputs + _RIDGE * torch.eye(inputs.shape[1], dtype=torch.float64), inputs.T @ (wanted - level)
    ).T
    return weights.float(), (level - weights @ middle).float()
