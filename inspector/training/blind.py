"""What a model makes of reports alone, without any picture: the only way to see whether it reads them."""

import numpy as np
import torch
from numpy.typing import NDArray

from inspector.core.label import LabelSet
from inspector.training.edge_model import Visit
from inspector.training.graph_weights import model_of
from inspector.training.simulated_lots import Lots
from inspector.vlm.checkpoint import Checkpoint
from inspector.vlm.prompt import build_prompt


def answers_of_reports(checkpoint: Checkpoint, description: str, labels: LabelSet, lots: Lots) -> NDArray[np.int64]:
    """Return (n,) the most probable label of each lot's part, from its reports alone. Weights are read back from the graphs, in float32."""
    _, model = model_of(checkpoint)
    tokenizer, answers = checkpoint.tokenizer(), []
    with torch.inference_mode():
        for reports, vectors in lots.answers:
            prompt = build_prompt(tokenizer, description, labels, len(reports))
            visit = Visit(prompt, torch.from_numpy(vectors), None, torch.zeros(1, dtype=torch.long))
            answers.append(int(model.log_posterior(visit)[0].argmax()))
    return np.array(answers, np.int64)
