"""Numbers of an evaluation, against what can be counted by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from inspector.core.inspection import Inspection, Verdict
from inspector.training.judged import Judged
from inspector.training.measures import measure
from inspector.training.picture import Picture
from tests.edge.conftest import MakeInspection
from tests.edge.conftest import make_inspection as make_inspection  # noqa: PLC0414 - a fixture

NAMES = ("good", "dent", "rust")


def judged_of(
    truths: Sequence[int], answers: Sequence[int | None], dispositions: Sequence[Any], groups: Sequence[str], make: MakeInspection
) -> Judged:
    """Return pictures that were answered with probability .9, None where nothing was judged."""
    rows = [[np.nan] * 3 if a is None else [0.9 if k == a else 0.05 for k in range(3)] for a in answers]
    records: list[Inspection] = [make(n, verdict=Verdict(d, (), "")) for n, d in enumerate(dispositions)]
    pictures = [
        Picture(Path(f"{n}.png"), NAMES[t], "val", g, datetime.now(UTC)) for n, (t, g) in enumerate(zip(truths, groups, strict=True))
    ]
    return Judged(NAMES, "good", tuple(pictures), np.array(truths), np.array(rows), tuple(records))


def test_the_rates_are_what_a_hand_counts(make_inspection: MakeInspection) -> None:
    truths, answers = [0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 0, 2, None]
    outcome = ["pass", "pass", "review", "fail", "fail", "pass", "fail", "review"]
    found = measure(judged_of(truths, answers, outcome, [str(n) for n in range(8)], make_inspection))
    known = [(t, a) for t, a in zip(truths, answers, strict=True) if a is not None]
    expected = f1_score([t for t, _ in known], [a for _, a in known], average="macro")
    assert (found.n, found.unjudged, found.groups) == (7, 1, 8)
    assert found.accuracy.value == pytest.approx(5 / 7)
    assert found.macro_f1.value == pytest.approx(expected)
    assert found.escapes.value == pytest.approx(1 / 4), "one of four defective pictures passes; one that is not judged has not passed"
    assert found.false_rejects.value == pytest.approx(1 / 4)
    assert found.reviews.value == pytest.approx(2 / 8)
    assert found.per_label["dent"].recall.value == pytest.approx(1 / 2)
    assert found.per_label["dent"].false_alarms.value == pytest.approx(1 / 5)
    assert found.ece == pytest.approx(0.9 - 5 / 7)
    assert found.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_pictures_of_one_group_are_one_piece_of_evidence(make_inspection: MakeInspection) -> None:
    truths, answers, outcome = [0] * 40, [0, 1] * 20, ["review"] * 40
    alone = measure(judged_of(truths, answers, outcome, [str(n) for n in range(40)], make_inspection)).accuracy
    torn = measure(judged_of(truths, answers, outcome, [str(n % 4) for n in range(40)], make_inspection)).accuracy
    assert alone.value == torn.value == 0.5
    assert torn.high - torn.low > 1.5 * (alone.high - alone.low)


def test_a_product_without_a_good_label_has_no_escapes_and_json_says_null(make_inspection: MakeInspection) -> None:
    judged = judged_of([1, 2], [1, 2], ["fail", "fail"], ["a", "b"], make_inspection)
    document = measure(Judged(judged.names, None, judged.pictures, judged.truths, judged.posterior, judged.inspections)).to_dict()
    assert document["at_thresholds"]["escapes"] == {"value": None, "low": None, "high": None}
    assert (document["accuracy"], document["accuracy_interval"]) == (1.0, [pytest.approx(0.025**0.5, abs=1e-5), 1.0])
    assert document["per_label"]["good"]["recall"]["value"] is None
