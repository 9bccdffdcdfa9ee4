"""LabelTrie: a closed vocabulary as token sequences that end in a stop token, and the exact posterior over it.

The posterior of a label is the product, over the nodes on its way through the trie, of the model's probability of the next token
*renormalised over that node's children*. A node with one child contributes the factor 1, so only branching nodes need the model.
A label that is a prefix of another is told apart by the stop token, which is a child like any other. There is no length
normalisation: the posterior sums to 1 by construction. (Locally renormalised constrained decoding, as in De Cao et al. 2021,
"Autoregressive Entity Retrieval", arXiv 2010.00904, section 3.2.)

All branching nodes are read in ONE forward pass: the tokens that lead to them are appended to the prompt as a tree, each token
attending to the prompt and to its own ancestors alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inspector.errors import CheckpointError


class LabelTrie:
    """The trie of one label set. A single label has no branching node: its probability is 1 and the model is not asked.

    Attributes (N branching nodes, T tree tokens, E edges out of branching nodes, K labels):

    - ``labels``: the K label names, in order.
    - ``tree_tokens`` (T,) int64: tokens to append to the prompt so that every branching node is read.
    - ``tree_parents`` (T,) int64: position in the tree of each token's parent, -1 for the prompt's last token.
    - ``tree_depths`` (T,) int64: distance from the prompt's last token, 1 or more.
    - ``nodes`` (N,) int64: tree position whose hidden state decides at each branching node, -1 for the prompt's last token.
    - ``edge_nodes`` (E,) int64: which branching node an edge leaves. ``edge_tokens`` (E,) int64: its token.
    - ``paths`` (K, E) bool: the edges on each label's way.
    """

    def __init__(self, sequences: Mapping[str, Sequence[int]], stop: int) -> None:
        """Build the trie. Raises ``CheckpointError`` for an empty, doubled or stop-carrying token sequence."""
        self.labels = tuple(sequences)
        self.sequences = _closed(sequences, stop)
        children: dict[tuple[int, ...], list[int]] = {}
        for way in self.sequences.values():
            for depth, token in enumerate(way):
                following = children.setdefault(way[:depth], [])
                if token not in following:
                    following.append(token)
        branching = [prefix for prefix, tokens in children.items() if len(tokens) > 1]
        needed = sorted({prefix[:depth] for prefix in branching for depth in range(1, len(prefix) + 1)}, key=lambda p: (len(p), p))
        position = {prefix: index for index, prefix in enumerate(needed)}
        self.tree_tokens = np.array([prefix[-1] for prefix in needed], np.int64)
        self.tree_parents = np.array([position.get(prefix[:-1], -1) for prefix in needed], np.int64)
        self.tree_depths = np.array([len(prefix) for prefix in needed], np.int64)
        self.nodes = np.array([position.get(prefix, -1) for prefix in branching], np.int64)
        edges = [(node, prefix, token) for node, prefix in enumerate(branching) for token in children[prefix]]
        self.edge_nodes = np.array([node for node, _, _ in edges], np.int64)
        self.edge_tokens = np.array([token for _, _, token in edges], np.int64)
        self.paths = np.array(
            [[way[: len(prefix) + 1] == (*prefix, token) for _, prefix, token in edges] for way in self.sequences.values()], bool
        ).reshape(len(self.labels), len(edges))

    def tree_mask(self) -> NDArray[np.bool_]:
        """Return (T, T): True where tree token i may attend tree token j, that is to itself and its ancestors."""
        mask = np.eye(len(self.tree_tokens), dtype=bool)
        for index, parent in enumerate(self.tree_parents):
            if parent >= 0:
                mask[index] |= mask[parent]
        return mask

    def posterior(self, edge_logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (..., K) probabilities from (..., E) logits of the edges' tokens at their nodes; they sum to 1.

        Raises ``ValueError`` if a logit is not finite: a broken forward pass must not become a verdict.
        """
        logits = np.asarray(edge_logits, np.float64)
        if not np.isfinite(logits).all():
            raise ValueError("the model returned a logit that is not finite")
        log_p = np.empty_like(logits)
        for node in range(len(self.nodes)):
            edges = self.edge_nodes == node
            x = logits[..., edges]
            x = x - x.max(-1, keepdims=True)
            log_p[..., edges] = x - np.log(np.exp(x).sum(-1, keepdims=True))
        joint: NDArray[np.float64] = np.exp(log_p @ self.paths.T.astype(np.float64))
        return np.asarray(joint / joint.sum(-1, keepdims=True))


def frame_layout(trie: LabelTrie, trunk: int, prefix: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return positions (T,) and the additive mask (T, P + T) of one frame's pass: ``trunk`` tokens, then the label tree.

    The trunk (image slots and tail text) is causal; a tree token sees the prefix, the trunk and its own ancestors.
    """
    tree = len(trie.tree_tokens)
    positions = np.concatenate([np.arange(trunk), trunk - 1 + trie.tree_depths]).astype(np.int64) + prefix
    allowed = np.ones((trunk + tree, prefix + trunk + tree), bool)
    allowed[:trunk, prefix:] = np.tril(np.ones((trunk, trunk + tree), bool))
    allowed[trunk:, prefix + trunk :] = trie.tree_mask()
    return positions, additive(allowed)


def additive(allowed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a mask to add to attention scores: 0 where looking is allowed, a large negative number elsewhere."""
    return np.where(allowed, np.float32(0.0), np.float32(-1e9))


def _closed(sequences: Mapping[str, Sequence[int]], stop: int) -> dict[str, tuple[int, ...]]:
    """Return the sequences with the stop token appended, after checking them."""
    closed: dict[str, tuple[int, ...]] = {}
    for label, tokens in sequences.items():
        if not tokens:
            raise CheckpointError(f"label {label!r} has no tokens in this model's vocabulary; choose another wording")
        if stop in tokens:
            raise CheckpointError(f"label {label!r} contains the stop token; choose another wording")
        way = (*tokens, stop)
        twin = next((other for other, known in closed.items() if known == way), None)
        if twin is not None:
            raise CheckpointError(f"labels {twin!r} and {label!r} read the same to this model; choose another wording for one of them")
        closed[label] = way
    if not closed:
        raise CheckpointError("at least 1 label is needed, found 0")
    return closed
