"""Temperature and calibration error of a posterior. Pure. (m, K) rows of m pictures, K labels."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from inspector.training.decision_fit.evidence import tempered_rows

_COLDEST, _HOTTEST = 0.25, 4.0


def fit_temperature(rows: NDArray[np.float64], truths: NDArray[np.int64]) -> float:
    """Return the temperature (0.25 to 4) that makes the true labels most likely (Guo et al. 2017, arXiv 1706.04599).

    A share of ``1 / (m + 2)`` of each truth is spread over all labels (after Platt 1999): pictures that are all judged rightly do not
    prove that none ever is judged wrongly, and must not drive the posterior to 0 and 1.
    """
    if not len(truths):
        return 1.0
    log_p = np.log(np.maximum(rows, 1e-12))
    doubt = 1.0 / (len(truths) + 2)

    def nll(log_temperature: float) -> float:
        scaled = log_p / np.exp(log_temperature)
        scaled = scaled - scaled.max(1, keepdims=True)
        scaled = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
        true = scaled[np.arange(len(truths)), truths]
        return -float(((1 - doubt) * true + doubt * scaled.mean(1)).mean())

    found = minimize_scalar(
        nll, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded"
    )  # one peak, as a function of 1 / temperature
    return float(np.exp(found.x))


def calibration_error(rows: NDArray[np.float64], truths: NDArray[np.int64], temperature: float) -> float | None:
    """Return the expected calibration error, 0..1, over 10 bins of equal width (Guo et al. 2017); None without a picture."""
    if not len(truths):
        return None
    tempered = tempered_rows(rows, temperature)
    sure, right = tempered.max(1), tempered.argmax(1) == truths
    bins = np.minimum((sure * 10).astype(int), 9)
    return float(sum(abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)))
