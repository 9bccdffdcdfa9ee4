"""What a teacher believes, learnt: the loss against beliefs, and labels that a teacher never gave."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.training.dataset import Picture
from inspector.training.edge_model import Visit
from inspector.training.visits import LotVisits, Pool, PositionVisits
from inspector.vlm.prompt import build_prompt
from tests.conftest import Tiny


@pytest.fixture
def visit(tiny: Tiny) -> Visit:
    torch.manual_seed(3)
    prompt = build_prompt(tiny.tokenizer, "strip", tiny.labels, 0)
    return Visit(prompt, torch.zeros(0, 384), torch.randn(4, 272, 8, 8), torch.arange(4))


def test_a_sure_belief_is_a_label_and_an_unsure_one_is_weighed(tiny: Tiny, visit: Visit) -> None:
    with torch.inference_mode():
        sure = replace(visit, beliefs=torch.eye(4))
        assert torch.allclose(tiny.model.loss([sure], 0.3), tiny.model.loss([visit], 0.0))
        even = replace(visit, beliefs=torch.full((4, 4), 0.25))
        assert torch.allclose(tiny.model.loss([even], 0.0), -tiny.model.log_posterior(visit).mean())


def test_the_loss_is_least_where_the_model_believes_what_the_teacher_does(tiny: Tiny, visit: Visit) -> None:
    with torch.inference_mode():
        own = tiny.model.log_posterior(visit).exp()
        least = tiny.model.loss([replace(visit, beliefs=own)], 0.0) + (own * own.log()).sum(1).mean()
        other = own.roll(1, 0)
        more = tiny.model.loss([replace(visit, beliefs=other)], 0.0) + (other * other.log()).sum(1).mean()
    assert float(least) == pytest.approx(0.0, abs=1e-5)
    assert float(more) > 1e-4


@pytest.mark.parametrize("kind", [LotVisits, PositionVisits])
def test_visits_are_drawn_where_a_label_has_no_picture_and_carry_their_beliefs(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, kind: type[LotVisits[Visit] | PositionVisits[Visit]]
) -> None:
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    pictures = [Picture(folder / f"{n}.png", ("good", "scale_pit")[n % 2], "train", f"g{n % 3}") for n in range(12)]
    prompts = [build_prompt(tiny.tokenizer, "strip", tiny.labels, count) for count in range(3)]
    features = rng.normal(size=(12, 1, 272, 8, 8)).astype(np.float16)
    beliefs = rng.dirichlet(np.ones(4), size=12).astype(np.float32)
    pool = Pool(tiny.labels, pictures, features, prompts, rng.normal(size=(12, 2, 384)).astype(np.float32), beliefs=beliefs)
    seen = set()
    for _ in range(20):
        drawn = kind(pool).draw(rng, 4, "true", blind=False)
        assert drawn.beliefs is not None
        for row, target in zip(drawn.beliefs.numpy(), drawn.targets.tolist(), strict=True):
            place = int(np.flatnonzero((beliefs == row).all(1))[0])
            assert tiny.labels.names.index(pictures[place].label) == target
            seen.add(target)
    assert seen == {0, 2}
