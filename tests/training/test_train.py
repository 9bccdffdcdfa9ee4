"""Training: deterministic, resumable, and honest about a loss that is no number."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from inspector.errors import CheckpointError
from inspector.training.dataset import Picture
from inspector.training.edge_model import EdgeModel, Visit
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.training.train import Check, Source, _rate, drawn_visits, train
from inspector.training.visits import History, LotVisits, Pool, Visits
from inspector.vlm.prompt import build_prompt
from tests.conftest import Tiny, tiny_model


def recipe(**changes: object) -> Recipe:
    product = ProductRecipe(description="strip", labels=("good", "scale", "scale_pit", "scale_crack"), data="strip", history="lots")
    plan = Recipe(name="tiny", steps=4, visits=2, visit_size=2, max_reports=2, learning_rate=1e-3, products={"strip": product})
    return plan.model_copy(update=changes)


@pytest.fixture(scope="module")
def pool(tiny: Tiny) -> Pool:
    """Made-up features and reports of twelve pictures."""
    rng, names = np.random.default_rng(3), tiny.labels.names
    pictures = [Picture(Path(f"{i}.png"), names[i % 4], "train", f"g{i}") for i in range(12)]
    vectors = rng.normal(size=(12, 2, 384)).astype(np.float32)
    prompts = [build_prompt(tiny.tokenizer, "strip", tiny.labels, count) for count in range(3)]
    return Pool(tiny.labels, pictures, rng.normal(size=(12, 2, 272, 8, 8)).astype(np.float16), prompts, vectors)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(autouse=True)
def _saves_often_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread: several would wait for each other on a busy machine."""
    monkeypatch.setattr("inspector.training.train.SAVE_EVERY_S", 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Killed:
    """Visits that end the run, as a kill does, at a given draw."""

    def __init__(self, inner: Visits[Visit], at: int) -> None:
        self.inner, self.left = inner, at

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> Visit:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.inner.draw(rng, size, history, blind=blind)


def fresh(tiny: Tiny) -> EdgeModel:
    return tiny_model(tiny.tokenizer.get_vocab_size())[1]


def sources(pool: Pool) -> dict[str, Source]:
    return {"strip": Source(LotVisits(pool), 1.0)}


def weights(model: EdgeModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_weights(tiny: Tiny, pool: Pool, console: Console, tmp_path: Path) -> None:
    whole = weights(train(fresh(tiny), sources(pool), recipe(), tmp_path / "a.pt", console))
    state = tmp_path / "b.pt"
    with pytest.raises(KeyboardInterrupt):
        train(fresh(tiny), {"strip": Source(Killed(LotVisits(pool), at=6), 1.0)}, recipe(), state, console)
    assert state.is_file()
    resumed = weights(train(fresh(tiny), sources(pool), recipe(), state, console))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    start = weights(fresh(tiny))
    moved = {name.split(".")[0] for name in whole if not torch.equal(whole[name], start[name])}
    assert moved == {"upper", "decoder", "merger", "projector", "logit_scale"}, "all parts learn, the embedding does not"


def test_a_finished_run_is_not_trained_again(tiny: Tiny, pool: Pool, console: Console, tmp_path: Path) -> None:
    state = tmp_path / "a.pt"
    once = weights(train(fresh(tiny), sources(pool), recipe(steps=2), state, console))
    never = {"strip": Source(Killed(LotVisits(pool), at=0), 1.0)}
    again = weights(train(fresh(tiny), never, recipe(steps=2), state, console))
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_the_batch_norms_keep_their_statistics(tiny: Tiny, pool: Pool, console: Console, tmp_path: Path) -> None:
    before = fresh(tiny)
    after = train(fresh(tiny), sources(pool), recipe(steps=2), tmp_path / "a.pt", console).state_dict()
    kept = [name for name in after if "running" in name or "num_batches" in name]
    assert kept
    assert all(torch.equal(after[name], before.state_dict()[name]) for name in kept)


def test_a_loss_that_is_no_number_stops_the_run(tiny: Tiny, pool: Pool, console: Console, tmp_path: Path) -> None:
    model = fresh(tiny)
    with torch.no_grad():
        model.logit_scale.fill_(float("nan"))
    with pytest.raises(CheckpointError, match=r"step 1: the loss is nan; lower learning_rate"):
        train(model, sources(pool), recipe(), tmp_path / "a.pt", console)
    assert not (tmp_path / "a.pt").exists()


def test_the_visits_of_a_step_depend_on_seed_and_step_alone(pool: Pool) -> None:
    one, other = (list(drawn_visits(sources(pool), recipe(), 3)) for _ in range(2))
    assert all(torch.equal(a.targets, b.targets) and torch.equal(a.vectors, b.vectors) for a, b in zip(one, other, strict=True))
    different = list(drawn_visits(sources(pool), recipe(seed=9), 3))
    assert any(not torch.equal(a.targets, b.targets) for a, b in zip(one, different, strict=True))


def test_first_steps_of_reports_alone_see_as_many_visits_as_others_see_pictures(pool: Pool) -> None:
    plan = recipe(visits=3, visit_size=5, blind=0.0)
    first, later = (list(drawn_visits(sources(pool), plan, 7, is_blind=is_blind)) for is_blind in (True, False))
    assert len(first) == 15
    assert sum(visit.stride_16 is None for visit in first) >= 10, "a visit without any report left shows its pictures"
    assert len(later) == 3
    assert all(visit.stride_16 is not None for visit in later)


def test_products_get_their_share_of_the_visits(pool: Pool) -> None:
    drawn = {"a": 0, "b": 0}

    class Counted:
        def __init__(self, name: str) -> None:
            self.name = name

        def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> Visit:
            drawn[self.name] += 1
            return LotVisits(pool).draw(rng, size, history, blind=blind)

    shares = {"a": Source(Counted("a"), 0.75), "b": Source(Counted("b"), 0.25)}
    for step in range(150):
        list(drawn_visits(shares, recipe(), step))
    assert drawn["a"] + drawn["b"] == 300
    assert 190 < drawn["a"] < 260


def test_the_rate_rises_to_its_peak_and_falls_towards_nothing() -> None:
    rates = [_rate(step / 100) for step in range(101)]
    assert rates[0] < rates[1] < max(rates) <= 1.0
    assert rates[-1] == pytest.approx(0.02)
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_the_best_weights_are_kept(tiny: Tiny, pool: Pool, console: Console, tmp_path: Path) -> None:
    scores, seen = iter([(1.0,), (3.0,), (3.0,), (2.0,), (2.5,)]), list[dict[str, torch.Tensor]]()

    def measure(model: EdgeModel) -> tuple[float, ...]:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(scores)

    best = weights(train(fresh(tiny), sources(pool), recipe(steps=5), tmp_path / "a.pt", console, Check(1, measure)))
    assert len(seen) == 5
    assert all(torch.equal(best[name], seen[1][name]) for name in best)
    assert any(not torch.equal(seen[1][name], seen[3][name]) for name in best)
    again = train(fresh(tiny), sources(pool), recipe(steps=5), tmp_path / "a.pt", console, Check(1, measure))
    assert all(torch.equal(best[name], value) for name, value in weights(again).items()), "it is over: not looked at again"


def test_a_killed_run_remembers_its_best_weights(tiny: Tiny, pool: Pool, console: Console, tmp_path: Path) -> None:
    def check() -> Check[EdgeModel]:
        return Check(1, lambda model: (-float(model.state_dict()["logit_scale"]),))

    whole = weights(train(fresh(tiny), sources(pool), recipe(), tmp_path / "a.pt", console, check()))
    with pytest.raises(KeyboardInterrupt):
        train(fresh(tiny), {"strip": Source(Killed(LotVisits(pool), at=6), 1.0)}, recipe(), tmp_path / "b.pt", console, check())
    resumed = weights(train(fresh(tiny), sources(pool), recipe(), tmp_path / "b.pt", console, check()))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_ends_when_its_time_is_over(
    tiny: Tiny, pool: Pool, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("inspector.training.train.time.monotonic", lambda: float(next(clock)))
    drawn = Killed(LotVisits(pool), at=6)
    plan = recipe(steps=1000, limit_s=25.0, blind_start=0.0)
    train(fresh(tiny), {"strip": Source(drawn, 1.0)}, plan, tmp_path / "a.pt", console)
    assert drawn.left == 0, "three steps of ten seconds, two visits each"


def test_what_can_be_seen_is_learnt(tiny: Tiny, pool: Pool, console: Console, tmp_path: Path) -> None:
    rng, names = np.random.default_rng(5), tiny.labels.names
    pictures = [Picture(Path(f"{i}.png"), names[i % 4], "train", f"g{i}") for i in range(24)]
    looks = rng.normal(size=(4, 1, 272, 1, 1))
    features = np.stack([looks[i % 4] + 0.5 * rng.normal(size=(1, 272, 8, 8)) for i in range(24)]).astype(np.float16)
    seen = Pool(tiny.labels, pictures, features, pool.prompts, rng.normal(size=(24, 2, 384)).astype(np.float32))
    plan = recipe(steps=40, visits=2, visit_size=6, without_reports=0.8, blind_start=0.0, blind=0.0, averaging=0.9)
    model = train(fresh(tiny), {"strip": Source(LotVisits(seen), 1.0)}, plan, tmp_path / "a.pt", console)
    with torch.inference_mode():
        posterior = model.log_posterior(Visit(seen.prompts[0], torch.zeros(0, 384), seen.seen(np.arange(24)), torch.zeros(24).long()))
    right = (posterior.argmax(1).numpy() == seen.targets).mean()
    assert right >= 0.9
