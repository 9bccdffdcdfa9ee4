"""What reviews teach: how often people agree with the model, how its labels and its confidence drift, when training again would pay."""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from inspector.dashboard.questions import Row, last_seq, rows
from inspector.settings import StationSettings
from inspector.vlm.model_history import neighbour, read_history

RECENT, BEFORE = 1_000, 10_000
"""Newest verdicts, and those before them that they are held against."""
ENOUGH_PICTURES, ENOUGH_CORRECTIONS = 50, 20
"""Reviewed pictures, or corrections among them, since the model in use was made, from which on training again would pay: a label wants
about 50 pictures (docs/data.md), and 20 of them that the model gets wrong are worth more than 50 that it knows."""
_REVIEWS = 5_000
_Z = 1.96
"""Standard deviations of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often people and the model found the same label."""

    model: str
    """Name and revision of the model."""
    reviews: int
    """Reviews of its verdicts that could tell a label; faults are left out."""
    agreed: int
    """Those with the model's label."""
    pictures: int
    """Those whose picture is kept to learn from."""
    changed: list[tuple[str, str, int]]
    """(model's label, person's label, how often), the most frequent first."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share that agrees (Wilson 1927)."""
        n, share = self.reviews, self.agreed / self.reviews
        centre, spread = share + _Z**2 / (2 * n), _Z * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return max(0.0, (centre - spread) / (1 + _Z**2 / n)), min(1.0, (centre + spread) / (1 + _Z**2 / n))

    @property
    def corrections(self) -> int:
        """Reviews with another label than the model's."""
        return self.reviews - self.agreed

    @property
    def would_pay(self) -> bool:
        """True if there is enough to learn from."""
        return self.pictures >= ENOUGH_PICTURES or (self.corrections >= ENOUGH_CORRECTIONS and self.pictures >= ENOUGH_CORRECTIONS)


@dataclass(frozen=True, slots=True)
class Drift:
    """The newest verdicts against those before."""

    recent: int
    """How many are the newest."""
    before: int
    """How many are before them."""
    labels: list[tuple[str, float, float]]
    """(label, share before, share now), the largest change first."""
    distance: float
    """Half the sum of the changes (total variation), 0: the same mix, 1: nothing in common."""
    confidence: tuple[float, float]
    """Mean confidence before and now."""

    @property
    def is_drift(self) -> bool:
        """True if the mix has changed by more than chance would change it: four standard deviations of any label's share."""
        return self.before >= RECENT and any(
            abs(now - before) > 4 * sqrt(max(before * (1 - before), 1 / self.before) / self.recent) for _, before, now in self.labels
        )


def agreement(log: sqlite3.Connection, station: str) -> list[Agreement]:
    """Return how people agreed with each model, the newest model first. Of several reviews of one inspection the last one counts."""
    query = (
        "SELECT model, judged_label, label, picture_path, max(reviewed_at) FROM (SELECT * FROM reviewed WHERE station = ? ORDER BY"
        " reviewed_at DESC LIMIT ?) WHERE label IS NOT NULL AND judged_label IS NOT NULL"
        " GROUP BY inspection_id ORDER BY max(reviewed_at) DESC"
    )
    by_model: dict[str, list[tuple[str, str, str | None]]] = {}
    for model, judged, label, picture, _ in log.execute(query, (station, _REVIEWS)):
        by_model.setdefault(model, []).append((judged, label, picture))
    found = []
    for model, reviews in by_model.items():
        changed = Counter((judged, label) for judged, label, _ in reviews if judged != label)
        table = [(judged, label, count) for (judged, label), count in changed.most_common(20)]
        agreed = sum(judged == label for judged, label, _ in reviews)
        found.append(Agreement(model, len(reviews), agreed, sum(picture is not None for *_, picture in reviews), table))
    return found


def drift(log: sqlite3.Connection, station: str) -> Drift | None:
    """Return how labels and confidence have moved; None while there is nothing to compare."""
    last = last_seq(log, station)
    query = (
        "SELECT coalesce(label, '') AS label, count(*), total(confidence) FROM inspections"
        " WHERE station = ? AND seq > ? AND seq <= ? AND is_fault = 0 GROUP BY 1"
    )
    recent = log.execute(query, (station, last - RECENT, last)).fetchall()
    before = log.execute(query, (station, last - RECENT - BEFORE, last - RECENT)).fetchall()
    if not recent or not before:
        return None
    (now, n_now, sure_now), (then, n_then, sure_then) = _shares(recent), _shares(before)
    labels = [(name, then.get(name, 0.0), now.get(name, 0.0)) for name in {**then, **now}]
    labels.sort(key=lambda item: -abs(item[2] - item[1]))
    return Drift(n_now, n_then, labels, 0.5 * sum(abs(b - a) for _, a, b in labels), (sure_then, sure_now))


def signed(log: sqlite3.Connection, station: str, limit: int) -> list[Row]:
    """Return the newest reviews."""
    return list(rows(log, "SELECT * FROM reviewed WHERE station = ? ORDER BY reviewed_at DESC LIMIT ?", station, limit))


def gained(root: Path, settings: StationSettings) -> dict[str, tuple[float, float | None]] | None:
    """Return what the last training came to: (measure of the model in use, of the one before it); None if it was not trained here."""
    current = settings.model.checkpoint
    mine = _measures(root / "models" / current)
    if mine is None:
        return None
    before = neighbour(read_history(settings.folder), current, forward=False)
    other = None if before is None else _measures(root / "models" / before)
    return {name: (value, (other or {}).get(name)) for name, value in mine.items()}


def _shares(found: Sequence[tuple[str, int, float]]) -> tuple[dict[str, float], int, float]:
    count = sum(number for _, number, _ in found)
    return {name: number / count for name, number, _ in found}, count, sum(sure for *_, sure in found) / count


def _measures(folder: Path) -> dict[str, float] | None:
    """Return the numbers of a model's training that people ask for."""
    try:
        found = json.loads((folder / "training.json").read_text(encoding="utf-8"))["evaluation"]
        return {name: float(found[name]) for name in ("accuracy", "macro_f1") if isinstance(found.get(name), int | float)} or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
