"""``inspector trace`` of a picture and of a logged inspection, with the tiny model."""

import json
import threading
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.daemon import run
from inspector.edge.log import Log, database_path
from tests.conftest import Tiny
from tests.full_kit import write_tiny_full
from tests.station_kit import install_tiny, write_pictures, write_station


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    install_tiny(tmp_path, tiny.folder)
    settings = write_station(tmp_path, log='keep_images = "all"')
    write_pictures(settings.folder / "frames", 1)
    return tmp_path


def trace(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "trace", "s1", *arguments])


def test_a_picture_gets_its_verdict_what_was_looked_at_and_a_page(root: Path) -> None:
    file = root / "calibration" / "s1" / "frames" / "part-00.png"
    done = trace(root, str(file), "--html")
    assert done.exit_code == 0, done.output
    for expected in ("verdict", "tiny@", "sha256", "decoder.onnx", "all 2", "traced pass", "probability", "picture", "words"):
        assert expected in done.stdout
    page = root / "var" / "s1" / "trace" / "part-00.html"
    assert str(page) in done.stdout.replace("\n", "")
    assert "data:image/png;base64," in page.read_text(encoding="utf-8")
    done = trace(root, str(file), "--json", "--out", str(root / "seen.png"))
    found = json.loads(done.stdout)
    assert sum(found["regions"][0]["scores"].values()) == pytest.approx(1.0)
    assert cv2.imread(str(root / "seen.png")) is not None


def test_a_logged_inspection_is_traced_from_its_kept_picture(root: Path) -> None:
    settings = write_station(root, log='keep_images = "all"')
    run(settings, root, threading.Event(), lambda _: None)
    path = database_path(settings, root)
    with Log(path, "s1", read_only=True) as log:
        logged = next(log.find())
    done = trace(root, logged.inspection_id)
    assert done.exit_code == 0, done.output
    assert "logged then" in done.stdout
    assert logged.image_path is not None
    (path.parent / logged.image_path).unlink()
    gone = trace(root, logged.inspection_id)
    assert gone.exit_code == 1
    assert "its picture was not kept, or is gone by now" in gone.stderr
    assert "neither a picture file nor an inspection" in trace(root, "no-such-id").stderr


def test_what_cannot_be_traced_is_told_and_why(root: Path) -> None:
    assert "no such file" in trace(root, "no-such-id").stderr
    dark = root / "dark.png"
    cv2.imwrite(str(dark), cv2.UMat(96, 128, cv2.CV_8UC3, (0, 0, 0)).get())
    assert "nothing was judged" in trace(root, str(dark)).stderr


def logged_run(root: Path, count: int) -> str:
    """Let the station judge and keep so many pictures; return the id of the newest inspection."""
    settings = write_station(root, log='keep_images = "all"')
    write_pictures(settings.folder / "frames", count)
    run(settings, root, threading.Event(), lambda _: None)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        return list(log.find())[-1].inspection_id


def test_a_full_model_is_traced_in_its_layers_of_full_attention_and_says_so(root: Path) -> None:
    write_tiny_full(root / "models" / "full")
    write_station(root, model='checkpoint = "full"\nprecision = "float32"\nthreads = 1')
    done = trace(root, str(root / "calibration" / "s1" / "frames" / "part-00.png"), "--html", "--out", str(root / "full.html"))
    assert done.exit_code == 0, done.output
    for expected in ("full@", "model.safetensors", "1 of 4 (numbers 3): the others are linear attention", "picture", "words"):
        assert expected in done.stdout.replace("\n", "")
    assert "layer 3" in (root / "full.html").read_text(encoding="utf-8")


def test_traces_go_into_the_log_and_are_followed_over_time(root: Path) -> None:
    newest = logged_run(root, 4)
    assert trace(root, newest, "--log").exit_code == 0
    done = trace(root, "--log", "--limit", "2")
    assert done.exit_code == 0, done.output
    assert "2 inspections traced into the log" in done.stdout
    shown = trace(root, "--stats")
    assert shown.exit_code == 0, shown.output
    for expected in ("screw: where the verdicts looked", "picture: too few traces to say (0 before, 0 newest", "stats.png"):
        assert expected in shown.stdout.replace("\n", "")
    assert cv2.imread(str(root / "var" / "s1" / "trace" / "stats.png")) is not None
    document = json.loads(trace(root, "--stats", "--json").stdout)
    assert document["products"]["screw"]["regions"] == 3
    assert document["products"]["screw"]["drift"]["words"]["word"] == "too few"
    assert trace(root, "--log").exit_code == 0
    assert "there was nothing to trace" in trace(root, "--log").stdout


def test_what_does_not_go_together_is_told(root: Path) -> None:
    picture = str(root / "calibration" / "s1" / "frames" / "part-00.png")
    for arguments, told in (
        ((), "name a PICTURE or an INSPECTION_ID"),
        ((picture, "--stats"), "leave PICTURE, INSPECTION_ID and --log out"),
        (("--log", "--lot", "L7"), "go with a PICTURE or an INSPECTION_ID"),
        ((picture, "--log"), "goes with an INSPECTION_ID as it was logged"),
    ):
        refused = trace(root, *arguments)
        assert (refused.exit_code, told in refused.stderr) == (2, True), refused.output
    assert "has no log yet" in trace(root, "--stats").stderr
    logged_run(root, 1)
    assert "no traces; inspector trace s1 --log" in trace(root, "--stats").stderr
