"""The closed vocabulary: whatever the model says, the answer is a label, and the posterior is the exact one."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM

from inspector.errors import CheckpointError
from inspector.vlm.trie import LabelTrie, frame_layout

STOP = 0
VOCABULARY = 12

sequences = st.lists(st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=4).map(tuple), min_size=2, max_size=8, unique=True).map(
    lambda ways: {f"label{index}": way for index, way in enumerate(ways)}
)


def brute_force(labels: dict[str, tuple[int, ...]], logits_after: Callable[[tuple[int, ...]], NDArray[np.float64]]) -> dict[str, float]:
    """Walk every label's way; at every node renormalise over the tokens that some label continues with."""
    ways = {name: (*way, STOP) for name, way in labels.items()}
    result = {}
    for name, way in ways.items():
        p = 1.0
        for depth, token in enumerate(way):
            children = sorted({other[depth] for other in ways.values() if other[:depth] == way[:depth] and len(other) > depth})
            x = np.exp(logits_after(way[:depth])[children])
            p *= float(x[children.index(token)] / x.sum())
        result[name] = p
    return result


def node_prefix(trie: LabelTrie, node: int) -> tuple[int, ...]:
    """Return the tokens that lead to a branching node."""
    place, tokens = int(trie.nodes[node]), []
    while place >= 0:
        tokens.append(int(trie.tree_tokens[place]))
        place = int(trie.tree_parents[place])
    return tuple(reversed(tokens))


@given(sequences, st.integers(0, 2**32 - 1))
def test_the_posterior_sums_to_one_and_equals_brute_force_over_all_label_sequences(labels: dict[str, tuple[int, ...]], seed: int) -> None:
    trie = LabelTrie(labels, STOP)
    tables: dict[tuple[int, ...], NDArray[np.float64]] = {}

    def logits_after(prefix: tuple[int, ...]) -> NDArray[np.float64]:
        if prefix not in tables:
            tables[prefix] = np.random.default_rng([seed, *prefix]).normal(0, 5, VOCABULARY)
        return tables[prefix]

    edges = np.array([logits_after(node_prefix(trie, n))[t] for n, t in zip(trie.edge_nodes, trie.edge_tokens, strict=True)], np.float32)
    posterior = trie.posterior(edges)
    expected = brute_force(labels, lambda prefix: logits_after(prefix).astype(np.float32).astype(np.float64))
    assert posterior.sum() == pytest.approx(1.0, abs=1e-12)
    assert dict(zip(trie.labels, posterior, strict=True)) == pytest.approx(expected, abs=1e-6)


@given(sequences, st.integers(0, 2**32 - 1), st.floats(0.01, 1e4))
def test_for_any_logits_the_answer_is_a_label_with_a_finite_probability(
    labels: dict[str, tuple[int, ...]], seed: int, scale: float
) -> None:
    trie = LabelTrie(labels, STOP)
    posterior = trie.posterior(np.random.default_rng(seed).normal(0, scale, (3, len(trie.edge_tokens))).astype(np.float32))
    assert posterior.shape == (3, len(labels))
    assert np.isfinite(posterior).all()
    assert ((posterior >= 0) & (posterior <= 1 + 1e-12)).all()
    assert all(trie.labels[int(row.argmax())] in labels for row in posterior)


def test_a_label_that_is_a_prefix_of_another_is_told_apart_by_the_stop_token() -> None:
    trie = LabelTrie({"scale": (3,), "scale pit": (3, 4)}, STOP)
    assert sorted(trie.edge_tokens) == [STOP, 4]
    stop_first = np.where(trie.edge_tokens == STOP, 5.0, -5.0).astype(np.float32)
    assert trie.labels[int(trie.posterior(stop_first).argmax())] == "scale"
    assert trie.labels[int(trie.posterior(-stop_first).argmax())] == "scale pit"


def test_one_forward_pass_is_enough_because_the_tree_holds_only_the_ways_to_branching_nodes() -> None:
    trie = LabelTrie({"red iron": (5, 6), "oxide plate": (7, 8, 9), "oxide temperature": (7, 8, 10)}, STOP)
    assert trie.tree_tokens.tolist() == [7, 8]
    assert trie.tree_parents.tolist() == [-1, 0]
    assert trie.nodes.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"a": (), "b": (1,)}, "has no tokens"),
        ({"a": (1,), "b": (1,)}, "read the same"),
        ({"a": (1, STOP), "b": (1,)}, "contains the stop token"),
        ({}, "at least 1 label"),
    ],
)
def test_a_vocabulary_that_cannot_be_decoded_is_refused_with_the_reason(labels: dict[str, tuple[int, ...]], expected: str) -> None:
    with pytest.raises(CheckpointError, match=expected):
        LabelTrie(labels, STOP)


def test_a_logit_that_is_not_finite_is_an_error_and_never_a_verdict() -> None:
    trie = LabelTrie({"a": (1,), "b": (2,)}, STOP)
    with pytest.raises(ValueError, match="not finite"):
        trie.posterior(np.array([np.nan, 0.0], np.float32))


def test_a_tree_token_sees_prefix_trunk_and_its_own_ancestors_alone() -> None:
    trie = LabelTrie({"ab": (1, 2), "ac": (1, 3), "de": (4, 5), "df": (4, 6)}, STOP)
    positions, bias = frame_layout(trie, trunk=2, prefix=3)
    seen = bias == 0
    assert trie.tree_tokens.tolist() == [1, 4]
    assert positions.tolist() == [3, 4, 5, 5]
    assert seen.tolist() == [
        [True, True, True, True, False, False, False],
        [True, True, True, True, True, False, False],
        [True, True, True, True, True, True, False],
        [True, True, True, True, True, False, True],
    ]


@pytest.mark.parametrize("seed", range(6))
def test_transformers_constrained_generate_gives_the_argmax_label(seed: int) -> None:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        initializer_range=0.5, bos_token_id=1, eos_token_id=STOP, pad_token_id=STOP,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    labels = {"red": (2,), "red iron": (2, 3), "oxide plate": (4, 5, 6), "oxide heat": (4, 5, 7), "slag": (8, 9)}
    trie = LabelTrie(labels, STOP)
    prompt = torch.tensor([[1, 10, 11]])
    ways = [(*way, STOP) for way in trie.sequences.values()]

    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        said = tuple(ids[prompt.shape[1] :].tolist())
        return sorted({way[len(said)] for way in trie.sequences.values() if way[: len(said)] == said and len(way) > len(said)}) or [STOP]

    with torch.inference_mode():
        generated = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), prefix_allowed_tokens_fn=allowed, num_beams=len(labels), do_sample=False,
            renormalize_logits=True, length_penalty=0.0, max_new_tokens=6, early_stopping=False,
        )  # fmt: skip

        def logits_after(prefix: tuple[int, ...]) -> NDArray[np.float64]:
            ids = torch.cat([prompt, torch.tensor([prefix], dtype=torch.long)], 1)
            return model(ids).logits[0, -1].double().numpy()

        edges = np.array([logits_after(node_prefix(trie, n))[t] for n, t in zip(trie.edge_nodes, trie.edge_tokens, strict=True)])
    answer = tuple(generated[0, prompt.shape[1] :].tolist())
    said = next(name for name, way in trie.sequences.items() if answer[: len(way)] == way)
    assert len(ways) == 5
    assert said == trie.labels[int(trie.posterior(edges.astype(np.float32)).argmax())]
