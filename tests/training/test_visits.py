"""Visits: which pictures are seen together, and of which the reports tell."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.core.label import LabelSet
from inspector.training.dataset import Picture
from inspector.training.edge_model import Visit
from inspector.training.visits import History, LotVisits, Pool, PositionVisits, last_reports
from inspector.vlm.prompt import build_prompt
from tests.conftest import Tiny

START = datetime(2020, 8, 28, tzinfo=UTC)
LABELS = LabelSet(("good", "scale"), "good")


def photo(number: int, group: str, day: int, label: str) -> Picture:
    return Picture(Path(f"{number}.png"), label, "train", group, START + timedelta(days=day))


def positions(groups: int, days: int) -> list[Picture]:
    """Return pictures of positions, not in the order of their times; the last third of the days shows scale."""
    shuffled = np.random.default_rng(0).permutation(groups * days)
    spots = [(int(n) // days, int(n) % days) for n in shuffled]
    return [photo(i, f"p{group}", day, "scale" if day >= 2 * days / 3 else "good") for i, (group, day) in enumerate(spots)]


@dataclass(frozen=True)
class Told:
    """A drawn visit and which pictures it shows and tells of."""

    visit: Visit
    members: NDArray[np.int64]
    told: NDArray[np.int64]
    blind: bool


class SpyPool(Pool):
    """A real pool that remembers what was asked of it."""

    asked: list[Told]

    def visit(
        self,
        members: NDArray[np.int64],
        told: NDArray[np.int64],
        rng: np.random.Generator,
        *,
        blind: bool,
        prior: NDArray[np.float64] | None = None,
    ) -> Visit:
        visit = Pool.visit(self, members, told, rng, blind=blind, prior=prior)
        self.asked.append(Told(visit, members, told, blind))
        return visit


def pool_of(pictures: list[Picture], tiny: Tiny, most: int = 3) -> SpyPool:
    """Return a pool whose report about picture i has i in its first place, so that a visit shows what it tells of."""
    vectors = np.zeros((len(pictures), 2, 384), np.float32)
    vectors[:, :, 0] = np.arange(len(pictures))[:, None]
    features = np.zeros((len(pictures), 2, 272, 4, 4), np.float16)
    prompts = [build_prompt(tiny.tokenizer, "strip", LABELS, count) for count in range(most + 1)]
    pool = SpyPool(LABELS, pictures, features, prompts, vectors)
    object.__setattr__(pool, "asked", [])
    return pool


def drawn(source: LotVisits[Visit] | PositionVisits[Visit], history: History, *, blind: bool = False, count: int = 150) -> Iterator[Told]:
    pool: Any = source.pool
    for seed in range(count):
        source.draw(np.random.default_rng(seed), 4, history, blind=blind)
        told: Told = pool.asked[-1]
        assert told.visit.vectors[:, 0].tolist() == told.told.tolist()
        assert len(told.visit.prompt.slots) == len(told.told)
        yield told


@pytest.mark.parametrize("history", ["true", "swapped"])
@pytest.mark.parametrize("groups", [1, 2, 5])
def test_a_position_is_never_told_of_its_own_present_or_future(tiny: Tiny, history: History, groups: int) -> None:
    pictures = positions(groups, 12)
    for case in drawn(PositionVisits(pool_of(pictures, tiny)), history):
        group = {pictures[i].group for i in case.members}
        assert len(group) == 1
        first = min(str(pictures[i].taken_at) for i in case.members)
        assert not [i for i in case.told if pictures[i].group in group and str(pictures[i].taken_at) >= first]
        assert len({pictures[i].group for i in case.told}) <= 1


def test_swapped_reports_of_a_position_are_those_of_another(tiny: Tiny) -> None:
    pictures = positions(4, 12)
    for case in drawn(PositionVisits(pool_of(pictures, tiny)), "swapped"):
        assert not {pictures[i].group for i in case.told} & {pictures[i].group for i in case.members}


def test_true_reports_of_a_position_are_the_last_ones_before_its_pictures(tiny: Tiny) -> None:
    pictures = positions(3, 12)
    seen = 0
    for case in drawn(PositionVisits(pool_of(pictures, tiny)), "true"):
        days = [(pictures[i].taken_at or START) for i in case.told]
        assert days == sorted(days)
        assert {pictures[i].group for i in case.told} <= {pictures[i].group for i in case.members}
        seen += len(case.told)
    assert seen > 100


@pytest.mark.parametrize("history", ["true", "swapped"])
def test_a_lot_is_never_told_of_a_picture_that_it_shows(tiny: Tiny, history: History) -> None:
    pictures = [photo(i, f"g{i}", 0, ("good", "scale")[i % 2]) for i in range(8)]
    for case in drawn(LotVisits(pool_of(pictures, tiny)), history):
        assert not set(case.told.tolist()) & set(case.members.tolist())
        assert len(case.told) <= 3


def test_pictures_and_reports_of_a_lot_share_its_mix_of_labels(tiny: Tiny) -> None:
    pictures = [photo(i, f"g{i}", 0, ("good", "scale")[i % 2]) for i in range(200)]
    pool = pool_of(pictures, tiny)

    def covariance(history: History) -> float:
        cases = [case for case in drawn(LotVisits(pool), history, count=400) if len(case.told)]
        pairs = np.array([(pool.targets[case.members].mean(), pool.targets[case.told].mean()) for case in cases])
        return float(np.corrcoef(pairs.T)[0, 1])

    assert covariance("true") > 0.6
    assert abs(covariance("swapped")) < 0.25


@pytest.mark.parametrize("kind", [LotVisits, PositionVisits])
def test_a_visit_without_history_has_no_report(tiny: Tiny, kind: type[LotVisits[Visit] | PositionVisits[Visit]]) -> None:
    for case in drawn(kind(pool_of(positions(3, 9), tiny)), "none", count=20):
        assert len(case.told) == 0
        assert case.visit.stride_16 is not None


@pytest.mark.parametrize("kind", [LotVisits, PositionVisits])
@pytest.mark.parametrize("history", ["true", "none", "swapped"])
def test_a_blind_visit_shows_reports_alone_and_never_nothing_at_all(
    tiny: Tiny, kind: type[LotVisits[Visit] | PositionVisits[Visit]], history: History
) -> None:
    cases = list(drawn(kind(pool_of(positions(3, 3), tiny)), history, blind=True, count=80))
    assert all((case.visit.stride_16 is None) == (len(case.told) > 0) for case in cases)
    assert any(case.visit.stride_16 is None for case in cases)


@pytest.mark.parametrize("kind", [LotVisits, PositionVisits])
@pytest.mark.parametrize("history", ["true", "none", "swapped"])
def test_a_model_without_reports_can_be_trained(tiny: Tiny, kind: type[LotVisits[Visit] | PositionVisits[Visit]], history: History) -> None:
    for blind in (False, True):
        cases = drawn(kind(pool_of(positions(3, 9), tiny, most=0)), history, blind=blind, count=5)
        assert all(len(case.told) == 0 and case.visit.stride_16 is not None for case in cases)


@pytest.mark.parametrize("kind", [LotVisits, PositionVisits])
def test_the_same_seed_draws_the_same_visit(tiny: Tiny, kind: type[LotVisits[Visit] | PositionVisits[Visit]]) -> None:
    source = kind(pool_of(positions(3, 9), tiny))
    one, other = (source.draw(np.random.default_rng(5), 4, "true", blind=False) for _ in range(2))
    assert torch.equal(one.vectors, other.vectors)
    assert torch.equal(one.targets, other.targets)


def test_the_targets_are_the_labels_of_the_members(tiny: Tiny) -> None:
    pictures = positions(3, 9)
    for case in drawn(PositionVisits(pool_of(pictures, tiny)), "true", count=20):
        assert case.visit.targets.tolist() == [LABELS.names.index(pictures[i].label) for i in case.members]


@pytest.mark.parametrize("most", [0, 2, 99])
def test_the_last_reports_are_those_of_earlier_pictures_of_the_position(tiny: Tiny, most: int) -> None:
    pictures = [*positions(3, 6), photo(90, "p1", 3, "good"), Picture(Path("x.png"), "good", "train", "p1")]
    pool = pool_of(pictures, tiny)
    for index, picture in enumerate(pictures):
        found = [pictures[i] for i in last_reports(pool, index, most)]
        earlier = sorted(
            p.taken_at for p in pictures if p.group == picture.group and p.taken_at and picture.taken_at and p.taken_at < picture.taken_at
        )
        assert [p.taken_at for p in found] == earlier[len(earlier) - min(most, len(earlier)) :]
        assert all(p.group == picture.group for p in found)


def test_pictures_near_a_change_of_label_are_drawn_more_often(tiny: Tiny) -> None:
    pictures = [photo(day, "p1", day, "scale" if day >= 20 else "good") for day in range(30)]
    anchors = [int(case.members[-1]) for case in drawn(PositionVisits(pool_of(pictures, tiny)), "none", count=600)]
    near, far = (np.mean([anchors.count(day) for day in days]) for days in (range(16, 24), (*range(12), *range(26, 30))))
    assert near > 2 * far > 0


def test_large_groups_are_drawn_less_often_than_their_size_says(tiny: Tiny) -> None:
    pictures = [Picture(Path(f"{i}.png"), "good" if i < 20 else "scale", "train", "many" if i < 16 else f"g{i}") for i in range(40)]
    seen: dict[bool, float] = {}
    for even in (False, True):
        cases = list(drawn(LotVisits(pool_of(pictures, tiny), even_groups=even), "none", count=300))
        members = np.concatenate([case.members for case in cases])
        seen[even] = float((members < 16).sum() / (members < 20).sum())
    assert seen[False] == pytest.approx(0.8, abs=0.06), "16 of 20 pictures"
    assert seen[True] == pytest.approx(0.5, abs=0.08), "4 of 4 + 1 + 1 + 1 + 1 roots"


def test_reports_of_a_lot_are_worth_what_bayes_rule_says(tiny: Tiny) -> None:
    pictures = [Picture(Path(f"{i}.png"), "good" if i < 20 else "scale", "train", f"g{i}") for i in range(40)]
    pool = pool_of(pictures, tiny)
    told = np.array([0, 1, 25])
    plain = LotVisits(pool, swapped=0.0)._prior(told, blind=False)
    half = LotVisits(pool, swapped=0.5)
    ok, scratch = (LABELS.names.index(name) for name in ("good", "scale"))
    total = 3 + 0.35 * len(LABELS.names)
    assert plain[ok] == pytest.approx(2.35 / total)
    assert plain[scratch] == pytest.approx(1.35 / total)
    assert half._prior(told, blind=False)[ok] == pytest.approx(0.5 * 2.35 / total + 0.5 / len(LABELS.names)), (
        "half of them are another lot's"
    )
    assert half._prior(told, blind=True)[ok] == pytest.approx(2.35 / total), "blind visits are never swapped"
    assert half._prior(told[:0], blind=False) == pytest.approx(np.full(len(LABELS.names), 1 / len(LABELS.names)))


def test_a_model_without_reports_is_taught_in_every_visit(tiny: Tiny) -> None:
    pictures = [Picture(Path(f"{i}.png"), "good" if i < 20 else "scale", "train", f"g{i}") for i in range(40)]
    for history in ("none", "true", "swapped"):
        for case in drawn(LotVisits(pool_of(pictures, tiny, most=0)), history, count=10):
            assert case.visit.prior is not None
            assert case.visit.prior.tolist() == pytest.approx([0.5, 0.5]), "nothing is told: both labels are as likely"


def test_the_newest_report_of_a_position_says_what_usually_follows(tiny: Tiny) -> None:
    pool = pool_of(positions(12, 12), tiny)
    source: PositionVisits[Visit] = PositionVisits(pool, swapped=0.25)
    names, rng = [picture.label for picture in pool.pictures], np.random.default_rng(1)
    seen: dict[str, list[float]] = {"good": [], "scale": []}
    for _ in range(60):
        visit = source.draw(rng, 4, "true", blind=False)
        assert visit.prior is not None
        assert visit.prior.sum().item() == pytest.approx(1.0)
        told = pool.asked[-1].told
        if len(told):
            seen[names[told[-1]]].append(visit.prior[0].item())
        else:
            assert visit.prior.tolist() == pytest.approx([0.5, 0.5])
    # Scale stays; the last good look is followed by scale in two lags of three and a third of the good ones are such.
    assert max(seen["scale"]) < 0.25, "once there is scale it stays"
    assert max(seen["scale"]) > 0.125, "a quarter of the histories are another position's"
    assert min(seen["good"]) > 0.5
    told_alone = source.draw(rng, 4, "true", blind=True)
    if len(told_alone.vectors):
        assert told_alone.prior is not None
        assert min(told_alone.prior.tolist()) < 0.25


def test_a_position_without_history_is_taught_that_all_labels_are_alike(tiny: Tiny) -> None:
    pool = pool_of(positions(6, 9), tiny)
    visit = PositionVisits(pool).draw(np.random.default_rng(0), 4, "none", blind=False)
    assert visit.prior is not None
    assert visit.prior.tolist() == pytest.approx([0.5, 0.5])
