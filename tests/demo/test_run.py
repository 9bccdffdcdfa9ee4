"""The whole demo on a small station: broker, daemon, subscriber, sheet, closing line."""

import io
import re
from pathlib import Path

import cv2
import pytest
from rich.console import Console
from rich.text import Text

from inspector.demo.run import Outcome, most_telling, run_demo, true_labels
from inspector.errors import InspectorError
from inspector.settings import StationSettings
from tests.conftest import Tiny
from tests.station_kit import LABELS, install_tiny, write_odd_pictures, write_pictures, write_station

CLOSING = re.compile(r"frames (\d+) · logged (\d+) · received (\d+) · accuracy (\d\.\d\d) · p50 (\d+) ms · p99 (\d+) ms · dropped (\d+)")
CAMERA = 'kind = "folder"\npath = "frames"\nmanifest = "frames/frames.csv"'


def labelled_station(root: Path) -> StationSettings:
    """Return a station of 12 pictures, two of them unusable, with a true label for each."""
    settings = write_station(root, cameras_line=CAMERA, mqtt='root = "inspector/v1"')
    names = write_pictures(settings.folder / "frames", 10)
    write_odd_pictures(settings.folder / "frames")
    names += ["one.png", "broken.jpg"]
    rows = [f"{name},{('screw', 'strip')[n % 2]},{LABELS[n % 4]}" for n, name in enumerate(names)]
    (settings.folder / "frames" / "frames.csv").write_text("\n".join(["file,product,label", *rows]) + "\n", encoding="utf-8")
    return settings


def test_the_closing_line_has_the_documented_form() -> None:
    line = str(Outcome(120, 120, 119, 0.9751, 41.6, 83.2, 1))
    assert line == "frames 120 · logged 120 · received 119 · accuracy 0.98 · p50 42 ms · p99 83 ms · dropped 1"
    assert CLOSING.fullmatch(line)


def test_a_demo_logs_and_receives_every_picture_and_can_be_run_again(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    install_tiny(tmp_path, tiny.folder)
    labelled_station(tmp_path)
    for _ in range(2):
        output = io.StringIO()
        outcome = run_demo(tmp_path, "s1", Console(file=output, width=140))
        last = output.getvalue().splitlines()[-1]
        assert last == str(outcome)
        assert CLOSING.fullmatch(last)
        assert (outcome.frames, outcome.logged, outcome.received, outcome.dropped) == (12, 12, 12, 0)
        assert 0 < outcome.p50_ms <= outcome.p99_ms
        assert len(re.findall(r"^(?:part-\d\d|one|broken)\S* ", output.getvalue(), re.MULTILINE)) == 12
    sheet = cv2.imread(str(tmp_path / "var" / "s1-sheet.png"))
    assert sheet is not None
    assert sheet.shape == (54 + 2 * 204 + 8, 10 * 158 + 8, 3)
    assert "running -> stopped" in output.getvalue()


def test_a_recording_shows_the_rows_with_the_most_kinds_of_outcome() -> None:
    rows = [Text("fail", style="red")] * 5 + [Text("pass"), Text("wrong", style="bold red")] + [Text("fail", style="red")] * 5
    assert [row.plain for row in most_telling(rows, 3)] == ["fail", "pass", "wrong"]
    assert most_telling(rows[:2], 3) == rows[:2]


def test_true_labels_are_read_from_the_manifest(tmp_path: Path) -> None:
    assert true_labels(labelled_station(tmp_path))["part-02.png"] == "scale_pit"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [("file,product\npart-00.png,screw\n", "the columns file and label"), ("file,label\n", "at least one row"), (None, "cannot be read")],
)
def test_a_manifest_without_true_labels_is_refused(tmp_path: Path, manifest: str | None, message: str) -> None:
    settings = labelled_station(tmp_path)
    path = settings.folder / "frames" / "frames.csv"
    path.unlink()
    if manifest is not None:
        path.write_text(manifest, encoding="utf-8")
    with pytest.raises(InspectorError, match=message):
        true_labels(settings)


def test_a_station_without_a_manifest_is_no_demo(tmp_path: Path) -> None:
    with pytest.raises(InspectorError, match="needs a folder camera with a manifest"):
        true_labels(write_station(tmp_path))


def test_a_daemon_that_fails_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    labelled_station(tmp_path)
    with pytest.raises(InspectorError, match=r"(?s)the daemon ended with exit code 1: .*there is no such model"):
        run_demo(tmp_path, "s1", Console(file=io.StringIO()))
