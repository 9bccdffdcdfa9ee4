"""TorchPredictor: a full MiniCPM-V 4.6 or 4.7 behind the ``Predictor`` protocol, through transformers' own classes.

Past reports stand in report slots: positions with a stand-in token whose embedding is replaced by the projected report vector. The static
prefix is run once and its cache kept. Then a picture's slots and text are run, and the paths to the label trie's other branching nodes, if
there are any, from copies of the cache: linear-attention layers carry a state, so a tree of labels cannot be read in one pass.

B pictures of one layout, P prefix positions, T tokens of a frame, D width, L paths of at most d tokens, N branching nodes, E edges.
"""

import copy
import resource
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.errors import CheckpointError, PredictionError
from inspector.settings import ModelSection
from inspector.vlm.full_checkpoint import FullCheckpoint
from inspector.vlm.full_loading import FullModel, load_full
from inspector.vlm.full_prompt import FullPrompt, build_full_prompt
from inspector.vlm.label_paths import label_paths
from inspector.vlm.memory_plan import PREFIXES_KEPT
from inspector.vlm.picture_processor import FrameInput, PictureProcessor
from inspector.vlm.prompt import SLOT, label_trie
from inspector.vlm.report_projector import ReportProjector, load_projector
from inspector.vlm.vision_side import GraphVision, TorchVision, VisionSide, hold_against_torch


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A static prefix after its pass through the language model."""

    prompt: FullPrompt
    ids: torch.Tensor
    """(P,) token ids, a stand-in where a report goes."""
    cache: DynamicCache
    """Keys, values and states of one sequence; copied before use."""


class TorchPredictor:
    """Judges pictures with a full MiniCPM-V."""

    def __init__(self, checkpoint: FullCheckpoint, model: ModelSection) -> None:
        """Load processor, weights and report projector. Raises ``CheckpointError`` if one cannot be used or does not fit into memory."""
        torch.set_num_threads(model.threads)
        self.checkpoint = checkpoint
        self.name = f"{checkpoint.name}@{checkpoint.revision}"
        self.processor = PictureProcessor(checkpoint.folder, checkpoint.model_type, model.image_tokens, model.max_slices)
        self.model: FullModel = load_full(checkpoint, model)
        self._most = model.max_batch
        self._mode = model.image_tokens
        self._vision: VisionSide = TorchVision(self.model, self._mode)
        self.standing = ""
        if model.vision == "onnx":
            graph = GraphVision(checkpoint, model, self.model.config)
            told = hold_against_torch(graph, self._vision, self.processor, self.model.model.vision_tower.dtype)
            self._vision, self.standing = graph, told
        self._head = self.model.get_output_embeddings().weight  # (V, D)
        self._projector: ReportProjector | None = None
        if checkpoint.encoder:
            self._projector = load_projector(checkpoint.projector, checkpoint.report_width, self._head.shape[1]).to(self.model.device)
        self._prefixes: OrderedDict[object, _Prefix] = OrderedDict()
        self._try_out()

    def check_labels(self, products: Mapping[str, LabelSet]) -> None:
        """Raise ``CheckpointError`` if a product's labels cannot be written or told apart, or the chat template cannot carry them."""
        for name, labels in products.items():
            try:
                label_trie(self.processor.tokenizer.backend_tokenizer, labels)
            except CheckpointError as error:
                raise CheckpointError(f"products.{name}: {error}") from error
            build_full_prompt(self.processor.tokenizer, name, labels, 1)

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        """Judge (region name, (h, w, 3) uint8 RGB) pairs; return predictions in order and milliseconds by stage.

        Raises ``PredictionError`` if the model fails, runs out of memory or returns numbers that are not finite.
        """
        stages = {"prefill": 0.0, "vision": 0.0, "decode": 0.0}
        try:
            with torch.inference_mode():
                started = self._now()
                prefix = self._prefix(context)
                stages["prefill"] = self._now() - started
                logits = self.edge_logits(prefix, [image for _, image in images], stages)
                posterior = prefix.prompt.trie.posterior(logits.cpu().numpy())
        except (ValueError, RuntimeError, ArithmeticError, AssertionError, OSError) as error:  # torch.OutOfMemoryError is a RuntimeError
            raise PredictionError(f"model {self.name} could not judge {len(images)} region(s): {error}") from error
        ids = tuple(report.report_id for report in context.reports) if self._projector is not None else ()
        labels = prefix.prompt.trie.labels
        predictions = [
            Prediction(region, dict(zip(labels, map(float, row), strict=True)), ids, self.name)
            for (region, _), row in zip(images, posterior, strict=True)
        ]
        return predictions, {stage: 1e3 * seconds for stage, seconds in stages.items()}

    def _try_out(self) -> None:
        """Judge a grey picture before the first part comes. Raises ``CheckpointError`` if weights and machine do not go together."""
        read = Context("part", "part", LabelSet(("good", "defect")), (), np.zeros((0, self.checkpoint.report_width), np.float32))
        try:
            self.predict([("frame", np.full((64, 64, 3), 128, np.uint8))], read)
        except PredictionError as error:
            raise CheckpointError(f"{self.checkpoint.folder}: loads, but cannot judge a picture here: {error}") from error
        self._prefixes.clear()

    def free_text(self, image: Image, context: Context, tokens: int) -> str:
        """Return exactly so many tokens that the model writes after ``Verdict:`` without a closed list, by transformers' ``generate``."""
        with torch.inference_mode():
            prefix = self._prefix(context)
            frame = self.processor.frame(image, prefix.prompt.tail)
            ids = torch.cat([prefix.ids, torch.from_numpy(frame.ids).to(prefix.ids.device)])[None]  # (1, P + T)
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": frame.patches, "target_sizes": frame.grids}
            if self.checkpoint.model_type == "minicpmv4_7":
                inputs["mm_token_type_ids"] = torch.eq(ids, self.model.config.image_token_id).int()
            inputs = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
            written = self.model.generate(
                **inputs, downsample_mode=self._mode, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False
            )
        return str(self.processor.tokenizer.decode(written[0, ids.shape[1] :]))

    def prompt(self, context: Context) -> FullPrompt:
        """Return the prompt of a context; without a projector no report is read."""
        reports = len(context.reports) if self._projector is not None else 0
        return build_full_prompt(self.processor.tokenizer, context.description, context.labels, reports)

    def peak_bytes(self) -> int:
        """Return the most memory that was in use: on the GPU, or of this process."""
        if self.model.device.type == "cuda":
            return torch.cuda.max_memory_reserved()
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def edge_logits(self, prefix: _Prefix, images: Sequence[Image], stages: dict[str, float]) -> torch.Tensor:
        """Return the (B, E) float32 logits of the trie's edges; pictures of one layout run side by side, at most ``max_batch``."""
        frames = [self.processor.frame(image, prefix.prompt.tail) for image in images]
        found = torch.empty((len(frames), len(prefix.prompt.trie.edge_tokens)))
        groups: dict[bytes, list[int]] = {}
        for index, frame in enumerate(frames):
            groups.setdefault(frame.layout, []).append(index)
        for members in groups.values():
            for start in range(0, len(members), self._most):
                chosen = members[start : start + self._most]
                found[chosen] = self._judge(prefix, [frames[index] for index in chosen], stages).cpu()
        return found

    def _judge(self, prefix: _Prefix, frames: Sequence[FrameInput], stages: dict[str, float]) -> torch.Tensor:
        """Return the (B, E) logits for frames of one layout."""
        began = self._now()
        slots = self.see(frames)
        seen = self._now()
        logits = self._read(prefix, frames[0], slots)
        stages["vision"] += seen - began
        stages["decode"] += self._now() - seen
        return logits

    def see(self, frames: Sequence[FrameInput]) -> torch.Tensor:
        """Return the (B, I, D) image slots of frames of one layout: the vision tower's and the merger's part."""
        patches = torch.cat([frame.patches for frame in frames], -1)  # (1, 3, patch, B * N * patch)
        slots = self._vision.slots(patches, torch.cat([frame.grids for frame in frames]))  # (B * I, D)
        return slots.view(len(frames), -1, slots.shape[-1])

    def posterior(self, context: Context, frame: FrameInput, slots: torch.Tensor) -> NDArray[np.float64]:
        """Return the (B, K) posterior for slots (B, I, D) that were seen before, of pictures with the layout of ``frame``."""
        with torch.inference_mode():
            prefix = self._prefix(context)
            return prefix.prompt.trie.posterior(self._read(prefix, frame, slots).cpu().numpy())

    def embed_frame(self, frame: FrameInput, slots: torch.Tensor) -> torch.Tensor:
        """Return the (B, T, D) embeddings of a frame's tokens, with slots (B, I, D) in the places of the picture."""
        ids = torch.from_numpy(frame.ids).to(self.model.device)  # (T,)
        is_image = torch.eq(ids, self.model.config.image_token_id).expand(len(slots), -1)[..., None]
        embeds: torch.Tensor = self.model.get_input_embeddings()(ids.expand(len(slots), -1))  # (B, T, D)
        return embeds.masked_scatter(is_image, slots.to(embeds))

    def _read(self, prefix: _Prefix, frame: FrameInput, slots: torch.Tensor) -> torch.Tensor:
        """Return the (B, E) logits for slots (B, I, D) of pictures with the layout of ``frame``."""
        count, device = len(slots), self.model.device
        embeds = self.embed_frame(frame, slots)
        positions, following = self.positions(prefix.ids, frame)
        cache = copies(prefix.cache, torch.LongTensor([0] * count))
        hidden = self._run(embeds, positions, cache)[:, -1:]  # (B, 1, D)
        nodes = torch.cat([hidden, self._tree(prefix.prompt, cache, count, following)], 1)  # (B, 1 + tree, D)
        trie = prefix.prompt.trie
        rows = self._head[torch.from_numpy(trie.edge_tokens).to(device)].float()  # (E, D)
        at = torch.from_numpy(trie.nodes[trie.edge_nodes] + 1).to(device)  # (E,)
        return (nodes[:, at].float() * rows).sum(-1)

    def _tree(self, prompt: FullPrompt, cache: DynamicCache, count: int, following: int | None) -> torch.Tensor:
        """Return (B, tree, D) hidden states behind the trie's tree tokens; ``following`` is the first position behind the frame."""
        paths = label_paths(prompt.trie)
        device = self.model.device
        if not len(paths.tokens):
            return torch.empty((count, 0, self._head.shape[1]), dtype=self._head.dtype, device=device)
        ways, depth = paths.tokens.shape
        tokens = torch.from_numpy(paths.tokens).to(device).repeat(count, 1)  # (B * L, d)
        branches = copies(cache, torch.LongTensor(np.repeat(np.arange(count), ways)))
        positions = None if following is None else torch.arange(following, following + depth, device=device).expand(3, 1, -1)
        hidden = self._run(self.model.get_input_embeddings()(tokens), positions, branches)  # (B * L, d, D)
        hidden = hidden.view(count, ways, depth, -1)
        return hidden[:, torch.from_numpy(paths.ways), torch.from_numpy(paths.depths)]

    def _run(self, embeds: torch.Tensor, positions: torch.Tensor | None, cache: DynamicCache) -> torch.Tensor:
        """Run (B, T, D) embeddings behind a cache through the language model, which extends it; return (B, T, D) hidden states."""
        if positions is not None:
            positions = positions.expand(3, len(embeds), -1)
        output = self.model.model.language_model(inputs_embeds=embeds, position_ids=positions, cache=cache, use_cache=True)
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def _now(self) -> float:
        """Return the clock, seconds, when all that was asked of the device is done."""
        if self.model.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def positions(self, prefix_ids: torch.Tensor, frame: FrameInput) -> tuple[torch.Tensor | None, int | None]:
        """Return the frame's positions (3, 1, T) and the next one, where they are not simply counted: 4.7 lays pictures on a canvas."""
        if self.checkpoint.model_type != "minicpmv4_7":
            return None, None
        grids = frame.grids.to(prefix_ids.device)
        whole = torch.cat([prefix_ids, torch.from_numpy(frame.ids).to(prefix_ids.device)])[None]  # (1, P + T)
        is_image = torch.eq(whole, self.model.config.image_token_id).int()
        positions, _ = self.model.model.get_rope_index(whole, mm_token_type_ids=is_image, target_sizes=grids, downsample_mode=self._mode)
        return positions[:, :, len(prefix_ids) :], int(positions.max()) + 1

    def _prefix(self, context: Context) -> _Prefix:
        """Return the static prefix of a context, from the cache if it was seen lately."""
        key = (context.description, context.labels.names, tuple(r.report_id for r in context.reports), context.vectors.tobytes())
        if key in self._prefixes:
            self._prefixes.move_to_end(key)
            return self._prefixes[key]
        self._prefixes[key] = prefix = self._run_prefix(context)
        while len(self._prefixes) > PREFIXES_KEPT:
            self._prefixes.popitem(last=False)
        return prefix

    def forget(self) -> None:
        """Give up the kept prefixes: the weights that made them have changed."""
        self._prefixes.clear()

    def take_projector(self, projector: ReportProjector | None) -> None:
        """Read reports through another projector, or not at all."""
        self._projector = projector if projector is None else projector.to(self.model.device)
        self.forget()

    def _run_prefix(self, context: Context) -> _Prefix:
        """Embed prompt and reports and run them through the language model."""
        prompt = self.prompt(context)
        ids, embeds = self.embed_prefix(prompt, torch.from_numpy(np.array(context.vectors, np.float32)))
        cache = DynamicCache(config=self.model.config.text_config)
        positions = torch.arange(len(ids), device=embeds.device).expand(3, 1, -1) if self.checkpoint.model_type == "minicpmv4_7" else None
        self._run(embeds[None], positions, cache)
        return _Prefix(prompt, ids, cache)

    def embed_prefix(self, prompt: FullPrompt, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids (P,) and embeddings (P, D) of a static prefix with the reports (R, d) in their slots."""
        slots = prompt.prefix_ids == SLOT
        stand_in = self.processor.tokenizer.convert_tokens_to_ids(self.processor.tokenizer.eos_token)
        ids = torch.from_numpy(np.where(slots, stand_in, prompt.prefix_ids)).to(self.model.device)
        embeds = self.model.get_input_embeddings()(ids)  # (P, D)
        if slots.any() and self._projector is not None:
            embeds[torch.from_numpy(slots).to(embeds.device)] = self._projector(vectors.to(embeds.device)).to(embeds.dtype)
        return ids, embeds


def copies(cache: DynamicCache, sequences: torch.LongTensor) -> DynamicCache:
    """Return a copy of a cache that holds the sequences (n,) of it, side by side."""
    copied = copy.deepcopy(cache)
    copied.reorder_cache(sequences)
    return copied
