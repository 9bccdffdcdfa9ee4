"""What a layer of attention mixed into the verdict, and which way it pulled: more than the weights themselves can say.

A position's weight only scales what it has to give. What is mixed in is the weight times its value behind the output matrix, and the
length of that is its share (Kobayashi et al. 2020, arXiv 2004.10102): a position that heads look at because they need nothing has a large
weight and next to no value. Whether what was mixed in spoke for the label is told by its direction: its product with the gradient of the
label's log-odds, which is the weight times the gradient by the weight. At a verdict that is sure this gradient says little, so it is taken
along a way: from a verdict token that reads nothing to one that reads all, in all layers at once (Sundararajan et al. 2017, arXiv
1703.01365; for attention Hao et al. 2021, arXiv 2004.11207). So the pulls of all positions sum to what reading did to the log-odds. What
came by way of other positions counts as theirs.

S steps of the way, the first one reads nothing, the last one all; H heads, R rows that read (the verdict token, then the label's tokens
behind it), n positions, d head width, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

SCAN = torch.linspace(0.0, 1.0, 41) ** 2
"""Where the way is looked at first: closer together near its begin, where little that is read outweighs a token by itself."""
_NODES = 32
"""Steps between the first and the last."""
_EVEN = 0.25
"""Part of the steps that is spread evenly."""


def way(scanned: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (S,) how much of what is read each step lets through, from 0 to 1, and (S,) its part in the integral over the way.

    ``scanned`` are the log-odds at ``SCAN``: a verdict often tips within a small part of the way, and there most of the steps are made.
    Each stands in the middle of its part (midpoint rule); the first and the last step are looked at and are no part of the integral.
    """
    changes = scanned.diff().abs().double().numpy()
    widths = SCAN.diff().double().numpy()
    changes += (_EVEN / (1 - _EVEN) * changes.sum() + 1e-9) * widths
    reached = np.concatenate([[0.0], np.cumsum(changes)]) / changes.sum()
    edges = np.interp(np.linspace(0.0, 1.0, 2 * _NODES + 1), reached, SCAN.double().numpy())
    factors, along = [0.0, *edges[1::2], 1.0], [0.0, *np.diff(edges[::2]), 0.0]
    return torch.tensor(factors, dtype=torch.float32), torch.tensor(along, dtype=torch.float32)


def let_through(handed: torch.Tensor, factors: torch.Tensor, heard: list[torch.Tensor]) -> torch.Tensor:
    """Return ``factors`` (S,) of what the heads hand over (S, R, H * d), noted for gradients."""
    read = handed * factors[:, None, None].to(handed)
    if torch.is_grad_enabled() and not read.requires_grad:  # where no gradient came in before, they begin here
        read.requires_grad_()
    heard.append(read)
    return read


@dataclass(frozen=True, slots=True)
class LayerRead:
    """What one layer read on each step of the way. All float32."""

    weights: torch.Tensor
    """(S, H, R, n) attention weights."""
    values: torch.Tensor
    """(S, H, n, d) values, those of a group of heads repeated."""
    output: torch.Tensor
    """(D, H, d) output matrix."""
    gradient: torch.Tensor
    """(S, R, H, d) gradient of the label's log-odds by what the step lets through to the output matrix."""
    gates: torch.Tensor | None = None
    """(S, R, H, d) factors on what the heads hand over, where a model has them."""

    def lengths(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (H, n) and (n,): lengths of what the first row gets from each position, by head and by all heads together."""
        scaled = self.output if self.gates is None else self.output * self.gates[-1, 0]  # (D, H, d)
        together = torch.zeros(self.values.shape[2], self.output.shape[0])  # (n, D)
        each = []
        for head in range(self.values.shape[1]):
            given = self.weights[-1, head, 0, :, None] * (self.values[-1, head] @ scaled[:, head].T)  # (n, D)
            together += given
            each.append(given.norm(dim=-1))
        return torch.stack(each), together.norm(dim=-1)

    def pulls(self, along: torch.Tensor) -> torch.Tensor:
        """Return (H, n): what each position's part did to the label's log-odds; ``along`` (S,) as of ``way``."""
        by_value = self.gradient if self.gates is None else self.gradient * self.gates  # (S, R, H, d)
        slopes = torch.einsum("srhd,shnd->shrn", by_value, self.values) * self.weights
        return torch.einsum("s,shrn->hn", along, slopes)


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
    """(L, H, n) what that did to the log-odds of the verdict's label; below 0 it spoke against the label."""


def parts_of(reads: Sequence[LayerRead], along: torch.Tensor, positions: int) -> Parts:
    """Return the parts of the first ``positions`` places, layer by layer; what is behind them, the label's own tokens, is left out."""
    with torch.no_grad():
        lengths = [read.lengths() for read in reads]
        return Parts(
            torch.stack([read.weights[-1, :, 0, :positions] for read in reads]).numpy(),
            shares(torch.stack([each[:, :positions] for each, _ in lengths])).numpy(),
            shares(torch.stack([together[:positions] for _, together in lengths])).numpy(),
            torch.stack([read.pulls(along)[:, :positions] for read in reads]).numpy(),
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
