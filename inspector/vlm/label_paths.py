"""The label trie as plain sequences, for language models that cannot read a tree: linear attention carries a state from token to token.

L paths lead to the tree tokens that no other tree token continues; together they pass through all of them. T tree tokens, d depth.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.vlm.trie import LabelTrie


@dataclass(frozen=True, slots=True)
class LabelPaths:
    """The paths of a trie, and where on them each tree token is read."""

    tokens: NDArray[np.int64]
    """(L, d) tokens from the prompt's end on, filled up on the right, where a causal model does not look."""
    ways: NDArray[np.int64]
    """(T,) a path on which the tree token lies."""
    depths: NDArray[np.int64]
    """(T,) its place on that path, from 0."""


def label_paths(trie: LabelTrie) -> LabelPaths:
    """Return the paths of a trie; none if only the first token of a label has to be decided."""
    ancestry = [_ancestry(trie, index) for index in range(len(trie.tree_tokens))]
    ends = [index for index in range(len(trie.tree_tokens)) if index not in trie.tree_parents]
    depth = max((len(ancestry[end]) for end in ends), default=0)
    tokens = np.zeros((len(ends), depth), np.int64)
    ways = np.zeros(len(ancestry), np.int64)
    for way, end in enumerate(ends):
        tokens[way, : len(ancestry[end])] = trie.tree_tokens[ancestry[end]]
        ways[ancestry[end]] = way
    return LabelPaths(tokens, ways, trie.tree_depths - 1)


def _ancestry(trie: LabelTrie, index: int) -> list[int]:
    """Return a tree token's ancestors and itself, first to last."""
    parent = int(trie.tree_parents[index])
    return [*(_ancestry(trie, parent) if parent >= 0 else []), index]


def choices_on_way(trie: LabelTrie, label: str) -> Iterator[tuple[int, NDArray[np.int64], int]]:
    """Yield for each branching node on a label's way: label tokens before it, its edges, and which of them is the label's."""
    way = trie.paths[trie.labels.index(label)]
    for node, place in enumerate(trie.nodes):
        edges = np.flatnonzero(trie.edge_nodes == node)
        if way[edges].any():
            yield int(trie.tree_depths[place]) if place >= 0 else 0, edges, int(way[edges].argmax())
