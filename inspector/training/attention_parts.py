"""What a layer of attention mixed into the verdict, and which way it pulled: more than the weights themselves can say.

A position's weight only scales what it has to give. What is mixed in is the weight times its value behind the output matrix, and the
length of that is its part (Kobayashi et al. 2020, arXiv 2004.10102): a position that heads look at because they need nothing has a large
weight and next to no value. Whether what was mixed in spoke for the label is told by its direction: its product with the gradient of the
label's log-odds, which is the same as weight times the gradient of the weight (Chefer et al. 2021, arXiv 2012.09838). To first order that
is how far the log-odds would fall if just this had not been read here; what came by way of other positions is not in it.

H heads, R rows that read (the verdict token, then the label's tokens behind it), n positions, d head width, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LayerRead:
    """What one layer read. All float32."""

    weights: torch.Tensor
    """(H, R, n) attention weights."""
    values: torch.Tensor
    """(H, n, d) values, those of a group of heads repeated."""
    output: torch.Tensor
    """(D, H, d) output matrix."""
    gradient: torch.Tensor
    """(R, H, d) gradient of the label's log-odds by what the heads hand to the output matrix."""
    gates: torch.Tensor | None = None
    """(R, H, d) factors on what the heads hand over, where a model has them."""

    def lengths(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (H, n) and (n,): lengths of what the first row gets from each position, by head and by all heads together."""
        scaled = self.output if self.gates is None else self.output * self.gates[0]  # (D, H, d)
        together = torch.zeros(self.values.shape[1], self.output.shape[0])  # (n, D)
        each = []
        for head in range(len(self.values)):
            given = self.weights[head, 0, :, None] * (self.values[head] @ scaled[:, head].T)  # (n, D)
            together += given
            each.append(given.norm(dim=-1))
        return torch.stack(each), together.norm(dim=-1)

    def pulls(self) -> torch.Tensor:
        """Return (H, n): what each position's part did to the label's log-odds, to first order; the sum over all rows."""
        by_value = self.gradient if self.gates is None else self.gradient * self.gates  # (R, H, d)
        return torch.einsum("hrn,rhd,hnd->hn", self.weights, by_value, self.values)


@dataclass(frozen=True, slots=True)
class Parts:
    """What L layers mixed into the verdict token from each position."""

    weights: NDArray[np.float32]
    """(L, H, n) attention weights; each row sums to 1."""
    mixed_by_head: NDArray[np.float32]
    """(L, H, n) what each head mixed in from each position, as shares; each row sums to 1."""
    mixed: NDArray[np.float32]
    """(L, n) what all heads of a layer together mixed in, as shares; each row sums to 1."""
    pulls: NDArray[np.float32]
    """(L, H, n) what that did to the log-odds of the verdict's label, to first order; below 0 it spoke against the label."""


def parts_of(reads: Sequence[LayerRead], positions: int) -> Parts:
    """Return the parts of the first ``positions`` places, layer by layer; what is behind them, the label's own tokens, is left out."""
    with torch.no_grad():
        lengths = [read.lengths() for read in reads]
        return Parts(
            torch.stack([read.weights[:, 0, :positions] for read in reads]).numpy(),
            shares(torch.stack([each[:, :positions] for each, _ in lengths])).numpy(),
            shares(torch.stack([together[:positions] for _, together in lengths])).numpy(),
            torch.stack([read.pulls()[:, :positions] for read in reads]).numpy(),
        )


def shares(lengths: torch.Tensor) -> torch.Tensor:
    """Return lengths (..., n) as shares that sum to 1; alike everywhere if all are 0."""
    total = lengths.sum(-1, keepdim=True)
    return torch.where(total > 0, lengths / total.clamp(min=1e-30), torch.full_like(lengths, 1 / lengths.shape[-1]))


def log_odds(log_p: torch.Tensor, label: int) -> torch.Tensor:
    """Return a label's log-odds, log p - log(1 - p), from the (K,) log-probabilities of two labels or more."""
    return log_p[label] - torch.cat([log_p[:label], log_p[label + 1 :]]).logsumexp(0)


def log_odds_of_way(choices: list[tuple[torch.Tensor, int]]) -> torch.Tensor:
    """Return the log-odds of a label from the choices on its way through the trie: (E,) logits and the place of the right one, each.

    What is not the label leaves its way at one of the choices, so the probability of that is a sum over them.
    """
    before, left = torch.zeros(()), []
    for logits, right in choices:
        log_p = logits.log_softmax(0)
        left.append(before + torch.cat([log_p[:right], log_p[right + 1 :]]).logsumexp(0))
        before = before + log_p[right]
    return before - torch.stack(left).logsumexp(0)
