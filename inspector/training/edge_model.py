"""``inspector-edge`` as a torch module: tower, merger, report projector and decoder, with the posterior that the daemon uses.

Layout of MiniCPM-V (arXiv 2408.01800; 4.6's merger: LayerNorm, 2x2 neighbours concatenated, two-layer MLP), other weights.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from inspector.training.decoder import Decoder, causal_bias
from inspector.training.learner import Learner
from inspector.training.tower import Trunk, Upper
from inspector.vlm.prompt import Prompt
from inspector.vlm.report_projector import ReportProjector
from inspector.vlm.trie import LabelTrie, frame_layout


class Merger(nn.Module):
    """Features at strides 8, 16 and 32 to image slots: one slot for each 2x2 neighbourhood at stride 32.

    The stride-8 features come in through a branch that starts at zero: the coarse features learn first, the fine ones add to them.
    """

    def __init__(self, inner: int, width: int, embedding_rms: float) -> None:
        """Build the MLP; its output starts at the scale of the language model's own embeddings."""
        super().__init__()
        coarse, fine = 4 * (4 * Trunk.deep_channels + Upper.channels), 16 * (Trunk.channels - Trunk.deep_channels)
        self.norm = nn.LayerNorm(coarse)
        self.inner = nn.Linear(coarse, inner)
        self.fine_norm = nn.LayerNorm(fine)
        self.fine = nn.Linear(fine, inner, bias=False)
        self.outer = nn.Linear(inner, width)
        self.scale = nn.LayerNorm(width)
        nn.init.zeros_(self.fine.weight)
        nn.init.constant_(self.scale.weight, embedding_rms)

    def forward(self, stride_16: torch.Tensor, stride_32: torch.Tensor) -> torch.Tensor:
        """(B, 272, 2h, 2w) and (B, 320, h, w) -> (B, h * w / 4, D), row by row."""
        deep, fine = stride_16[:, : Trunk.deep_channels], stride_16[:, Trunk.deep_channels :]
        coarse = torch.cat([functional.pixel_unshuffle(deep, 2), stride_32], 1)  # (B, 768, h, w)
        inner = self.inner(self.norm(_cells(coarse, 2))) + self.fine(self.fine_norm(_cells(fine, 4)))  # (B, h * w / 4, inner)
        return self.scale(self.outer(functional.gelu(inner)))


def _cells(features: torch.Tensor, side: int) -> torch.Tensor:
    """(B, C, H, W) -> (B, H * W / side^2, C * side^2): one row for each neighbourhood of side x side."""
    return functional.pixel_unshuffle(features, side).flatten(2).transpose(1, 2)


@dataclass(frozen=True, slots=True)
class Visit:
    """Pictures that share one static prefix: n pictures of one product, seen with the same reports."""

    prompt: Prompt
    """The prompt with R report slots."""
    vectors: torch.Tensor
    """(R, 384) report vectors in slot order."""
    stride_16: torch.Tensor | None
    """(n, 272, h, w) features, or (n, S, S, 3) uint8 pixels for a plain classifier whose trunk learns; None leaves the image slots out, so
    that the model must read the reports."""
    targets: torch.Tensor
    """(n,) index of the true label."""
    beliefs: torch.Tensor | None = None
    """(n, K) probabilities that a teacher gave the labels; None where the true label is known."""
    kept: torch.Tensor | None = None
    """(n, 272) factors of the trunk's channels: 0 for those left out, or None."""
    prior: torch.Tensor | None = None
    """(K,) what the reports alone say about the label, 1 in sum, or None where that is not known."""


class VisitLearner(Learner):
    """What learns labels from visits."""

    @abstractmethod
    def log_posterior(self, visit: Visit) -> torch.Tensor:
        """Return (n, K) log-probabilities of the labels, differentiable."""

    def loss(self, visits: Sequence[Visit], smoothing: float) -> torch.Tensor:
        """Return the mean cross-entropy over all pictures of all visits, with label smoothing; against beliefs as they are.

        Against a teacher's beliefs it is that of Hinton et al. 2015 (arXiv 1503.02531) at temperature 1.
        """
        losses = []
        for visit in visits:
            log_p = self.log_posterior(visit)
            if visit.beliefs is not None:
                losses.append(-(visit.beliefs * log_p.clamp(min=-20)).sum(1))
                continue
            true = log_p.gather(1, visit.targets[:, None])[:, 0]
            losses.append(-(1 - smoothing) * true - smoothing * log_p.clamp(min=-20).mean(1))
        return torch.cat(losses).mean()


class EdgeModel(VisitLearner):
    """All learning parts of inspector-edge. The trunk stands outside and frozen."""

    embedding: torch.Tensor

    def __init__(
        self, upper: Upper, decoder: Decoder, embedding: torch.Tensor, *, merger_inner: int = 1152, report_width: int = 384
    ) -> None:
        """Join the parts; ``embedding`` (V, D) is the frozen table of the cut vocabulary."""
        super().__init__()
        rms = float(embedding.pow(2).mean().sqrt())
        width = decoder.shape.width
        self.upper, self.decoder = upper, decoder
        self.merger = Merger(merger_inner, width, rms)
        self.projector = ReportProjector(report_width, width, rms)
        self.register_buffer("embedding", embedding)
        self.logit_scale = nn.Parameter(torch.tensor(-1.5))  # exp(-1.5): label logits start tame

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return language model and upper tower, then merger and projector, which learn three times as fast."""
        slow = [*self.decoder.parameters(), *self.upper.parameters()]
        return [(slow, 1.0), ([*self.merger.parameters(), *self.projector.parameters(), self.logit_scale], 3.0)]

    def image_slots(self, stride_16: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 272, h, w) -> (B, I, D). ``kept`` (B, 272) scales the channels."""
        if kept is not None:
            stride_16 = stride_16 * kept[:, :, None, None]
        return self.merger(stride_16, self.upper(stride_16))

    def prefix(self, prompt: Prompt, vectors: torch.Tensor) -> torch.Tensor:
        """Return the static prefix's keys and values (L, 2, 1, G, P, d)."""
        ids = torch.from_numpy(prompt.prefix_ids)
        embeds = self.embedding[ids.clamp(min=0)]
        if len(prompt.slots):
            embeds = embeds.index_copy(0, torch.from_numpy(prompt.slots), self.projector(vectors))
        length = len(ids)
        _, past = self.decoder(embeds[None], torch.arange(length), causal_bias(length, 0), self.decoder.empty_past())
        return past

    def hidden(self, visit: Visit) -> torch.Tensor:
        """Return the hidden states (n, N, D) at the trie's branching nodes for every picture of a visit."""
        past = self.prefix(visit.prompt, visit.vectors)
        before = self.embedding[torch.from_numpy(visit.prompt.tail_ids)][None]
        if visit.stride_16 is None:  # without pictures all of a visit's answers are one: it is worked out once
            return self.nodes(visit.prompt.trie, past, before).expand(len(visit.targets), -1, -1)
        slots = self.image_slots(visit.stride_16, visit.kept)
        return self.nodes(visit.prompt.trie, past, torch.cat([slots, before.expand(len(slots), -1, -1)], 1))

    def nodes(self, trie: LabelTrie, past: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Return the hidden states (n, N, D) at the trie's branching nodes behind ``before`` (n, T, D) and ``past`` (L, 2, 1, G, P, d)."""
        tree = self.embedding[torch.from_numpy(trie.tree_tokens)]
        embeds = torch.cat([before, tree.expand(len(before), -1, -1)], 1)
        trunk = before.shape[1]
        positions, bias = frame_layout(trie, trunk, past.shape[-2])
        hidden, _ = self.decoder(embeds, torch.from_numpy(positions), torch.from_numpy(bias), past)
        return hidden[:, torch.from_numpy(trie.nodes + trunk)]

    def read(self, trie: LabelTrie, past: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, E) of the trie's edges behind the embeddings ``before`` (n, T, D), behind ``past`` (L, 2, 1, G, P, d)."""
        return self.head(self.nodes(trie, past, before), trie)

    def head(self, nodes: torch.Tensor, trie: LabelTrie) -> torch.Tensor:
        """(n, N, D) hidden states of the branching nodes -> (n, E) logits of their edges."""
        rows = self.embedding[torch.from_numpy(trie.edge_tokens)] * self.logit_scale.exp()
        return (nodes[:, torch.from_numpy(trie.edge_nodes)] * rows).sum(-1)

    def log_posterior(self, visit: Visit, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """Return (n, K) log-probabilities of the labels: the daemon's own posterior, differentiable; ``hidden`` where it is known."""
        trie = visit.prompt.trie
        return along_paths(trie, self.head(self.hidden(visit) if hidden is None else hidden, trie))


def along_paths(trie: LabelTrie, logits: torch.Tensor) -> torch.Tensor:
    """Return (n, K) log-probabilities of the labels from the logits (n, E) of the trie's edges."""
    log_p = torch.cat([logits[:, torch.from_numpy(trie.edge_nodes == node)].log_softmax(-1) for node in range(len(trie.nodes))], -1)
    return log_p @ torch.from_numpy(trie.paths.T.astype(np.float32))
