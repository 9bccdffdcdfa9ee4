"""Installing a model and going back: the gate stands before both, the old model or the new one is in use at any instant."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.decision_calibration import DecisionCalibration
from inspector.errors import CheckpointError
from inspector.settings import read_decisions, read_station
from inspector.settings.decision_file import write_decision
from inspector.vlm.checkpoint import open_checkpoint, verify
from inspector.vlm.frozen_set import FOLDER
from inspector.vlm.model_history import KEPT, followed_by, is_made_for, neighbour, read_history, surplus, write_history
from inspector.vlm.model_store import install, rollback
from tests.conftest import Tiny
from tests.parity_kit import frozen_tiny
from tests.station_kit import write_station

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def makings(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with models v0, v1, ... that answer alike under different revisions, and one whose graphs are damaged."""
    folder = tmp_path_factory.mktemp("makings")
    for number in range(5):
        frozen_tiny(tiny, folder / f"v{number}", changed=1 + number, count=2)
    frozen_tiny(tiny, folder / "damaged", damaged=True, count=4)
    return folder


@pytest.fixture
def root(tmp_path: Path, makings: Path) -> Path:
    """Return a root whose station s1 uses the model tiny."""
    write_station(tmp_path)
    shutil.copytree(makings / "v0", tmp_path / "models" / "tiny")
    return tmp_path


def station_of(root: Path) -> Path:
    return root / "calibration" / "s1"


def in_use(root: Path) -> str:
    return read_station(station_of(root)).model.checkpoint


def models(root: Path) -> set[str]:
    return {path.name for path in (root / "models").iterdir()}


def test_an_installed_model_is_in_use_from_the_next_start_on_and_the_old_one_stays(root: Path, makings: Path) -> None:
    done = install(root, station_of(root), makings / "v1")
    revision = open_checkpoint(makings / "v1").revision
    assert done.checkpoint == in_use(root) == f"s1-{revision}"
    assert (done.model, done.previous, done.removed) == (f"tiny@{revision}", "tiny", ())
    assert done.parity.text.startswith("parity: 2 frozen pictures, 0 flips")
    assert models(root) == {"tiny", done.checkpoint}
    assert verify(root / "models" / done.checkpoint) == []
    assert (makings / "v1" / "model.toml").is_file()


def test_installing_again_what_is_in_use_changes_nothing(root: Path, makings: Path) -> None:
    first = install(root, station_of(root), makings / "v1")
    again = install(root, station_of(root), makings / "v1")
    assert again.checkpoint == first.checkpoint == in_use(root)
    assert read_history(station_of(root)) == ["tiny", first.checkpoint]
    assert install(root, station_of(root), root / "models" / first.checkpoint).checkpoint == first.checkpoint


def test_a_model_that_does_not_pass_the_gate_is_not_installed(root: Path, makings: Path) -> None:
    with pytest.raises(CheckpointError, match="does not answer on this machine as its source did") as refused:
        install(root, station_of(root), makings / "damaged")
    assert str(refused.value).startswith(f"{makings / 'damaged'}: not installed, tiny stays in use")
    assert in_use(root) == "tiny"
    assert {name for name in models(root) if not name.startswith(".")} == {"tiny"}
    install(root, station_of(root), makings / "v1")
    assert not [name for name in models(root) if name.startswith(".")], "what the refusal left is swept up"


def test_a_model_without_a_frozen_set_is_not_installed(root: Path, tiny: Tiny) -> None:
    with pytest.raises(CheckpointError, match="has no frozen set, so nothing shows that it answers as its source did"):
        install(root, station_of(root), tiny.folder)
    assert in_use(root) == "tiny"


def test_a_model_that_cannot_say_the_stations_labels_is_not_installed(root: Path, makings: Path) -> None:
    write_station(root, products_strip='labels = ["scale_pit", "scale pit"]')
    with pytest.raises(CheckpointError, match=r"products\.strip"):
        install(root, station_of(root), makings / "v1")
    assert in_use(root) == "tiny"


def test_a_damaged_copy_that_is_in_the_way_is_replaced(root: Path, makings: Path) -> None:
    name = install(root, station_of(root), makings / "v1").checkpoint
    rollback(root, station_of(root))
    (root / "models" / name / "decoder.onnx").write_bytes(b"")
    (root / "models" / name / FOLDER / "set.json").unlink()
    install(root, station_of(root), makings / "v1")
    assert verify(root / "models" / name) == []


def test_rolling_back_and_forward_walks_along_the_models(root: Path, makings: Path) -> None:
    names = ["tiny", *(install(root, station_of(root), makings / f"v{number}").checkpoint for number in (1, 2))]
    assert [rollback(root, station_of(root)).checkpoint for _ in range(2)] == [names[1], names[0]]
    with pytest.raises(CheckpointError, match="s1 uses tiny, and no previous model is known"):
        rollback(root, station_of(root))
    assert [rollback(root, station_of(root), forward=True).checkpoint for _ in range(2)] == names[1:]
    with pytest.raises(CheckpointError, match="no newer model is known"):
        rollback(root, station_of(root), forward=True)
    assert in_use(root) == names[2]


def test_a_previous_model_that_is_damaged_is_not_gone_back_to(root: Path, makings: Path) -> None:
    name = install(root, station_of(root), makings / "v1").checkpoint
    (root / "models" / "tiny" / "decoder.onnx").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"decoder\.onnx: 0 bytes"):
        rollback(root, station_of(root))
    assert in_use(root) == name


def test_old_models_make_room_but_the_shipped_the_previous_and_those_of_other_stations_stay(root: Path, makings: Path) -> None:
    first = install(root, station_of(root), makings / "v1").checkpoint
    names = [install(root, station_of(root), makings / f"v{number}") for number in (2, 3)]
    assert not any(done.removed for done in names)
    last = install(root, station_of(root), makings / "v4")
    assert last.removed == (first,)
    kept = {"tiny", *(done.checkpoint for done in (*names, last))}
    assert models(root) == kept
    assert len(kept) == 1 + KEPT
    assert read_history(station_of(root)) == ["tiny", *(done.checkpoint for done in (*names, last))]
    write_station(root, "s2", model=f'checkpoint = "{names[0].checkpoint}"\nthreads = 1')
    assert install(root, station_of(root), makings / "v1").removed == ()
    assert names[0].checkpoint in models(root)


def test_a_history_that_cannot_be_read_is_named(root: Path, makings: Path) -> None:
    for text in ("checkpoints = 1", "[["):
        (station_of(root) / "models.toml").write_text(text, encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"models\.toml: .*; correct it, or delete the file"):
            install(root, station_of(root), makings / "v1")
    assert in_use(root) == "tiny"


def test_a_disk_that_cannot_be_written_leaves_the_old_model(root: Path, makings: Path) -> None:
    (root / "models" / f".s1-{open_checkpoint(makings / 'v1').revision}.fresh").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"cannot be written \(.*\); tiny is in use"):
        install(root, station_of(root), makings / "v1")
    assert in_use(root) == "tiny"


def test_whenever_it_is_killed_the_old_model_or_the_new_one_is_in_use_and_whole(tmp_path: Path, makings: Path) -> None:
    most = 60
    for number in range(most):
        root = tmp_path / f"root-{number}"
        write_station(root)
        (root / "models").mkdir()
        (root / "models" / "tiny").symlink_to(makings / "v0")
        (root / "fresh").symlink_to(makings / "v1")
    program = [sys.executable, str(Path(__file__).with_name("killed_install.py")), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == 0, done.stderr
    changes, name = int(done.stdout), f"s1-{open_checkpoint(makings / 'v1').revision}"
    assert 20 < changes < most
    found = [in_use(tmp_path / f"root-{number}") for number in range(changes)]
    assert set(found) == {"tiny", name}
    assert found == sorted(found, key=lambda used: used == name), "once the new one is in use it stays so"
    for number, used in enumerate(found):
        assert verify(tmp_path / f"root-{number}" / "models" / used) == []
    for number in (0, changes // 2, changes - 1):
        root = tmp_path / f"root-{number}"
        assert install(root, station_of(root), makings / "v1").checkpoint == name
        assert rollback(root, station_of(root)).checkpoint == "tiny"
        assert not [path for path in (root / "models").iterdir() if path.name.startswith(".")]


NAMES = st.sampled_from(["edge", "s1-aaaaaaaaaaaa", "s1-bbbbbbbbbbbb", "s1-cccccccccccc", "s1-dddddddddddd", "s10-aaaaaaaaaaaa"])


@given(history=st.lists(NAMES, unique=True), current=NAMES, fresh=NAMES)
def test_the_way_back_from_a_new_model_leads_to_the_one_before_it(history: list[str], current: str, fresh: str) -> None:
    after = followed_by(history, current, fresh)
    assert set(after) == {*history, current, fresh}
    assert after[-1] == fresh or current == fresh
    if current != fresh:
        assert neighbour(after, fresh, forward=False) == current
        assert neighbour(after, current, forward=True) == fresh


@given(history=st.lists(NAMES, unique=True), in_use=st.sets(NAMES))
def test_what_is_in_use_or_the_way_back_or_of_others_never_makes_room(history: list[str], in_use: set[str]) -> None:
    gone = surplus(history, "s1", in_use)
    assert not in_use & set(gone)
    assert all(is_made_for(name, "s1") for name in gone)
    assert not {neighbour(history, name, forward=False) for name in in_use} & set(gone)
    assert len([name for name in history if is_made_for(name, "s1")]) - len(gone) >= min(KEPT, len(history) - 2)


def test_the_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    write_history(tmp_path, ["inspector-edge", "s1-aaaaaaaaaaaa"])
    assert read_history(tmp_path) == ["inspector-edge", "s1-aaaaaaaaaaaa"]
    assert (tmp_path / "models.toml").read_text().startswith("# Models of this station, oldest first")


def test_thresholds_and_normality_stay_with_the_model_that_they_were_fitted_with(root: Path, makings: Path) -> None:
    station = station_of(root)
    first, second = (DecisionCalibration(temperature=value, fitted_on=9, model=f"m@{value}") for value in (1.5, 2.5))
    write_decision(station, "screw", first)
    (station / "normality.toml").write_text("# of the first model\n")
    install(root, station, makings / "v1", lambda: write_decision(station, "screw", second))
    assert read_decisions(station) == {"screw": second}
    assert not (station / "normality.toml").exists(), "it would be refused at the start"
    rollback(root, station)
    assert read_decisions(station) == {"screw": first}
    assert (station / "normality.toml").read_text() == "# of the first model\n"
    rollback(root, station, forward=True)
    assert not (station / "normality.toml").exists()
    assert read_decisions(station) == {"screw": second}
