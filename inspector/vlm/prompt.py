"""The prompt: text, report slots and image slots in their order. One place for training and inference.

::

    Product: {description}. Labels: {a, b, c}. Reports:[report slots | " none"]. Picture:[image slots] Verdict:
    `------------------------ static prefix -----------------------------------'`--------- frame ---------'

The static prefix depends on the product, its labels and the reports alone, so its key-value cache serves every frame until one of them
changes. Report slots stand in the order in which the reports were written, oldest first. The station's name is not read by the model:
renaming a station must not change a verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inspector.core.label import LabelSet
from inspector.errors import CheckpointError
from inspector.vlm.trie import LabelTrie

STOP = "<|im_end|>"
"""The stop token that closes every label."""
SLOT = -1
"""Stands in ``prefix_ids`` where a report's embedding goes."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in tokens. P prefix positions, R report slots."""

    prefix_ids: NDArray[np.int64]
    """(P,) token ids of the static prefix, ``SLOT`` where a report goes."""
    tail_ids: NDArray[np.int64]
    """Token ids between the image slots and the label."""
    trie: LabelTrie
    """The closed vocabulary that follows."""

    @property
    def slots(self) -> NDArray[np.int64]:
        """(R,) positions of the report slots in the prefix."""
        return np.flatnonzero(self.prefix_ids == SLOT)


def build_prompt(tokenizer: Tokenizer, description: str, labels: LabelSet, reports: int) -> Prompt:
    """Return the prompt for a product and a number of reports."""
    names = ", ".join(labels.spoken(name) for name in labels.names)
    prefix = _ids(tokenizer, f"Product: {description}. Labels: {names}. Reports:")
    prefix += [SLOT] * reports if reports else _ids(tokenizer, " none")
    prefix += _ids(tokenizer, ". Picture:")
    return Prompt(np.array(prefix, np.int64), np.array(_ids(tokenizer, " Verdict:"), np.int64), label_trie(tokenizer, labels))


def label_trie(tokenizer: Tokenizer, labels: LabelSet) -> LabelTrie:
    """Return the labels' trie. Raises ``CheckpointError`` for labels that this vocabulary cannot say or tell apart."""
    stop = tokenizer.token_to_id(STOP)
    if stop is None:
        raise CheckpointError(f"the tokenizer has no stop token {STOP}: it does not belong to this model")
    return LabelTrie({name: label_ids(tokenizer, labels.spoken(name)) for name in labels.names}, stop)


def label_ids(tokenizer: Tokenizer, spoken: str) -> list[int]:
    """Return the tokens of a label. Raises ``CheckpointError`` if they do not read back as the label."""
    ids = _ids(tokenizer, f" {spoken}")
    if tokenizer.decode(ids) != f" {spoken}":
        raise CheckpointError(f"label {spoken!r} cannot be written in this model's vocabulary; choose another wording")
    return ids


def unspeakable(tokenizer: Tokenizer, names: Sequence[str]) -> list[str]:
    """Return one line for each label that cannot be tokenised."""
    faults = []
    labels = LabelSet(tuple(names))
    for name in names:
        try:
            label_ids(tokenizer, labels.spoken(name))
        except CheckpointError as error:
            faults.append(str(error))
    return faults


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids
