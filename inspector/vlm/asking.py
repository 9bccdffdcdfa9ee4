"""Questions to a full MiniCPM-V: fields decoded one by one under closed lists, then one free sentence.

::

    <user> {product, labels, reports as text}[picture]{question, what to fill in} <assistant>label: pitting
    place: left
    answer: yes
    sentence: ...

Each field's value is chosen by the label trie, so it cannot be anything but one of its list; what was chosen stays in the cache, so each
field is filled in with those before it in view. Without a picture the language model runs alone: the vision tower is not called.

T tokens, D width, V vocabulary.
"""

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from inspector.core.frame import Image
from inspector.core.reply import Field, Filled, Reply
from inspector.errors import PredictionError
from inspector.vlm.full_prompt import FullPrompt, question_turns
from inspector.vlm.picture_processor import FrameInput
from inspector.vlm.prompt import STOP, label_trie
from inspector.vlm.torch_predictor import TorchPredictor
from inspector.vlm.trie import LabelTrie


class AskedPredictor(TorchPredictor):
    """A full MiniCPM-V that also answers questions."""

    def ask(self, known: str, question: str, fields: Sequence[Field], *, image: Image | None = None, tokens: int = 40) -> Reply:
        """Return the reply to a question; ``known`` is what the model is told first, ``tokens`` the most that the sentence may take.

        Raises ``PredictionError`` if the model fails, and ``CheckpointError`` if a list cannot be written in its vocabulary.
        """
        tries = [label_trie(self.processor.tokenizer.backend_tokenizer, field.labels) for field in fields]
        lines = "".join(f"\n{field.name}: one of {', '.join(map(field.labels.spoken, field.choices))}" for field in fields)
        asked = f"\nQuestion: {question}\nFill in these lines:{lines}\nsentence: one short sentence"
        began_s = time.perf_counter()
        try:
            with torch.inference_mode():
                written = self._read_question(known, asked, image)
                read_s = time.perf_counter()
                filled = tuple(self._filled(written, field, trie) for field, trie in zip(fields, tries, strict=True))
                filled_s = time.perf_counter()
                sentence = self._sentence(written, tokens)
        except (ValueError, RuntimeError, ArithmeticError, AssertionError, OSError) as error:
            raise PredictionError(f"model {self.name} could not answer: {error}") from error
        seconds = {"read": read_s - began_s, "fields": filled_s - read_s, "sentence": time.perf_counter() - filled_s}
        return Reply(filled, sentence, {stage: 1e3 * spent for stage, spent in seconds.items()})

    def _read_question(self, known: str, asked: str, image: Image | None) -> "_Written":
        """Run everything up to where the assistant speaks through the language model."""
        head, tail = question_turns(self.processor.tokenizer, known, asked, has_picture=image is not None)
        before = self._ids(head)
        frame = None if image is None else self.processor.frame(image, tail)
        ids = torch.from_numpy(before if frame is None else np.concatenate([before, frame.ids]))[None].to(self.model.device)  # (1, T)
        embeds = self.model.get_input_embeddings()(ids)  # (1, T, D)
        if frame is not None:
            slots = self._vision.slots(frame.patches, frame.grids)
            embeds = embeds.masked_scatter(torch.eq(ids, self.model.config.image_token_id)[..., None], slots.to(embeds))
        cache = DynamicCache(config=self.model.config.text_config)
        positions = self._positions_of(ids, frame)
        written = _Written(cache, None if positions is None else int(positions.max()) + 1)
        written.last = self._run(embeds, positions, cache)[:, -1:]
        return written

    def _positions_of(self, ids: torch.Tensor, frame: FrameInput | None) -> torch.Tensor | None:
        """Return the positions (3, 1, T) of 4.7; None where they are simply counted."""
        if self.checkpoint.model_type != "minicpmv4_7":
            return None
        if frame is None:
            return torch.arange(ids.shape[1], device=ids.device).expand(3, 1, -1)
        is_image = torch.eq(ids, self.model.config.image_token_id).int()
        grids = frame.grids.to(ids.device)
        positions: torch.Tensor = self.model.model.get_rope_index(
            ids, mm_token_type_ids=is_image, target_sizes=grids, downsample_mode=self._mode
        )[0]
        return positions

    def _filled(self, written: "_Written", field: Field, trie: LabelTrie) -> Filled:
        """Write a field's name, read the posterior of its list there, and write the most probable choice behind it."""
        self._write(written, self._ids(f"{field.name}:"))
        logits = self._edges(written, trie)
        scores = dict(zip(trie.labels, map(float, trie.posterior(logits)), strict=True))
        filled = Filled(field, scores)
        self._write(written, np.concatenate([np.array(trie.sequences[filled.value][:-1], np.int64), self._ids("\n")]))
        return filled

    def _edges(self, written: "_Written", trie: LabelTrie) -> NDArray[np.float32]:
        """Return the (E,) logits of a trie's edges behind what is written."""
        prompt = FullPrompt(np.zeros(0, np.int64), "", trie)
        nodes = torch.cat([written.last, self._tree(prompt, written.cache, 1, written.following)], 1)[0]  # (1 + tree, D)
        rows = self._head[torch.from_numpy(trie.edge_tokens).to(nodes.device)].float()  # (E, D)
        at = torch.from_numpy(trie.nodes[trie.edge_nodes] + 1).to(nodes.device)  # (E,)
        logits: NDArray[np.float32] = (nodes[at].float() * rows).sum(-1).cpu().numpy()
        return logits

    def _sentence(self, written: "_Written", most: int) -> str:
        """Return what the model writes by itself, the likeliest token each time, up to the stop token, a new line or ``most`` tokens."""
        tokenizer = self.processor.tokenizer
        stop = tokenizer.convert_tokens_to_ids(STOP)
        control = torch.tensor([id_ for id_ in tokenizer.get_added_vocab().values() if id_ != stop])
        self._write(written, self._ids("sentence:"))
        said = list[int]()
        for _ in range(most):
            logits = (self._head.float() @ written.last[0, 0].float()).cpu()  # (V,)
            if not torch.isfinite(logits).all():
                raise ValueError("the model returned a logit that is not finite")
            logits[control] = -torch.inf
            logits[len(tokenizer) :] = -torch.inf
            token = int(logits.argmax())
            if token == stop or "\n" in tokenizer.decode([token]):
                break
            said.append(token)
            self._write(written, np.array([token], np.int64))
        return str(tokenizer.decode(said)).strip()

    def _write(self, written: "_Written", ids: NDArray[np.int64]) -> None:
        """Run (T,) tokens behind what is written."""
        tokens = torch.from_numpy(ids)[None].to(self.model.device)
        positions = None
        if written.following is not None:
            positions = torch.arange(written.following, written.following + len(ids), device=tokens.device).expand(3, 1, -1)
            written.following += len(ids)
        written.last = self._run(self.model.get_input_embeddings()(tokens), positions, written.cache)[:, -1:]

    def _ids(self, text: str) -> NDArray[np.int64]:
        return np.array(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"], np.int64)


class _Written:
    """What the language model has read and written so far."""

    def __init__(self, cache: DynamicCache, following: int | None) -> None:
        """Begin with a cache; ``following`` is the next position where positions are not simply counted."""
        self.cache, self.following = cache, following
        self.last = torch.empty(0)
        """(1, 1, D) hidden state of the last token."""
