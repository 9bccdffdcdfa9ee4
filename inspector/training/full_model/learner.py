"""A full MiniCPM-V as a learner: adapters and report projector learn, everything else stays as it is.

The loss of a picture is the negative logarithm of the true label's posterior, the daemon's own. Only the branching nodes on the true
label's way have a part in it, so one pass with the true label behind the picture is enough. m pictures of one layout, P prefix positions,
T tokens of a frame, d tokens of the longest label, D width.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from peft import PeftModel
from torch import nn
from torch.nn import functional

from inspector.training.full_model.adapters import adapter_parameters
from inspector.training.full_model.pool import FullVisit, Seen
from inspector.training.learner import Learner
from inspector.vlm.label_paths import choices_on_way
from inspector.vlm.report_projector import ReportProjector
from inspector.vlm.torch_predictor import TorchPredictor


class FullLearner(Learner):
    """Its state is the adapters and the projector: megabytes, not the gigabytes of the model."""

    def __init__(self, predictor: TorchPredictor, adapters: PeftModel, projector: ReportProjector | None) -> None:
        """Join the parts; without a ``projector`` no report is read."""
        super().__init__()
        predictor.take_projector(projector)
        self.projector = projector
        self.adapters = nn.ParameterDict({name.replace(".", "/"): value for name, value in adapter_parameters(adapters).items()})
        self._held = (predictor,)  # a tuple hides the frozen model from state_dict
        language_model = predictor.model.model.language_model
        language_model.activation_checkpointing_enable()  # layers are computed again on the way back instead of kept
        language_model.disable_input_require_grads()

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the adapters and the projector, which starts from nothing and learns three times as fast."""
        projector = [] if self.projector is None else list(self.projector.parameters())
        return [(list(self.adapters.values()), 1.0), *([(projector, 3.0)] if projector else [])]

    def loss(self, visits: Sequence[FullVisit], smoothing: float) -> torch.Tensor:
        """Return the mean over all pictures; smoothing spreads its share over what may follow at each node."""
        language_model = self._held[0].model.model.language_model
        language_model.train()  # nothing in it is random: only the recomputing asks for it
        losses = [loss for visit in visits for group in _by_layout(visit) for loss in self._losses(visit, group, smoothing)]
        language_model.eval()
        return torch.stack(losses).mean()

    def _losses(self, visit: FullVisit, members: Sequence[int], smoothing: float) -> Iterator[torch.Tensor]:
        """Yield the loss of each picture of one layout."""
        predictor, trie = self._held[0], visit.prompt.trie
        if len(trie.labels) < 2:
            return
        labels = [trie.labels[target] for target in visit.targets[members]]
        hidden = self._hidden(visit, members, labels)  # (m, 1 + d, D)
        head = predictor.model.get_output_embeddings().weight
        for row, label in zip(hidden, labels, strict=True):
            steps = []
            for depth, edges, true in choices_on_way(trie, label):
                logits = row[depth].float() @ head[torch.from_numpy(trie.edge_tokens[edges]).to(head.device)].float().T
                steps.append(functional.cross_entropy(logits[None], torch.tensor([true], device=head.device), label_smoothing=smoothing))
            yield torch.stack(steps).sum()

    def _hidden(self, visit: FullVisit, members: Sequence[int], labels: Sequence[str]) -> torch.Tensor:
        """Return (m, 1 + d, D): hidden states of the prompt's last token and of the label's tokens."""
        predictor, count = self._held[0], len(members)
        device = predictor.model.device
        ids, prefix = predictor.embed_prefix(visit.prompt, visit.vectors)
        sequences = [visit.prompt.trie.sequences[label][:-1] for label in labels]
        ways = np.zeros((count, max(map(len, sequences))), np.int64)  # filled up on the right, where a causal model does not look
        for place, sequence in enumerate(sequences):
            ways[place, : len(sequence)] = sequence
        following = predictor.model.get_input_embeddings()(torch.from_numpy(ways).to(device))  # (m, d, D)
        shown, positions = self._shown(visit, members, ids, ways.shape[1])
        embeds = torch.cat([prefix.expand(count, -1, -1), shown, following], 1)  # (m, P + T + d, D)
        output = predictor.model.model.language_model(inputs_embeds=embeds, position_ids=positions, use_cache=False)
        return output.last_hidden_state[:, -1 - ways.shape[1] :]

    def _shown(self, visit: FullVisit, members: Sequence[int], ids: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the (m, T, D) embeddings of the frames, and positions (3, m, P + T + d) where they are not simply counted."""
        predictor = self._held[0]
        if visit.seen is None:
            tail = predictor.processor.tokenizer(visit.prompt.tail, add_special_tokens=False, return_tensors="pt")["input_ids"]
            return predictor.model.get_input_embeddings()(tail.to(ids.device)).expand(len(members), -1, -1), None
        chosen: list[Seen] = [visit.seen[member] for member in members]
        shown = predictor.embed_frame(chosen[0].frame, torch.stack([seen.slots for seen in chosen]).to(ids.device))
        place, next_one = predictor.positions(ids, chosen[0].frame)
        if place is None or next_one is None:
            return shown, None
        before = torch.arange(len(ids), device=ids.device).expand(3, 1, -1)
        behind = torch.arange(next_one, next_one + depth, device=ids.device).expand(3, 1, -1)
        return shown, torch.cat([before, place, behind], 2).expand(3, len(members), -1)


def _by_layout(visit: FullVisit) -> list[list[int]]:
    """Return the places of pictures that go through side by side."""
    if visit.seen is None:
        return [list(range(len(visit.targets)))]
    groups: dict[bytes, list[int]] = {}
    for place, seen in enumerate(visit.seen):
        groups.setdefault(seen.frame.layout, []).append(place)
    return list(groups.values())
