"""``inspector evaluate`` with the tiny model."""

import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from tests.conftest import Tiny
from tests.station_kit import install_tiny, picture, write_station

TWO = 'description = "ball screw"\nlabels = ["good", "scale"]\ngood = "good"'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> Path:
    folder = tmp_path_factory.mktemp("root")
    install_tiny(folder, tiny.folder)
    write_station(folder, products_screw=TWO)
    for number in range(12):
        target = folder / "data" / ("test" if number > 9 else "val") / ("scale" if number % 2 else "good")
        target.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target / f"part{number:02d}.png"), picture(number))
    return folder


def evaluate(root: Path, *words: str) -> Result:
    arguments = ["--root", str(root), "evaluate", "s1", "--data", str(root / "data"), "--group-pattern", r"(part\d+)", *words]
    return CliRunner().invoke(main, arguments, env={"STATE_DIRECTORY": ""})


def test_json_is_the_document_alone_and_the_page_holds_every_picture(root: Path) -> None:
    done = evaluate(root, "--json", "--out", str(root / "out"))
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document == json.loads((root / "out" / "evaluation.json").read_text())
    assert (document["n"], document["split"], document["labels"]) == (10, "val", ["good", "scale"])
    assert sum(map(sum, document["confusion"])) == 10
    assert {"accuracy", "macro_f1", "per_label", "ece", "n"} <= document.keys()
    page = (root / "out" / "evaluation.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    for name in ("confusion", "reliability", "risk-coverage", "worst"):
        image = cv2.imread(str(root / "out" / f"{name}.png"))
        assert image is not None
        assert image.std() > 5


def test_test_pictures_are_read_only_when_they_are_asked_for(root: Path) -> None:
    assert json.loads(evaluate(root, "--json", "--split", "test").stdout)["n"] == 2
    assert (root / "var" / "s1" / "evaluate" / "evaluation.html").is_file()


def test_an_unknown_product_is_named_with_the_known_ones(root: Path) -> None:
    done = evaluate(root, "--product", "nut")
    assert done.exit_code == 2
    assert "'nut' is not one of the products screw" in done.output


def test_an_ablation_needs_a_station_that_reads_reports(root: Path) -> None:
    done = evaluate(root, "--ablate", "reports")
    assert done.exit_code == 1
    assert "reports.max_reports = 0, there is nothing to take away" in done.output
    both = evaluate(root, "--ablate", "reports", "--no-reports")
    assert both.exit_code == 2
