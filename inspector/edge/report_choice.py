"""Which reports matter: pure choices over candidates that the database has already filtered.

The score of a report is ``(1 - w) * similarity + w * exp(-age / recency_days)``. Reports of the same lot always come before reports of the
product at large. The age is counted from the beginning of the hour, so that the choice, and with it the model's cached prefix, stays the
same from frame to frame; it depends on its arguments alone, never on what was asked before.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Candidate(NamedTuple):
    """A report that may be chosen."""

    report_id: str
    """Its id."""
    written_at: str
    """When it was written: text of fixed width, UTC, so that text order is time order."""
    same_lot: bool
    """True if it speaks of the lot in view."""


def query_text(product: str, description: str, station: str, lot: str | None) -> str:
    """Return the words that stand for the part in view when reports are looked up."""
    words = [description.strip() or product.replace("_", " "), f"lot {lot}" if lot else "", f"station {station}"]
    return ", ".join(word for word in words if word)


def hour_of(instant: datetime) -> datetime:
    """Return the beginning of the hour."""
    return instant.replace(minute=0, second=0, microsecond=0)


def ages_days(written_at: Sequence[str], asked_at: datetime) -> NDArray[np.float64]:
    """Return the (n,) ages in days of instants such as ``2026-11-23T14:00:00.123456Z``; 0 for those after ``asked_at``."""
    instants = np.array([text.removesuffix("Z") for text in written_at], "datetime64[us]").astype(np.int64)
    asked = np.datetime64(asked_at.astimezone(UTC).replace(tzinfo=None), "us").astype(np.int64)
    return np.maximum((asked - instants) / 86_400e6, 0.0)


def scores(
    similarity: NDArray[np.float32], age_days: NDArray[np.float64], *, recency_days: float, recency_weight: float
) -> NDArray[np.float64]:
    """Return the (n,) scores for (n,) cosine similarities and ages, rounded so that the order of a sum decides nothing."""
    mixed = (1.0 - recency_weight) * similarity.astype(np.float64) + recency_weight * np.exp(-age_days / recency_days)
    rounded: NDArray[np.float64] = np.round(mixed, 6)
    return rounded


def best(candidates: Sequence[Candidate], score: NDArray[np.float64], count: int) -> list[int]:
    """Return the indexes of the best ``count`` candidates, oldest first, ties by report id, whatever their order.

    Of two equal scores the later report wins.
    """
    newest_first = sorted(range(len(candidates)), key=lambda i: (candidates[i].written_at, candidates[i].report_id), reverse=True)
    ranked = sorted(newest_first, key=lambda i: (not candidates[i].same_lot, -score[i]))  # a stable sort keeps the newer one first
    return sorted(ranked[:count], key=lambda i: (candidates[i].written_at, candidates[i].report_id))
