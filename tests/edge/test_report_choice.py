"""Which reports are chosen, for any candidates."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector.edge.instants import to_text
from inspector.edge.report_choice import Candidate, ages_days, best, hour_of, query_text, scores

CANDIDATES = st.lists(
    st.builds(
        Candidate, st.text("abc", min_size=1, max_size=3), st.sampled_from(["2026-01-01", "2026-01-02", "2026-02-01"]), st.booleans()
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.report_id,
)


@given(CANDIDATES, st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=12, max_size=12), st.integers(1, 6), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_the_candidates(
    candidates: list[Candidate], score: list[float], count: int, random: object
) -> None:
    by_id = dict(zip((candidate.report_id for candidate in candidates), score, strict=False))
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    chosen = [[group[i] for i in best(group, np.array([by_id[c.report_id] for c in group]), count)] for group in (candidates, shuffled)]
    assert chosen[0] == chosen[1]


@given(CANDIDATES, st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=12, max_size=12), st.integers(1, 6))
def test_no_report_left_out_beats_one_that_was_chosen_and_the_oldest_stands_first(
    candidates: list[Candidate], score: list[float], count: int
) -> None:
    chosen = best(candidates, np.array(score[: len(candidates)]), count)
    left = set(range(len(candidates))) - set(chosen)
    assert len(chosen) == min(count, len(candidates))
    assert all((candidates[i].same_lot, score[i]) >= (candidates[j].same_lot, score[j]) for i in chosen for j in left)
    keys = [(candidates[i].written_at, candidates[i].report_id) for i in chosen]
    assert keys == sorted(keys)


def test_of_two_equal_scores_the_later_report_wins() -> None:
    assert best([Candidate("b", "2026-01-02", False), Candidate("a", "2026-01-01", False)], np.array([0.5, 0.5]), 1) == [0]


def test_recency_falls_to_1_over_e_at_recency_days_and_a_future_report_has_age_zero() -> None:
    asked = datetime(2026, 3, 1, tzinfo=UTC)
    ages = ages_days([to_text(datetime(2026, 1, 30, tzinfo=UTC)), to_text(asked), to_text(datetime(2026, 3, 1, 0, 30, tzinfo=UTC))], asked)
    assert ages.tolist() == [30.0, 0.0, 0.0]
    assert scores(np.zeros(3, np.float32), ages, recency_days=30.0, recency_weight=1.0).tolist() == [round(np.exp(-1), 6), 1.0, 1.0]
    assert scores(np.ones(3, np.float32), ages, recency_days=30.0, recency_weight=0.0).tolist() == [1.0, 1.0, 1.0]


def test_the_query_names_description_lot_and_station_and_falls_back_to_the_product() -> None:
    assert query_text("ball-screw", "ball screw spindle", "cell4", "L7") == "ball screw spindle, lot L7, station cell4"
    assert query_text("ball_screw", " ", "cell4", None) == "ball screw, station cell4"


def test_ages_count_from_the_hour() -> None:
    assert hour_of(datetime(2026, 3, 1, 7, 59, 59, 9, tzinfo=UTC)) == datetime(2026, 3, 1, 7, tzinfo=UTC)
