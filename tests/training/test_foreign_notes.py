"""Notes about other machines among a visit's reports: nothing else changes, and a model is tested with other ones."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inspector.training.ablation import FOREIGN
from inspector.training.dataset import Picture
from inspector.training.edge_model import Visit
from inspector.training.foreign_notes import WithForeignNotes, training_notes
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.training.recipe_visits import visits_of
from inspector.training.visits import History, Pool
from inspector.vlm.prompt import build_prompt
from tests.conftest import Tiny

MOST = 4
NOTES = np.full((5, 384), -1.0, np.float32)


@dataclass(frozen=True)
class Same:
    """A source of one and the same visit."""

    visit: Visit

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> Visit:
        return self.visit


def visit_of(tiny: Tiny, own: int) -> tuple[Visit, list[object]]:
    prompts = [build_prompt(tiny.tokenizer, "strip", tiny.labels, count) for count in range(MOST + 1)]
    vectors = torch.arange(own).float()[:, None].expand(own, 384)
    return Visit(prompts[own], vectors, torch.zeros(2, 272, 4, 4), torch.tensor([0, 1]), prior=torch.tensor([0.5, 0.5])), [*prompts]


@pytest.mark.parametrize("own", range(MOST + 1))
def test_one_or_two_notes_stand_among_the_reports_and_nothing_else_changes(tiny: Tiny, own: int) -> None:
    visit, prompts = visit_of(tiny, own)
    source = WithForeignNotes(Same(visit), prompts, NOTES, 1.0)  # type: ignore[arg-type]
    places = set[tuple[int, ...]]()
    for seed in range(60):
        drawn = source.draw(np.random.default_rng(seed), 2, "true", blind=False)
        said = drawn.vectors[:, 0]
        assert said[said >= 0].tolist() == list(range(own)), "the true reports are all there, in their order"
        assert 1 <= (said < 0).sum() <= 2 or own == MOST
        assert len(drawn.prompt.slots) == len(said) <= MOST
        assert replace(drawn, prompt=visit.prompt, vectors=visit.vectors) == visit
        places.add(tuple(np.flatnonzero(said < 0).tolist()))
    assert len(places) == {0: 2, 1: 5, 2: 9, 3: 4, 4: 1}[own], "every place is drawn"


def test_as_many_visits_get_notes_as_the_recipe_says_and_none_where_it_says_none(tiny: Tiny) -> None:
    pictures = [Picture(Path(f"{number}.png"), tiny.labels.names[number % 4], "train", f"g{number}") for number in range(40)]
    prompts = [build_prompt(tiny.tokenizer, "strip", tiny.labels, count) for count in range(MOST + 1)]
    pool = Pool(tiny.labels, pictures, np.zeros((40, 1, 272, 4, 4), np.float16), prompts, np.ones((40, 2, 384), np.float32), notes=NOTES)
    product = ProductRecipe(description="strip", labels=tiny.labels.names, data="strip", history="lots")
    recipe = Recipe(name="tiny", products={"strip": product})

    def share(foreign: float, history: History) -> float:
        source = visits_of(product, recipe.model_copy(update={"foreign_reports": foreign}), pool)
        drawn = [source.draw(np.random.default_rng(seed), 2, history, blind=False).vectors[:, 0] for seed in range(400)]
        return float(np.mean([bool((said < 0).any()) for said in drawn]))

    assert share(0.0, "true") == 0.0
    assert share(0.3, "none") == pytest.approx(0.3, abs=0.06)
    assert share(1.0, "none") == 1.0
    assert 0.15 < share(0.3, "true") < 0.3, "visits that are full of true reports have no room"


def test_a_note_that_a_model_is_tested_with_is_never_taught_nor_its_machine() -> None:
    machines = ("conveyor", "pump", "forklift", "compressor", "chiller", "hydraulic", "press ", "crane", "cooling", "strainer")
    taught = training_notes()
    assert len(set(taught)) == len(taught) > 200
    assert not set(taught) & set(FOREIGN)
    assert not [note for note in taught for machine in machines if re.search(rf"\b{machine.strip()}\b", note.lower())]
