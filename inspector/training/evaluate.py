"""Evaluation of a checkpoint on validation pictures: posteriors by the torch source and by the exported graphs, and their numbers.

The two judges answer the same question in the same way, so their difference is what export and quantisation changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score

from inspector.core.context import Context
from inspector.core.report import Report
from inspector.training.dataset import read_rgb
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
        features = torch.from_numpy(pool.features[index : index + 1, 0].astype(np.float32))
        with torch.inference_mode():
            rows.append(
                model.log_posterior(Visit(pool.prompts[len(vectors)], vectors, features, torch.zeros(1, dtype=torch.long))).exp().numpy()[0]
            )
    return np.array(rows, np.float64)


def judge_onnx(predictor: OnnxPredictor, pool: Pool, description: str, history: History) -> NDArray[np.float64]:
    """Return (n, K) posteriors by the deployed graphs, from the picture files."""
    rows = []
    for index, picture in enumerate(pool.pictures):
        vectors = history(index)
        reports = tuple(Report(f"{index}-{place}", datetime.now(UTC), "", "") for place in range(len(vectors)))
        predictions, _ = predictor.predict([("frame", read_rgb(picture.path))], Context("", description, pool.labels, reports, vectors))
        rows.append([predictions[0].scores[name] for name in pool.labels.names])
    return np.array(rows, np.float64)


def score(posterior: NDArray[np.float64], targets: NDArray[np.int64]) -> Score:
    """Return the numbers of (n, K) posteriors against (n,) true labels."""
    answer, sure = posterior.argmax(1), posterior.max(1)
    right = answer == targets
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean() for b in range(10) if (bins == b).any()]
    nll = -np.log(np.maximum(posterior[np.arange(len(targets)), targets], 1e-12)).mean()
    f1 = f1_score(targets, answer, average="macro", labels=np.unique(targets), zero_division=0.0)
    return Score(len(targets), float(right.mean()), float(f1), float(sum(gaps)), float(nll))


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> Agreement:
    """Compare two judges' (n, K) posteriors."""
    difference = np.abs(one - other)
    return Agreement(int((one.argmax(1) != other.argmax(1)).sum()), float(difference.max()), float(difference.sum(1).mean() / 2))


def fit_temperature(posterior: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """Return the temperature (0.25 to 4) that makes the true labels most likely (Guo et al. 2017, arXiv 1706.04599)."""
    log_p = np.log(np.maximum(posterior, 1e-12))

    def nll(log_temperature: float) -> float:
        scaled = log_p / np.exp(log_temperature)
        scaled -= scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(targets)), targets]).mean())

    return float(np.exp(minimize_scalar(nll, bounds=(np.log(0.25), np.log(4.0)), method="bounded").x))


def tempered_rows(posterior: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return (n, K) posteriors raised to 1 / temperature and renormalised."""
    powered = np.maximum(posterior, 1e-12) ** (1 / temperature)
    return np.asarray(powered / powered.sum(1, keepdims=True))


def histories(told: Sequence[NDArray[np.int64]], source: Pool) -> History:
    """Return a history that shows, for picture i, the first phrasing of the reports about pictures ``told[i]`` of ``source``."""
    return lambda index: source.vectors[told[index], 0] if len(told[index]) else np.zeros((0, source.vectors.shape[2]), np.float32)
