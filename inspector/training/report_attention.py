"""Does a telling report weigh more than one that has nothing to say? Measured on labelled pictures, two reports at a time.

Beside each picture stand two reports: a *telling* one (of the same lot, written before the picture was taken, that names the true label)
and another one, once in either order, because a slot's place alone draws attention. ``foreign`` others speak of machines that have nothing
to do with the product; ``contrary`` ones speak of the product and name another label. Three measures, as a trace has them: ``weight``, the
plain attention; ``share`` in what was mixed in; ``pull`` towards the verdict's label. Of the first two the preference is the telling
report's part of what both get, 0..1. A pull may be below 0, so there it is the share of the pictures in which the telling report pulls
more. .5 is none. Means are over both orders, intervals over groups, as everywhere.
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

Measure = Literal["weight", "share", "pull"]
MEASURES: tuple[Measure, ...] = ("weight", "share", "pull")
Look = Callable[[Picture, tuple[Report, ...]], Mapping[Measure, NDArray[np.float32]]]
"""Judges a picture beside some reports and returns (R,) what each of them weighs, by measure."""
Case = Literal["foreign", "contrary"]
CASES: tuple[Case, ...] = ("foreign", "contrary")
_Pair = tuple[Picture, Mapping[Measure, NDArray[np.float32]], Mapping[Measure, NDArray[np.float32]]]
"""A picture and what both reports weigh, the telling one first and last."""


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

    measure: Measure
    """What was compared."""
    n: int
    """Pictures that were compared."""
    groups: int
    """Groups of them."""
    preference: Rate
    """Mean part of both that the telling report got; of a pull the same as ``more``."""
    more: Rate
    """Share of the pictures whose telling report got more."""
    telling: float
    """Mean of what a telling report got; NaN without pictures."""
    other: float
    """Mean of what the other one got."""
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
            "telling": None if np.isnan(self.telling) else round(self.telling, 6),
            "other": None if np.isnan(self.other) else round(self.other, 6),
            "per_label": {label: rate.to_dict() for label, rate in self.per_label.items()},
        }


Compared = dict[Case, dict[Measure, Preference]]


def compare_reports(
    look: Look, pictures: Sequence[Picture], history: Sequence[Report], tell: Callable[[], None] = lambda: None
) -> Compared:
    """Return the preference by case and measure. ``tell`` hears of each picture.

    Pictures for which ``history`` has no such pair are left out.
    """
    found: dict[Case, list[_Pair]] = {case: [] for case in CASES}
    for place, picture in enumerate(pictures):
        told = telling(picture, history)
        others = {"foreign": _foreign(place), "contrary": contrary(picture, history)}
        for case in CASES:
            other = others[case]
            if told is not None and other is not None:
                found[case].append((picture, look(picture, (told, other)), look(picture, (other, told))))
        tell()
    return {case: {measure: _preference(measure, pairs) for measure in MEASURES} for case, pairs in found.items()}


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


def _preference(measure: Measure, pairs: Sequence[_Pair]) -> Preference:
    groups, labels = tuple(picture.group for picture, _, _ in pairs), [picture.label for picture, _, _ in pairs]
    told = np.array([(first[measure][0] + last[measure][1]) / 2 for _, first, last in pairs], np.float64)
    other = np.array([(first[measure][1] + last[measure][0]) / 2 for _, first, last in pairs], np.float64)
    more = (told > other).astype(np.float64)
    parts = more if measure == "pull" else told / np.maximum(told + other, 1e-12)

    def of(label: str) -> Rate:
        own = [place for place, one in enumerate(labels) if one == label]
        return mean_over_groups(parts[own], tuple(groups[place] for place in own))

    return Preference(
        measure=measure,
        n=len(pairs),
        groups=len(set(groups)),
        preference=mean_over_groups(parts, groups),
        more=mean_over_groups(more, groups),
        telling=float(told.mean()) if pairs else float("nan"),
        other=float(other.mean()) if pairs else float("nan"),
        per_label={label: of(label) for label in sorted(set(labels))},
    )
