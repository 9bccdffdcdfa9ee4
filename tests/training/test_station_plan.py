"""What is decided before a station's training."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.core.label import LabelSet
from inspector.training.picture import Picture
from inspector.training.station_model.plan import Wish, has_half, left_for_learning_s, plan, product_recipe
from inspector.vlm.parity_memory import Machine

LABELS = LabelSet(("ok", "bad"), "ok")


def pictures(folder: Path, side: int, count: int = 8, *, dated: bool = False) -> list[Picture]:
    path = folder / f"{side}.png"
    cv2.imwrite(str(path), np.full((side // 2, side, 3), 99, np.uint8))
    first = datetime(2026, 1, 1, tzinfo=UTC)
    return [Picture(path, LABELS.names[n % 2], "train", f"g{n % 2}", first + timedelta(hours=n) if dated else None) for n in range(count)]


def test_small_pictures_teach_the_whole_tower_and_large_ones_its_upper_part(tmp_path: Path) -> None:
    product = product_recipe(LABELS, "board", "all", [])
    small, large = (plan(product, "s", pictures(tmp_path, side), Wish(), 4) for side in (96, 300))
    assert (small.image_px, small.deep) == (128, True)
    assert (large.image_px, large.deep) == (256, False)
    assert large.max_reports == 4


def test_copies_fit_the_time_and_the_disk(tmp_path: Path) -> None:
    product = product_recipe(LABELS, "board", "none", [])
    few = plan(product, "s", pictures(tmp_path, 300), Wish(), 4)
    many = plan(product, "s", pictures(tmp_path, 300) * 400, Wish(), 4)
    assert few.copies == 12
    assert many.copies * 3200 <= 15 * 500
    assert many.steps > few.steps


@pytest.mark.parametrize(
    ("symmetry", "flips"),
    [
        ("none", (False, False, False)),
        ("left-right", (True, False, False)),
        ("up-down", (False, True, False)),
        ("both", (True, True, False)),
        ("all", (True, True, True)),
    ],
)
def test_pictures_are_turned_only_as_the_product_allows(symmetry: str, flips: tuple[bool, bool, bool]) -> None:
    found = product_recipe(LABELS, "board", symmetry, []).augmentation()  # type: ignore[arg-type]
    assert (found.flip_x, found.flip_y, found.turn) == flips


def test_dated_pictures_of_a_part_are_its_history(tmp_path: Path) -> None:
    assert product_recipe(LABELS, "board", "none", pictures(tmp_path, 300, dated=True)).history == "times"
    assert product_recipe(LABELS, "board", "none", pictures(tmp_path, 300)).history == "labels"


def test_bfloat16_is_chosen_by_the_processor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (("flags: avx2 avx512_bf16", True), ("flags: amx_tile amx_bf16", True), ("flags: avx2 avx512f", False)):
        monkeypatch.setattr("inspector.training.station_model.plan.this_machine", lambda flags=flags: Machine("", flags))
        assert has_half() is expected


def test_learning_gets_what_is_left_of_the_time() -> None:
    assert left_for_learning_s(Wish(minutes=15), 200.0, 100) == pytest.approx(900 - 200 - 108 - 45 - 15)
    assert left_for_learning_s(Wish(minutes=1), 500.0, 1000) == 30.0
