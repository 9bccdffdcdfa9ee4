"""A recipe is read whole or refused with every mistake."""

from pathlib import Path

import pytest

from inspector.errors import CheckpointError
from inspector.training.recipe import read_recipe

SOUND = """
name = "edge"
steps = 700
[products.screw]
description = "ball screw"
labels = ["good", "dent"]
good = "good"
data = "screw"
history = "positions"
flip_x = true
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sound_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, SOUND))
    product = recipe.products["screw"]
    assert (recipe.name, recipe.steps, recipe.image_px, recipe.max_reports) == ("edge", 700, 256, 4)
    assert product.label_set().good == "good"
    assert product.label_set().names == ("good", "dent")
    assert (product.augmentation().flip_x, product.augmentation().flip_y) == (True, False)


def test_the_shipped_recipe_is_sound() -> None:
    recipe = read_recipe(Path(__file__).parents[2] / "models" / "inspector-edge" / "recipe.toml")
    assert recipe.name == "inspector-edge"


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = """
name = "../edge"
steps = 0
image_px = 100
laers = 6
without_reports = 0.9
[products.screw]
description = "ball screw"
labels = ["good", "good", ""]
good = "fine"
history = "sometimes"
share = 2.0
"""
    with pytest.raises(CheckpointError) as caught:
        read_recipe(write(tmp_path, text))
    told = str(caught.value)
    keys = (
        "name",
        "steps",
        "image_px",
        "laers",
        "swapped_reports",
        "products.screw.labels",
        "products.screw.data",
        "products.screw.history",
        "products.screw.share",
    )
    for key in keys:
        assert f"  - {key}: " in told, key
    assert f"{tmp_path / 'recipe.toml'}: {len(keys)} mistake(s)" in told


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('labels = ["good", "good"]', "'good' is listed more than once"),
        ('labels = ["good", " "]', "a label may not be empty"),
        ('labels = ["good"]', "at least 2"),
        ('labels = ["dent", "pit"]', "'good' is not one of the labels dent, pit"),
    ],
)
def test_labels_that_a_station_would_refuse_are_not_trained(tmp_path: Path, wrong: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_recipe(write(tmp_path, SOUND.replace('labels = ["good", "dent"]', wrong)))


def test_some_visits_must_keep_their_true_reports(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="together must be below 1"):
        read_recipe(write(tmp_path, "swapped_reports = 0.6\nwithout_reports = 0.4\n" + SOUND))


def test_a_recipe_that_is_not_there_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"recipe\.toml: there is no such recipe"):
        read_recipe(tmp_path / "recipe.toml")
    with pytest.raises(CheckpointError, match=r"recipe\.toml: cannot be read as TOML"):
        read_recipe(write(tmp_path, "name = "))
    (tmp_path / "latin.toml").write_bytes('name = "é"'.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"latin\.toml: cannot be read as TOML"):
        read_recipe(tmp_path / "latin.toml")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_recipe(tmp_path)
