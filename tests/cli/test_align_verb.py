"""``inspector align``: swaps that should change an answer and swaps that should not, before and now."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.training.ablation import FOREIGN
from inspector.training.alignment import SWAPS, Crops, align, judgements
from inspector.training.picture import Picture
from tests.cli.test_train_station import TWO, lay
from tests.full_kit import write_tiny_full
from tests.station_kit import export_encoder_into, write_station

LABELS = LabelSet(("good", "scale"), "good")
DIRECTIONS = {"good": 0, "scale": 1}


def encode(texts: list[str]) -> np.ndarray:
    """Return vectors that say what a report is about: good, scale or something else."""
    rows = np.zeros((len(texts), 3), np.float32)
    for row, text in zip(rows, texts, strict=True):
        row[2 if text in FOREIGN else 1 if "scale" in text else 0] = 1.0
    return rows


class Reader:
    """A model whose answer is so much its picture's brightness and so much what its reports say."""

    name = "reader@0"

    def __init__(self, picture: float, reports: float) -> None:
        self.picture, self.reports = picture, reports

    def predict(self, images: list[tuple[str, Image]], context: Context) -> tuple[list[Prediction], dict[str, float]]:
        found = []
        for region, image in images:
            bright = float(np.clip((image.mean() - 128) / 30, -1, 1))  # grey says nothing
            told = float((context.vectors[:, 1] - context.vectors[:, 0]).mean()) if len(context.vectors) else 0.0
            p = 1 / (1 + np.exp(-(self.picture * bright + self.reports * told + 0.01)))
            found.append(Prediction(region, {"good": 1 - p, "scale": p}, (), self.name))
        return found, {}


def crops(count: int = 12) -> Crops:
    """Return dark good and bright scaled parts."""
    labels = [("good", "scale")[number % 2] for number in range(count)]
    pictures = tuple(Picture(Path(f"{number}.png"), label, "val", str(number)) for number, label in enumerate(labels))
    images = tuple(np.full((20, 20, 3), 80 if label == "good" else 180, np.uint8) for label in labels)
    return Crops(LABELS, "screw", "ball screw", pictures, images)


def shares(model: Reader, *, reads: bool = True) -> dict[str, float]:
    found = align(model, crops(), encode if reads else None, 2)  # type: ignore[arg-type]
    return {name: held.rate.value for name, held in found.swaps.items()}


def test_a_model_that_follows_its_picture_and_reads_reports_where_it_shows_nothing_does_all_as_it_should() -> None:
    assert shares(Reader(5.0, 1.0)) == {swap.name: 1.0 for swap in SWAPS}


def test_a_model_that_believes_reports_against_the_picture_is_found_out() -> None:
    found = shares(Reader(0.5, 3.0))
    assert (found["picture"], found["contradicting"]) == (0.0, 0.0)
    assert (found["reworded"], found["reports-alone"], found["light"]) == (1.0, 1.0, 1.0)


def test_a_model_that_does_not_read_its_reports_is_found_out() -> None:
    found = shares(Reader(5.0, 0.0))
    assert found["reports-alone"] == 0.0
    assert found["picture"] == found["contradicting"] == 1.0


def test_of_a_model_without_reports_only_the_picture_is_asked_and_judgements_are_counted_right() -> None:
    assert set(shares(Reader(5.0, 0.0), reads=False)) == {"light"}
    for reads in (True, False):
        told: list[None] = []
        align(Reader(5.0, 1.0), crops(4), encode if reads else None, 2, lambda told=told: told.append(None))  # type: ignore[arg-type, misc]
        assert len(told) == 4 * judgements(reads)


def test_faults_are_named_with_what_was_said_before_and_then() -> None:
    held = align(Reader(0.5, 3.0), crops(), encode, 2).swaps["contradicting"]  # type: ignore[arg-type]
    assert held.n == 12
    assert re.fullmatch(r"0\.png \(good\): good 0\.9\d, then scale 0\.9\d", held.faults[0])


def align_verb(root: Path, *words: str) -> Result:
    arguments = ["--root", str(root), "align", "s1", "--data", str(root / "data"), "--no-groups", *words]
    return CliRunner().invoke(main, arguments, env={"STATE_DIRECTORY": ""})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    encoder = (export_encoder_into(tmp_path / "models") / "encoder.toml").read_text(encoding="utf-8")
    revision = next(line for line in encoder.splitlines() if line.startswith("revision")).split('"')[1]
    write_tiny_full(tmp_path / "models" / "now", "minicpmv4_7", encoder=revision)
    write_tiny_full(tmp_path / "models" / "before", encoder="")
    write_station(tmp_path, products_screw=TWO, model='checkpoint = "now"\nthreads = 1\nprecision = "float32"', reports="max_reports = 2")
    lay(tmp_path / "data", 18)
    return tmp_path


def test_the_verb_compares_two_models_in_a_table_a_document_and_a_picture(root: Path) -> None:
    done = align_verb(root, "--against", "before", "--most", "6")
    assert done.exit_code == 0, done.output
    for expected in ("before: before@", "now: now@", "lit a", "screw: 6 pictures", "before", "should"):
        assert expected in done.stdout
    assert "before@" in done.stderr
    assert "reads no reports here" in done.stderr
    picture = cv2.imread(str(root / "var" / "s1" / "align" / "align.png"))
    assert picture is not None
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
    document = json.loads(align_verb(root, "--against", "before", "--most", "6", "--json").stdout)
    before, now = document["models"]
    assert set(before["swaps"]) == {"light"}
    assert set(now["swaps"]) == {swap.name for swap in SWAPS}
    assert all(0 <= held["n"] <= 6 for held in now["swaps"].values())


def test_pictures_of_one_label_are_refused_in_words(root: Path) -> None:
    for path in (root / "data" / "val" / "scale").iterdir():
        path.unlink()
    done = align_verb(root)
    assert (done.exit_code, "alignment needs pictures of 2 or more" in done.stderr) == (1, True), done.output
