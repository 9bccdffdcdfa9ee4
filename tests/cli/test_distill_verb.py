"""``inspector distill``: a tiny full MiniCPM-V teaches the tiny edge model on frames of the station's own log, or of a folder."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.settings import read_station
from inspector.training.distillation import taught
from inspector.training.station_model.plan import plan
from inspector.vlm.checkpoint import open_checkpoint
from tests.cli.test_train_station import TWO, lay, marked
from tests.conftest import Tiny
from tests.full_kit import write_tiny_full
from tests.station_kit import install_tiny, write_station

GROUPS = ("--group-pattern", r"(part\d+)")


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    install_tiny(tmp_path, tiny.folder)
    write_tiny_full(tmp_path / "models" / "teacher", encoder="")
    write_station(tmp_path, products_screw=TWO, log='keep_images = "all"')
    path = tmp_path / "calibration" / "s1" / "station.toml"
    path.write_text(re.sub(r"\[products\.strip\][^\[]*(\[\"[^\[]*)*", "", path.read_text()))
    lay(tmp_path / "data", 24)
    for number in range(100, 116):
        cv2.imwrite(str(path.parent / "frames" / f"frame{number}.png"), marked(number, ("good", "scale")[number % 2]))
    quick = {"steps": 4, "visits": 1, "visit_size": 4, "copies": 2}
    monkeypatch.setattr("inspector.training.station_model.plan.plan", lambda *given: plan(*given).model_copy(update=quick))
    return tmp_path


def inspector(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *words], env={"STATE_DIRECTORY": ""})


def distill(root: Path, *words: str) -> Result:
    return inspector(root, "distill", "s1", "--teacher", "teacher", "--data", str(root / "data"), *GROUPS, *words)


def test_the_pupil_learns_from_the_stations_own_log_and_both_are_measured_side_by_side(root: Path) -> None:
    assert inspector(root, "run", "s1").exit_code == 0
    done = distill(root)
    assert done.exit_code == 0, done.output
    settings = read_station(root / "calibration" / "s1")
    checkpoint = open_checkpoint(root / "models" / settings.model.checkpoint)
    assert settings.model.checkpoint == f"s1-{checkpoint.revision}"
    story = json.loads((checkpoint.folder / "training.json").read_text())["distillation"]
    assert story["frames"] == 16
    assert story["teacher"]["model"].startswith("teacher@")
    assert story["pupil"]["model"] == f"s1-screw@{checkpoint.revision}"
    assert all(story[who]["median_ms"] > 0 and 0 <= story[who]["accuracy"]["value"] <= 1 for who in ("teacher", "pupil"))
    for expected in ("teacher", "pupil", "verdict", "median ms", "in place: models/s1-"):
        assert expected in done.stdout
    back = inspector(root, "models", "rollback", "s1")
    assert back.exit_code == 0, back.output


def test_a_teacher_that_was_stopped_does_not_judge_again_and_pictures_to_check_with_are_not_learnt(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = root / "frames"
    frames.mkdir()
    for path in (root / "calibration" / "s1" / "frames").iterdir():
        (frames / path.name).write_bytes(path.read_bytes())
    val = next((root / "data" / "val" / "good").iterdir())
    (frames / "known.png").write_bytes(val.read_bytes())
    image = cv2.imread(str(val))
    assert image is not None
    cv2.imwrite(str(frames / "nearly.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    (frames / "broken.png").write_bytes(b"no picture")
    with monkeypatch.context() as once:
        once.setattr("inspector.training.distillation.taught", lambda *given, **more: (taught(*given, **more), 1 / 0))
        assert distill(root, "--frames", str(frames)).exit_code == 70
    memory = root / "var" / "s1" / "distill" / "beliefs.jsonl"
    lines = memory.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 16
    memory.write_text("\n".join([*lines[:10], lines[10][:20]]) + "\n", encoding="utf-8")
    done = distill(root, "--frames", str(frames))
    assert done.exit_code == 0, done.output
    assert "3 frames cannot be read, are double or show a labelled picture" in done.stderr
    again = [line for line in memory.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    assert len(again) == 16, "ten were remembered, six judged anew"
    beliefs = [json.loads(line)["belief"] for line in again]
    assert all(np.isclose(sum(belief.values()), 1.0) for belief in beliefs)


def test_without_a_log_without_frames_or_with_a_full_pupil_it_is_said_what_to_do(root: Path) -> None:
    nothing = distill(root)
    assert (nothing.exit_code, 'keep_images = "all", or give --frames FOLDER' in nothing.stderr) == (1, True), nothing.output
    (root / "empty").mkdir()
    empty = distill(root, "--frames", str(root / "empty"))
    assert (empty.exit_code, "no unlabelled frame of screw is left to learn from" in empty.stderr) == (1, True), empty.output
    path = root / "calibration" / "s1" / "station.toml"
    path.write_text(path.read_text().replace('checkpoint = "tiny"', 'checkpoint = "teacher"'))
    full = distill(root, "--frames", str(root / "empty"))
    assert (full.exit_code, "the pupil is the station's own model" in full.stderr) == (1, True), full.output
