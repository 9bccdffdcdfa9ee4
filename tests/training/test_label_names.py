from pathlib import Path

import pytest

from inspector.errors import DataError
from inspector.training.label_names import parse_renames, with_station_labels
from inspector.training.listing import Listed
from inspector.training.remarks import Remarks


def told(label: str, renames: dict[str, str] | None = None) -> list[str]:
    remarks = Remarks()
    with_station_labels([Listed("a.png", Path("a.png"), label)], ("ok", "no_pitting"), renames or {}, remarks)
    return [remark.text for remark in remarks.refusals]


@pytest.mark.parametrize(("label", "meant"), [("OK", "ok"), ("no pitting", "no_pitting"), ("No-Piting", "no_pitting")])
def test_a_misspelt_label_is_refused_with_what_was_meant(label: str, meant: str) -> None:
    (line,) = told(label)
    assert f"did you mean '{meant}'?" in line
    assert f"--map '{meant}={label}'" in line


def test_a_label_like_no_other_is_refused_with_the_ways_to_take_it_in() -> None:
    (line,) = told("zebra")
    assert "known are ok, no_pitting. Add it to labels in station.toml" in line


def test_a_rename_to_a_label_that_does_not_exist_is_refused_once() -> None:
    assert told("zebra", {"zebra": "horse"}) == ["--map horse=zebra: 'horse' is not one of the product's labels ok, no_pitting"]


def test_renames_are_read_from_words() -> None:
    assert parse_renames(["good=ok, functional", "bad=crack"]) == {"ok": "good", "functional": "good", "crack": "bad"}


@pytest.mark.parametrize("words", [["good"], ["=ok"], ["good="], ["good=,"], ["good=ok", "bad=ok"]])
def test_words_that_are_no_renames_are_refused(words: list[str]) -> None:
    with pytest.raises(DataError, match="--map"):
        parse_renames(words)
