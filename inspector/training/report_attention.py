"""Does a telling report get more attention than one that has nothing to say? Measured on labelled pictures, two reports at a time.

Beside each picture stand two reports: a *telling* one (of the same lot, written before the picture was taken, that names the true label)
and another one, once in either order, because a slot's place alone draws attention. ``foreign`` others speak of machines that have nothing
to do with the product; ``contrary`` ones speak of the product and name another label. The preference is the telling report's part of the
attention that both get, 0..1, mean over both orders: .5 is none. Intervals are over groups, as everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inspector.core.report import Report
from inspector.training.ablation import FOREIGN
from inspector.training.measures import Rate, mean_over_groups
from inspector.training.picture import Picture

Look = Callable[[Picture, tuple[Report, ...]], NDArray[np.float32]]
"""Judges a picture beside some reports and returns the (R,) share of attention of each."""
Case = Literal["foreign", "contrary"]
CASES: tuple[Case, ...] = ("foreign", "contrary")


@dataclass(frozen=True, slots=True)
class GivenReports:
    """Reports that are given instead of looked up, in the order in which they are given."""

    reports: tuple[Report, ...]
    """The reports."""
    vectors: NDArray[np.float32]
    """(n, d) unit vectors."""

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> tuple[tuple[Report, ...], NDArray[np.float32]]:  # noqa: ARG002 - the protocol's
        """Return them, whatever is asked."""
        return self.reports, self.vectors


@dataclass(frozen=True, slots=True)
class Preference:
    """What the telling report got against the other one."""

    n: int
    """Pictures that were compared."""
    groups: int
    """Groups of them."""
    preference: Rate
    """Mean part of the attention that went to the telling report; .5: no preference."""
    more: Rate
    """Share of the pictures whose telling report got more."""
    telling: float
    """Mean share of the whole attention that a telling report got; NaN without pictures."""
    other: float
    """Mean share that the other one got."""
    per_label: Mapping[str, Rate]
    """Preference by true label."""

    @property
    def holds(self) -> bool:
        """True if the telling report is preferred beyond the interval."""
        return bool(self.preference.low > 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Return rounded numbers for JSON."""
        return {
            "n": self.n,
            "groups": self.groups,
            "holds": self.holds,
            "preference": self.preference.to_dict(),
            "more": self.more.to_dict(),
            "share_telling": None if np.isnan(self.telling) else round(self.telling, 6),
            "share_other": None if np.isnan(self.other) else round(self.other, 6),
            "per_label": {label: rate.to_dict() for label, rate in self.per_label.items()},
        }


def compare_reports(
    look: Look, pictures: Sequence[Picture], history: Sequence[Report], tell: Callable[[], None] = lambda: None
) -> dict[Case, Preference]:
    """Return the preference by case; pictures for which ``history`` has no such pair are left out. ``tell`` hears of each picture."""
    found: dict[Case, list[tuple[Picture, float, float]]] = {case: [] for case in CASES}
    for place, picture in enumerate(pictures):
        told = telling(picture, history)
        others = {"foreign": _foreign(place), "contrary": contrary(picture, history)}
        for case in CASES:
            other = others[case]
            if told is not None and other is not None:
                first, last = look(picture, (told, other)), look(picture, (other, told))
                found[case].append((picture, float(first[0] + last[1]) / 2, float(first[1] + last[0]) / 2))
        tell()
    return {case: _preference(rows) for case, rows in found.items()}


def telling(picture: Picture, history: Sequence[Report]) -> Report | None:
    """Return the newest report of the picture's lot from before it was taken that names its true label."""
    at = picture.taken_at or datetime.max.replace(tzinfo=UTC)
    known = [one for one in history if one.label == picture.label and one.lot == picture.lot and one.written_at < at]
    return max(known, key=lambda one: (one.written_at, one.report_id), default=None)


def contrary(picture: Picture, history: Sequence[Report]) -> Report | None:
    """Return the report with another label that was written nearest to the picture, of its lot if there is one."""
    others = [one for one in history if one.label not in {None, picture.label}]
    at = picture.taken_at or datetime.max.replace(tzinfo=UTC)
    return min(others, key=lambda one: (one.lot != picture.lot, abs(one.written_at - at), one.report_id), default=None)


def _foreign(place: int) -> Report:
    """Return a note about another machine, in turn."""
    number = place % len(FOREIGN)
    return Report(f"foreign-{number}", datetime(2000, 1, 1, tzinfo=UTC), "another product", FOREIGN[number])


def _preference(rows: Sequence[tuple[Picture, float, float]]) -> Preference:
    groups = tuple(picture.group for picture, _, _ in rows)
    told, other = (np.array([row[place] for row in rows], np.float64) for place in (1, 2))
    parts = told / np.maximum(told + other, 1e-12)
    labels = sorted({picture.label for picture, _, _ in rows})

    def of(label: str) -> Rate:
        own = [index for index, (picture, _, _) in enumerate(rows) if picture.label == label]
        return mean_over_groups(parts[own], tuple(groups[index] for index in own))

    return Preference(
        n=len(rows),
        groups=len(set(groups)),
        preference=mean_over_groups(parts, groups),
        more=mean_over_groups((told > other).astype(np.float64), groups),
        telling=float(told.mean()) if rows else float("nan"),
        other=float(other.mean()) if rows else float("nan"),
        per_label={label: of(label) for label in labels},
    )
