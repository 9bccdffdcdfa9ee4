"""Reports say what the annotation says, and validation reports are worded as no training report is."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from inspector.training.dataset import Picture
from inspector.training.phrasing import _CLEAN, _NAMED, _PITTED, VARIANTS, phrasings, previous_sizes

START = datetime(2020, 8, 28, tzinfo=UTC)


def pitted(day: int, *boxes: list[int], split: str = "train", group: str = "p1") -> Picture:
    """Return a picture of a position with boxes [x, y, width, height] in a frame 300 pixels wide."""
    entry: dict[str, Any] = {"width": 300, "boxes": [{"bbox": box} for box in boxes]}
    label = "pitting" if boxes else "no_pitting"
    return Picture(Path(f"{group}-{day}.png"), label, split, group, START + timedelta(days=day), entry)


def texts(chosen: Picture, known: list[Picture]) -> list[str]:
    return phrasings("positions", [chosen], known, 1)[0]


def named(label: str, split: str) -> Picture:
    return Picture(Path("a.png"), label, split, "a")


@pytest.mark.parametrize("split", ["train", "val"])
def test_each_picture_has_several_different_reports(split: str) -> None:
    for picture in (pitted(1, [10, 10, 20, 20], split=split), pitted(1, split=split)):
        assert len(set(texts(picture, [picture]))) == VARIANTS
    assert len(set(phrasings("lots", [named("red_iron", split)], [], 1)[0])) == VARIANTS


@pytest.mark.parametrize("templates", [_CLEAN, _PITTED, _NAMED])
def test_no_wording_of_validation_occurs_in_training(templates: dict[str, tuple[str, ...]]) -> None:
    assert not set(templates["train"]) & set(templates["val"])


def test_no_text_of_validation_occurs_in_training() -> None:
    train, val = (
        {
            text
            for seed in range(20)
            for picture in (pitted(1, split=split), pitted(1, [10, 10, 20, 20], split=split))
            for text in phrasings("positions", [picture], [picture], seed)[0]
        }
        | {text for seed in range(20) for text in phrasings("lots", [named("red_iron", split)], [], seed)[0]}
        for split in ("train", "val")
    )
    assert train
    assert val
    assert not train & val


def test_a_clean_picture_tells_of_no_pit_and_gives_no_size() -> None:
    for text in texts(pitted(2), [pitted(1, [10, 10, 50, 50]), pitted(2)]):
        assert not re.search(r"[1-9]", text)
        assert not re.search("grow|new|damage|PITTING", text)


def test_the_facts_are_those_of_the_boxes() -> None:
    now = pitted(2, [250, 5, 30, 20], [10, 10, 44, 4])
    joined = " | ".join(text for seed in range(30) for text in phrasings("positions", [now], [now], seed)[0])
    assert "2 pits in groove, biggest 30x20 px, right" in joined
    assert "max 44 px" in joined, "the longest pit is not the largest one"
    numbers = set(re.findall(r"\d+", joined))
    assert numbers == {"2", "30", "20", "44"}
    assert not re.search("left|middle", joined)


@pytest.mark.parametrize(("x", "place"), [(0, "left"), (140, "middle"), (270, "right")])
def test_the_place_is_the_third_in_which_the_largest_pit_lies(x: int, place: str) -> None:
    now = pitted(2, [x, 5, 30, 20])
    assert any(place in text for text in texts(now, [now]))


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ([pitted(1)], ", new"),
        ([pitted(1, [10, 10, 20, 20])], ", grown since last insp"),
        ([pitted(1, [10, 10, 29, 20])], ", no growth"),
        ([pitted(1, [10, 10, 60, 20])], ", no growth"),
        ([pitted(0), pitted(1, [10, 10, 29, 20])], ", no growth"),
        ([pitted(1, group="p2")], ""),
        ([], ""),
    ],
)
def test_growth_is_measured_against_the_inspection_just_before(before: list[Picture], words: str) -> None:
    now = pitted(2, [10, 10, 30, 20])
    later = pitted(3, [10, 10, 99, 99])
    found = {
        text.rpartition("px")[2]
        for seed in range(30)
        for text in phrasings("positions", [now], [later, now, *before], seed)[0]
        if "biggest" in text
    }
    assert {re.sub(r"^, (left|middle|right)", "", ending) for ending in found} == {words}


def test_the_first_inspection_of_a_position_has_nothing_before_it() -> None:
    first, second, third = pitted(1, [0, 0, 8, 9]), pitted(2), pitted(3, [0, 0, 5, 5])
    assert list(previous_sizes([third, first, second]).values()) == [None, 9.0, 0.0]


def test_a_report_of_a_lot_says_the_label_and_no_more() -> None:
    for text in phrasings("lots", [named("red_iron", "train")], [], 3)[0]:
        assert "red iron" in text
        assert "_" not in text
        assert not re.search(r"\d", text)


def test_the_same_seed_gives_the_same_reports() -> None:
    pictures = [pitted(1), pitted(2, [10, 10, 20, 20])]
    assert phrasings("positions", pictures, pictures, 4) == phrasings("positions", pictures, pictures, 4)
