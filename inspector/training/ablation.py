"""What the historical reports are worth: pictures judged with their reports, without, with another part's and with another product's.

``on`` are the reports that the station finds, ``shuffled`` those that it found for a picture of another group (another part, position or
lot), ``foreign`` are about machines that have nothing to do with the product. Reports help if ``on`` beats ``off``; they are not believed
blindly if ``shuffled`` and ``foreign`` cost nothing against ``off``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.core.report import Report
from inspector.pipeline import NoReports, Pipeline, Reports
from inspector.training.judged import Judged, judge
from inspector.training.measures import Measures, Rate, difference, measure
from inspector.training.picture import Picture
from inspector.training.simulated_lots import Answer, Lots

CASES = ("on", "off", "shuffled", "foreign")
AMBIGUOUS = 0.8
"""Pictures whose most probable label has less than this without reports are those that reports could decide."""
FOREIGN = (
    "replaced drive belt of conveyor 4, old one worn",
    "bearing on pump P-12 noisy, grease added",
    "forklift battery low, charged over night",
    "air compressor tripped, reset, pressure back at 7 bar",
    "chiller alarm E04, filter cleaned",
    "hydraulic hose leaking on press, tightened",
    "crane limit switch stuck, replaced",
    "cooling water flow low, strainer full of scale",
)
"""Technicians' notes about other machines."""


@dataclass(slots=True)
class _Replayed:
    """Answers prepared for each picture; ``at`` is the picture in hand."""

    answers: Mapping[int, Answer]
    nothing: Answer
    at: int = 0

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> Answer:  # noqa: ARG002 - the protocol's
        return self.answers.get(self.at, self.nothing)


@dataclass(slots=True)
class _Recorded:
    """Passes a question on and remembers the answer."""

    inner: Reports
    answers: dict[int, Answer] = field(default_factory=dict)
    at: int = 0

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> Answer:
        self.answers[self.at] = found = self.inner.relevant(product, station, lot, before)
        return found


@dataclass(frozen=True, slots=True)
class Ablation:
    """The four cases on the same pictures."""

    cases: dict[str, Judged]
    """Verdicts by case."""
    measures: dict[str, Measures]
    """Numbers by case."""
    against_off: dict[str, Rate]
    """Accuracy minus that without reports, with its paired 95 % interval, by case; -1..1."""
    ambiguous: int
    """Pictures in doubt without reports."""
    ambiguous_errors: dict[str, int]
    """Wrong labels among them, by case."""
    with_reports: int
    """Pictures for which the station found at least one report."""
    oracle_errors: int | None = None
    """Wrong labels among the pictures in doubt if the posterior without reports is multiplied with what the lot's true labels say; None
    where these are not known."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "with_reports": self.with_reports,
            "ambiguous": {"below": AMBIGUOUS, "n": self.ambiguous, "errors": self.ambiguous_errors, "oracle": self.oracle_errors},
            "cases": {
                case: {**measures.to_dict(), "accuracy_against_off": self.against_off[case].to_dict()}
                for case, measures in self.measures.items()
            },
        }


def ablate(
    pipeline: Pipeline,
    product: str,
    pictures: Sequence[Picture],
    station: str,
    foreign: Answer,
    tell: Callable[[], None] = lambda: None,
    *,
    lots: Lots | None = None,
) -> Ablation:
    """Judge the pictures four times. ``foreign`` are reports about something else, ``tell`` hears of each judged picture.

    With ``lots`` the reports are theirs and not those that the station finds.
    """

    def judged(reports: Reports) -> Judged:
        def step() -> None:
            if isinstance(reports, _Recorded | _Replayed):
                reports.at += 1
            tell()

        return judge(replace(pipeline, reports=reports), product, pictures, station, step)

    nothing: Answer = ((), foreign[1][:0])
    true = _Recorded(pipeline.reports) if lots is None else _Replayed(dict(enumerate(lots.answers)), nothing)
    cases = {"on": judged(true), "off": judged(NoReports(foreign[1].shape[1]))}
    swapped = {place: true.answers.get(donor, nothing) for place, donor in enumerate(_donors([picture.group for picture in pictures]))}
    cases["shuffled"] = judged(_Replayed(swapped, nothing))
    cases["foreign"] = judged(_Replayed(dict.fromkeys(range(len(pictures)), foreign), nothing))
    answers = {case: np.nan_to_num(found.posterior).argmax(1) for case, found in cases.items()}
    doubtful = np.nan_to_num(cases["off"].posterior).max(1) < AMBIGUOUS
    truths = cases["off"].truths
    best = None if lots is None else (np.nan_to_num(cases["off"].posterior) * lots.priors).argmax(1)
    return Ablation(
        cases=cases,
        measures={case: measure(found) for case, found in cases.items()},
        against_off={case: difference(found, cases["off"]) for case, found in cases.items()},
        ambiguous=int(doubtful.sum()),
        ambiguous_errors={case: int((answer != truths)[doubtful].sum()) for case, answer in answers.items()},
        with_reports=sum(bool(reports) for reports, _ in true.answers.values()),
        oracle_errors=None if best is None else int((best != truths)[doubtful].sum()),
    )


def foreign_answer(encode: Callable[[list[str]], NDArray[np.float32]], count: int) -> Answer:
    """Return ``count`` reports about other machines."""
    texts = list(FOREIGN[: max(count, 1)])
    written = datetime.now(UTC) - timedelta(days=1)
    reports = tuple(Report(f"foreign-{place}", written, "another product", text) for place, text in enumerate(texts))
    return reports, encode(texts)


def _donors(groups: Sequence[str], seed: int = 0) -> list[int]:
    """Return, for each picture, one of another group whose reports it gets; of the same group where there is only one."""
    names, rng = np.array(groups), np.random.default_rng(seed)
    places = np.arange(len(names))
    found = []
    for place in places:
        others = places[names != names[place]]
        others = others if len(others) else places[places != place]
        found.append(int(rng.choice(others)) if len(others) else int(place))
    return found
