"""The plain classifier: learns what can be seen, with its tower or without, and teaches by Bayes' rule."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from inspector.core.label import LabelSet
from inspector.training.edge_model import Visit, VisitLearner
from inspector.training.picture import Picture
from inspector.training.plain_classifier import PlainClassifier, TaughtVisits
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.training.tower import Trunk, Upper
from inspector.training.train import Source, train
from inspector.training.visits import History, LotVisits, Pool
from inspector.vlm.prompt import build_prompt
from tests.conftest import Tiny

LABELS = LabelSet(("ok", "pit"), "ok")


def plan(**changes: object) -> Recipe:
    product = ProductRecipe(description="strip", labels=LABELS.names, good="ok", data=".", history="labels")
    base = {
        "name": "plain",
        "visits": 1,
        "visit_size": 8,
        "without_reports": 0.99,
        "swapped_reports": 0.0,
        "blind_start": 0.0,
        "blind": 0.0,
    }
    return Recipe.model_validate(base | {"learning_rate": 1e-3, "averaging": 0.8, "products": {"strip": product}} | changes)


def pool_of(tiny: Tiny, features: np.ndarray) -> Pool:
    pictures = [Picture(Path(f"{i}.png"), LABELS.names[i % 2], "train", f"g{i}") for i in range(len(features))]
    prompts = [build_prompt(tiny.tokenizer, "strip", LABELS, 0)]
    return Pool(LABELS, pictures, features, prompts, np.zeros((len(features), 1, 384), np.float32))


@pytest.fixture
def looks(tiny: Tiny) -> Pool:
    rng = np.random.default_rng(3)
    looks = rng.normal(size=(2, 1, 272, 1, 1))
    return pool_of(tiny, np.stack([looks[i % 2] + 0.5 * rng.normal(size=(1, 272, 8, 8)) for i in range(16)]).astype(np.float16))


def test_it_learns_what_can_be_seen(looks: Pool, tmp_path: Path) -> None:
    model = PlainClassifier(Upper(), 2)
    model.upper.requires_grad_(requires_grad=False)
    model = train(model, {"strip": Source(LotVisits(looks), 1.0)}, plan(steps=30), tmp_path / "a.pt", Console(file=StringIO()))
    with torch.inference_mode():
        visit = Visit(looks.prompts[0], torch.zeros(0, 384), looks.seen(np.arange(16)), torch.zeros(16).long())
        found = model.log_posterior(visit)
    assert (found.argmax(1).numpy() == looks.targets).all()
    assert torch.allclose(found.exp().sum(1), torch.ones(16), atol=1e-5)


def test_the_whole_tower_learns_from_pixels(tiny: Tiny, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (8, 2, 64, 64, 3)).astype(np.uint8)
    model = PlainClassifier(Upper(), 2, Trunk())
    assert model.trunk is not None
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(
        model,
        {"strip": Source(LotVisits(pool_of(tiny, pixels)), 1.0)},
        plan(steps=2, deep=True),
        tmp_path / "a.pt",
        Console(file=StringIO()),
    )
    after = model.state_dict()
    for name in ("trunk._conv_stem.weight", "trunk._bn0.running_mean", "upper._blocks.15._bn2.running_mean"):
        assert not torch.equal(after[name], before[name]), name


def test_it_refuses_to_judge_without_pictures(looks: Pool) -> None:
    with pytest.raises(ValueError, match="without pictures"):
        PlainClassifier(Upper(), 2).log_posterior(Visit(looks.prompts[0], torch.zeros(0, 384), None, torch.zeros(2).long()))


class Fixed(VisitLearner):
    """Answers always alike."""

    def __init__(self, posterior: list[float]) -> None:
        super().__init__()
        self.posterior = torch.tensor([posterior], requires_grad=True)
        self.seen: list[Visit] = []

    def log_posterior(self, visit: Visit) -> torch.Tensor:
        self.seen.append(visit)
        return self.posterior.log().expand(len(visit.targets), -1)

    def rates(self) -> list[tuple[list[torch.nn.Parameter], float]]:
        return []


class Given:
    """One visit, again and again."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> Visit:
        return self.visit


def taught(visit: Visit, teacher: VisitLearner) -> Visit:
    return TaughtVisits(Given(visit), teacher).draw(np.random.default_rng(0), 1, "none", blind=False)


def test_a_taught_model_is_held_against_bayes_rule(looks: Pool) -> None:
    seen, told = looks.seen(np.arange(3)), torch.tensor([0.9, 0.1])
    visit = Visit(looks.prompts[0], torch.zeros(0, 384), seen, torch.ones(3).long(), kept=torch.zeros(3, 272), prior=told)
    teacher, model = Fixed([0.5, 0.5]), Fixed([0.9, 0.1])
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert model.loss([taught(visit, teacher)], 0.0).item() == pytest.approx(entropy, abs=1e-5), "picture says nothing, reports say .9"
    assert teacher.seen[0].kept is None, "the teacher sees all channels"
    sure = model.loss([taught(visit, Fixed([0.1, 0.9]))], 0.0)
    assert sure.item() == pytest.approx(-0.5 * np.log(0.9) - 0.5 * np.log(0.1), abs=1e-5), ".1 x .9 against .9 x .1"
    assert model.loss([visit], 0.0).item() == pytest.approx(-np.log(0.1), abs=1e-5), "without a teacher: the true label"


def test_a_taught_model_without_pictures_learns_the_reports(looks: Pool) -> None:
    visit = Visit(looks.prompts[0], torch.zeros(0, 384), None, torch.ones(2).long(), prior=torch.tensor([0.25, 0.75]))
    expected = -0.25 * np.log(0.5) - 0.75 * np.log(0.5)
    assert Fixed([0.5, 0.5]).loss([taught(visit, Fixed([1.0, 0.0]))], 0.0).item() == pytest.approx(expected, abs=1e-5)
