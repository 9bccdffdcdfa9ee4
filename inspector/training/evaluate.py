"""Evaluation of a checkpoint on validation pictures: posteriors by the torch source and by the exported graphs, and their numbers.

The two judges answer the same question in the same way, so their difference is what export and quantisation changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from inspector.core.context import Context
from inspector.core.report import Report
from inspector.training.dataset import read_rgb
from inspector.training.decision_fit.temperature import calibration_error
from inspector.training.edge_model import EdgeModel, Visit
from inspector.training.visits import Pool
from inspector.vlm.onnx_predictor import OnnxPredictor

History = Callable[[int], NDArray[np.float32]]
"""Gives the (R, 384) report vectors, oldest first, that stand beside picture i."""


@dataclass(frozen=True, slots=True)
class Score:
    """Numbers of one product under one history."""

    n: int
    """Pictures."""
    accuracy: float
    """Share of pictures whose most probable label is the true one."""
    macro_f1: float
    """F1 averaged over labels."""
    ece: float
    """Expected calibration error, 10 bins of equal width (Guo et al. 2017)."""
    nll: float
    """Mean negative log-likelihood of the true label, nats."""

    def to_dict(self) -> dict[str, float]:
        """Return rounded numbers for JSON."""
        return {key: round(value, 5) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two judges differ on the same pictures."""

    flips: int
    """Pictures whose most probable label differs."""
    largest: float
    """Largest difference of a probability."""
    mean: float
    """Mean over pictures of the total variation distance."""


def judge_torch(model: EdgeModel, pool: Pool, history: History) -> NDArray[np.float64]:
    """Return (n, K) posteriors by the torch source, from the cached features of the unvaried pictures."""
    rows = []
    for index in range(len(pool.pictures)):
        vectors = torch.from_numpy(history(index))
        features = pool.seen(np.array([index]))
        with torch.inference_mode():
            rows.append(
                model.log_posterior(Visit(pool.prompts[len(vectors)], vectors, features, torch.zeros(1, dtype=torch.long))).exp().numpy()[0]
            )
    return np.array(rows, np.float64)


def judge_onnx(predictor: OnnxPredictor, pool: Pool, description: str, history: History) -> NDArray[np.float64]:
    """Return (n, K) posteriors by the deployed graphs, from the picture files."""
    rows = []
    for index, picture in enumerate(pool.pictures):
        context = context_of("", description, pool, index, history)
        predictions, _ = predictor.predict([("frame", read_rgb(picture.path))], context)
        rows.append([predictions[0].scores[name] for name in pool.labels.names])
    return np.array(rows, np.float64)


def context_of(product: str, description: str, pool: Pool, index: int, history: History) -> Context:
    """Return what the deployed model reads beside picture i of a pool."""
    vectors = history(index)
    reports = tuple(Report(f"{index}-{place}", datetime.now(UTC), "", "") for place in range(len(vectors)))
    return Context(product, description, pool.labels, reports, vectors)


def score(posterior: NDArray[np.float64], targets: NDArray[np.int64]) -> Score:
    """Return the numbers of (n, K) posteriors against (n,) true labels."""
    answer = posterior.argmax(1)
    right = answer == targets
    nll = -np.log(np.maximum(posterior[np.arange(len(targets)), targets], 1e-12)).mean()
    f1 = f1_score(targets, answer, average="macro", labels=np.unique(targets), zero_division=0.0)
    return Score(len(targets), float(right.mean()), float(f1), calibration_error(posterior, targets, 1.0) or 0.0, float(nll))


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> Agreement:
    """Compare two judges' (n, K) posteriors."""
    difference = np.abs(one - other)
    return Agreement(int((one.argmax(1) != other.argmax(1)).sum()), float(difference.max()), float(difference.sum(1).mean() / 2))


def histories(told: Sequence[NDArray[np.int64]], source: Pool) -> History:
    """Return a history that shows, for picture i, the first phrasing of the reports about pictures ``told[i]`` of ``source``."""
    return lambda index: source.vectors[told[index], 0] if len(told[index]) else np.zeros((0, source.vectors.shape[2]), np.float32)
