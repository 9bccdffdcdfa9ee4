"""The prompt of a full MiniCPM-V: its own chat template around the same slots that the edge model has.

::

    <user> Product: {description}. Labels: {a, b}. Reports:[report slots | " none"]. Picture:[image slots]{question} <assistant>Verdict:
    `---------------------------- static prefix ---------------------------------'`-------------- frame ----------------'

The template is the checkpoint's. What it writes is cut at the picture and at the report slots, and each piece is tokenised by itself, so
that a report slot is one position whatever stands around it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from inspector.core.label import LabelSet
from inspector.errors import CheckpointError
from inspector.vlm.prompt import SLOT, label_trie
from inspector.vlm.trie import LabelTrie

_MARK = "\ue000"
"""Stands for a report slot in the template's text; a private character that no text may bring in."""
_QUESTION = "Which of the labels is right for this picture? Answer with one label."


@dataclass(frozen=True, slots=True)
class FullPrompt:
    """A prompt whose picture is not there yet. P prefix positions."""

    prefix_ids: NDArray[np.int64]
    """(P,) token ids of the static prefix, ``SLOT`` where a report goes."""
    tail: str
    """Text between the picture and the label."""
    trie: LabelTrie
    """The closed vocabulary that follows."""


def build_full_prompt(tokenizer: PreTrainedTokenizerBase, description: str, labels: LabelSet, reports: int) -> FullPrompt:
    """Return the prompt for a product and a number of reports. Raises ``CheckpointError`` if the chat template cannot carry it."""
    names = ", ".join(labels.spoken(name) for name in labels.names)
    slots = _MARK * reports or " none"
    text = f"Product: {_plain(tokenizer, description)}. Labels: {_plain(tokenizer, names)}. Reports:{slots}. Picture:"
    head, tail = _around_picture(tokenizer, text)
    first, *others = head.split(_MARK)
    prefix = _ids(tokenizer, first)
    for piece in others:
        prefix += [SLOT, *_ids(tokenizer, piece)]
    if len(others) != reports or not prefix:
        raise CheckpointError(f"{tokenizer.name_or_path}: the chat template does not put the text before the picture; it cannot be used")
    trie = label_trie(tokenizer.backend_tokenizer, labels)
    return FullPrompt(np.array(prefix, np.int64), f"{tail}Verdict:", trie)


def question_turns(tokenizer: PreTrainedTokenizerBase, known: str, question: str, *, has_picture: bool) -> tuple[str, str]:
    """Return what stands before and behind the picture when a question is asked; without a picture all of it is the first text.

    Raises ``CheckpointError`` if the chat template cannot carry it.
    """
    before, behind = _plain(tokenizer, known), _plain(tokenizer, question)
    if has_picture:
        return _around_picture(tokenizer, before, behind)
    return _written(tokenizer, [{"type": "text", "text": f"{before}{behind}"}]), ""


def _around_picture(tokenizer: PreTrainedTokenizerBase, text: str, question: str = _QUESTION) -> tuple[str, str]:
    """Return what the chat template writes before and after the picture."""
    head, *tail = _written(tokenizer, [{"type": "text", "text": text}, {"type": "image"}, {"type": "text", "text": question}]).split(
        tokenizer.image_token
    )
    if len(tail) != 1:
        raise CheckpointError(f"{tokenizer.name_or_path}: the chat template shows the picture {len(tail)} times instead of once")
    return head, tail[0]


def _written(tokenizer: PreTrainedTokenizerBase, content: Any) -> str:  # noqa: ANN401 - transformers' message
    """Return what the chat template writes for a user's turn, up to where the assistant speaks."""
    try:
        return str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False, enable_thinking=False
            )
        )
    except Exception as error:  # a checkpoint's template raises what it likes
        raise CheckpointError(f"{tokenizer.name_or_path}: the chat template cannot be used: {error}") from error


def _plain(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Return a text without the model's control tokens: a product's description may not open or close a turn."""
    for token in (*tokenizer.get_added_vocab(), _MARK):
        text = text.replace(token, "")
    return text


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
