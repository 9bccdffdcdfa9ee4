"""What is decided before training: the recipe for a product's pictures on this machine. One command and no ML words: nothing is asked.

The rules are those that measurements in models/LOG.md speak for.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.core.label import LabelSet
from inspector.settings import Symmetry
from inspector.training.picture import Picture, read_rgb
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.vlm.parity_memory import this_machine

_SMALL_PX = 128
"""Pictures up to this long a side show structures that a trunk learnt on photographs does not know; there the whole tower learns."""
_LOOKED_AT = 40
_CACHE_BYTES = 6e9
"""What the cached features or pixels may take on the disk."""
_COPIES_A_MINUTE = 500
"""Varied copies of all pictures together for each minute of the wish: about a quarter of the time."""
_EPOCHS, _LEAST_STEPS = 40, 400
"""Passes over the pictures at most, and optimiser steps that even few pictures get."""
_END_S, _JUDGED_S = 45.0, 0.15
"""What export and parity gate take, and what judging a picture at the end takes, seconds."""
_NARROWING, _NARROWING_FROM = 0.12, 5.0
"""Share of the wish in which the model learns to answer with 4 bits, and the minutes from which on that is tried."""
LEAST_S = 30.0
"""What learning gets at least, seconds."""
_FEATURES = 272
_DROPOUT = 0.2
"""Share of the trunk's channels left out at random: without it the parts learnt from are memorised within 120 steps."""
_HISTORY_SHARE = 0.8
"""Share of the pictures that must say when they were taken, in groups of several, for their order to be a history."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user says."""

    minutes: float = 15.0
    """How long all of it may take."""
    seed: int = 0
    """Seed of everything random."""


def plan(product: ProductRecipe, name: str, pictures: Sequence[Picture], wish: Wish, max_reports: int) -> Recipe:
    """Return the recipe for these training pictures, with at most ``max_reports`` reports beside each."""
    side = 128 if _median_side(pictures) <= _SMALL_PX else 256
    deep = side == 128
    visits, visit_size = 4, 8 if deep else 6
    each = side * side * 3 if deep else _FEATURES * (side // 16) ** 2 * 2
    return Recipe(
        name=name,
        seed=wish.seed,
        image_px=side,
        copies=_copies(_CACHE_BYTES / each if deep else min(_CACHE_BYTES / each, wish.minutes * _COPIES_A_MINUTE), pictures),
        steps=max(_EPOCHS * len(pictures) // (visits * visit_size), _LEAST_STEPS),
        deep=deep,
        even_groups=True,
        dropout=_DROPOUT,
        mixing=1.0,
        half=has_half(),
        visits=visits,
        visit_size=visit_size,
        learning_rate=1e-4,
        averaging=0.98,
        max_reports=max_reports,
        blind_start=0.1 if max_reports else 0.0,
        blind=0.1 if max_reports else 0.0,
        without_reports=0.5 if max_reports else 0.75,
        swapped_reports=0.2,
        products={"product": product},
    )


def with_learnt_tower(recipe: Recipe, pictures: Sequence[Picture], wish: Wish) -> Recipe:
    """Return the recipe for what comes after the whole tower has learnt: its features are kept, and cost more time than pixels."""
    return recipe.model_copy(update={"deep": False, "copies": _copies(wish.minutes * _COPIES_A_MINUTE, pictures)})


def _copies(all_together: float, pictures: Sequence[Picture]) -> int:
    """Return the varied copies of each picture."""
    return int(np.clip(all_together / len(pictures), 2, 12))


def product_recipe(labels: LabelSet, description: str, symmetry: Symmetry, pictures: Sequence[Picture]) -> ProductRecipe:
    """Return the product's part of the recipe."""
    return ProductRecipe(
        description=description,
        labels=labels.names,
        good=labels.good,
        data=".",
        history="times" if _has_history(pictures) else "labels",
        share=1.0,
        flip_x=symmetry in {"left-right", "both", "all"},
        flip_y=symmetry in {"up-down", "both", "all"},
        turn=symmetry == "all",
    )


def has_half() -> bool:
    """Return whether this processor multiplies bfloat16 matrices itself.

    Told by its flags and not by a clock, so that a run that was stopped on a busy machine finds its state again.
    """
    return any(flag in this_machine().processor for flag in ("avx512_bf16", "amx_bf16"))


def _median_side(pictures: Sequence[Picture]) -> float:
    """Return the median of the longer sides of some pictures, pixels."""
    places = np.linspace(0, len(pictures) - 1, min(_LOOKED_AT, len(pictures))).astype(int)
    return float(np.median([max(read_rgb(pictures[place].path).shape[:2]) for place in places]))


def _has_history(pictures: Sequence[Picture]) -> bool:
    """Return whether the order of the pictures within their groups is known, and there are several in a group."""
    groups = Counter(picture.group for picture in pictures if picture.taken_at is not None)
    return sum(count for count in groups.values() if count > 2) >= _HISTORY_SHARE * len(pictures)


def seeing_share(recipe: Recipe) -> float:
    """Return the share of the learning time in which the tower learns: its upper blocks, or all of it."""
    return 0.6 if recipe.deep else 0.4


def left_for_learning_s(wish: Wish, spent_s: float, checked: int) -> float:
    """Return the seconds for learning: what is left of the wish after ``spent_s``, without what the end takes with ``checked`` pictures."""
    return max(60.0 * wish.minutes - spent_s - narrowing_s(wish) - _END_S - _JUDGED_S * checked, LEAST_S)


def narrowing_s(wish: Wish) -> float:
    """Return the seconds in which the model learns to answer with weights of few bits; in a short run it does not."""
    return _NARROWING * 60.0 * wish.minutes if wish.minutes >= _NARROWING_FROM else 0.0
