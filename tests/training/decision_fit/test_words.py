"""What is said is true, in numbers that somebody can act on."""

import re
from dataclasses import replace

import numpy as np
import pytest

from inspector.training.decision_fit.evidence import Evidence
from inspector.training.decision_fit.fit import Fitted, Refused, Wish, fit
from inspector.training.decision_fit.refusal import refused_lines
from inspector.training.decision_fit.words import Basis, fitted_lines, promise
from tests.training.decision_fit.synthetic import synthetic


def said(evidence: Evidence, wish: Wish) -> str:
    found, basis = fit(evidence, wish), Basis.of(evidence)
    if isinstance(found, Refused):
        return "\n".join(refused_lines(found, wish, basis, evidence.labels))
    return "\n".join(fitted_lines(found, wish, basis))


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.01, "of 100 defective parts of this kind at most 1 passes, with 90 % confidence, as long as parts look like these"),
        (0.05, "of 100 defective parts of this kind at most 5 pass"),
        (0.005, "of 1000 defective parts of this kind at most 5 pass"),
        (0.0123, "of 10000 defective parts of this kind at most 123 pass"),
        (0.12345, "of defective parts of this kind at most 12.3 % pass"),
    ],
)
def test_a_promise_counts_whole_parts(rate: float, words: str) -> None:
    assert promise(Wish(rate)).startswith(words)


def test_a_fit_tells_promise_ground_price_and_what_more_parts_would_buy() -> None:
    text = said(synthetic(400, labels=3, sizes=(1, 3), seed=1), Wish(0.05))
    assert "of 100 defective parts of this kind at most 5 pass, with 90 % confidence" in text
    for part in (
        r"proved by: \d+ groups with defective parts \(Hoeffding-Bentkus bound\)",
        r"seen on: \d+ pictures in 400 groups, \d+ defective ones in \d+ groups",
        r"temperature: \d+ groups with defective parts served it alone",
        r"thresholds: pass_above 0\.\d+, fail_above 0\.\d+, temperature",
        r"review: [\d.]+ % of these pictures, [\d.]+ % of the good and [\d.]+ % of the defective ones",
        r"false rejects: [\d.]+ % of the good pictures fail",
        r"to promise 2\.5 %: ",
        r"to halve the review: |fewer reviews: --max-review",
    ):
        assert re.search(part, text), part


def test_a_fit_offers_the_fewest_reviews_of_its_promise_and_the_offer_holds() -> None:
    evidence = synthetic(400, seed=3)
    offered = re.search(r"fewer reviews: --max-review ([\d.]+) is within this promise, then ([\d.]+) %", said(evidence, Wish(0.08)))
    assert offered
    kept = fit(evidence, Wish(0.08, max_review=float(offered[1])))
    assert isinstance(kept, Fitted)
    assert 100 * kept.shares.false_reject <= float(offered[2]) + 0.05


def test_too_few_groups_hear_how_many_are_missing_and_what_they_could_promise() -> None:
    text = said(synthetic(12, sizes=(60,), seed=1, defective=1.0), Wish(0.01))
    assert "smallest escape rate that can be promised is 17.5 %" in text
    assert "1 % needs 230 groups with defective parts: 218 more" in text
    with_temperature = said(synthetic(12, labels=3, sizes=(60,), seed=1, defective=1.0), Wish(0.01))
    assert "needs 235 groups with defective parts (5 of them for the temperature): 223 more" in with_temperature


def test_what_a_refusal_says_can_be_promised_is_promised_when_asked_for() -> None:
    posterior = np.array([[0.9, 0.1]] * 30 + [[0.1, 0.9]] * 12)[:, None]
    evidence = Evidence(posterior, np.array([0] * 30 + [1] * 12), np.arange(42), 0)
    assert "smallest escape rate that can be promised is 17.5 %" in said(evidence, Wish(0.01))
    assert isinstance(fit(evidence, Wish(0.1755)), Fitted)
    assert isinstance(fit(evidence, Wish(0.1740)), Refused)


def test_without_a_defective_or_a_good_picture_it_says_so() -> None:
    evidence = synthetic(400, seed=2)
    assert "say nothing about escapes" in said(evidence.taken(~evidence.is_defective), Wish(0.05))
    assert "no good picture among these" in said(evidence.taken(evidence.is_defective), Wish(0.05))


def test_hidden_defects_and_too_much_review_are_told_with_what_could_be_had() -> None:
    posterior = np.array([[0.8, 0.2]] * 30 + [[0.95, 0.05]] * 3 + [[0.1, 0.9]] * 27)[:, None]
    hidden = said(Evidence(posterior, np.array([0] * 30 + [1] * 30), np.arange(60), 0), Wish(0.08))
    assert "would let nothing pass" in hidden
    escape = re.search(r"goes with --max-escape ([\d.]+): 10 % of these defective parts pass then", hidden)
    assert escape
    assert isinstance(fit(Evidence(posterior, np.array([0] * 30 + [1] * 30), np.arange(60), 0), Wish(float(escape[1]))), Fitted)
    crowded = said(synthetic(400, seed=2), Wish(0.05, max_review=0.01))
    assert re.search(r"sends at least [\d.]+ % of these pictures to review, 1 % is wished", crowded)
    assert "goes with --max-escape" in crowded
    assert "or leave --max-review out" in crowded


def test_faults_are_counted() -> None:
    evidence = synthetic(300, seed=5)
    posterior = evidence.posterior.copy()
    posterior[:7] = np.nan
    assert "; 7 got no verdict and count as review" in said(replace(evidence, posterior=posterior), Wish(0.05))


def test_a_product_that_cannot_pass_is_told_so() -> None:
    evidence = replace(synthetic(200, labels=3, seed=4), good=None)
    assert "nothing can pass and nothing can escape" in said(evidence, Wish(0.01))
