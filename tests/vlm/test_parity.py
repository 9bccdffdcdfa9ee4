"""The parity gate: graphs that answer as their source did pass, others are refused with the pictures named, and a pass is remembered."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.errors import CheckpointError, PredictionError
from inspector.settings import StationSettings
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.frozen_set import FOLDER, open_set
from inspector.vlm.onnx_predictor import OnnxPredictor, Prefix
from inspector.vlm.parity import Judge, check_parity, limits_of, open_gate
from inspector.vlm.parity_memory import Machine, this_machine
from tests.conftest import Tiny
from tests.parity_kit import frozen_tiny
from tests.station_kit import write_station

HERE = Machine('{"onnxruntime": "1.31.1"}', "flags\t: avx2 fma")


@pytest.fixture
def settings(tmp_path: Path) -> StationSettings:
    return write_station(tmp_path)


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return frozen_tiny(tiny, tmp_path_factory.mktemp("whole") / "tiny")


class Counted:
    """Opens a predictor and counts how often it was asked for."""

    def __init__(self, folder: Path, kind: type[OnnxPredictor] = OnnxPredictor) -> None:
        self.folder, self.kind, self.opened = folder, kind, 0

    def __call__(self) -> Judge:
        self.opened += 1
        return self.kind(open_checkpoint(self.folder), threads=1)


class OtherProvider(OnnxPredictor):
    """Stands for an execution provider whose kernels compute something else."""

    def edge_logits(self, prefix: Prefix, slots: NDArray[np.float32]) -> NDArray[np.float32]:
        return -super().edge_logits(prefix, slots)


class SlightlyOther(OnnxPredictor):
    """Stands for a provider that keeps every label and moves each probability."""

    def edge_logits(self, prefix: Prefix, slots: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.float32(2.0) * super().edge_logits(prefix, slots)


class Silent:
    """Cannot judge anything."""

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        raise PredictionError("the model returned a logit that is not finite")


def test_graphs_that_answer_as_their_source_did_pass(whole: Path, settings: StationSettings) -> None:
    frozen = open_set(whole / FOLDER)
    labels = {max(picture.expected, key=lambda name: picture.expected[name]) for picture in frozen.pictures}
    assert len(frozen.pictures) >= 3
    assert any(picture.context.reports for picture in frozen.pictures)
    assert labels
    passed = check_parity(open_gate(open_checkpoint(whole), settings), Counted(whole), None)
    assert passed.is_compared
    assert passed.text.startswith(f"parity: {len(frozen.pictures)} frozen pictures, 0 flips, largest shift 0.00")


def test_one_damaged_tensor_of_the_decoder_is_refused_with_the_pictures_named(
    tiny: Tiny, tmp_path: Path, settings: StationSettings
) -> None:
    folder = frozen_tiny(tiny, tmp_path / "damaged", damaged=True)
    with pytest.raises(CheckpointError) as refused:
        check_parity(open_gate(open_checkpoint(folder), settings), Counted(folder), None)
    head, *rest = str(refused.value).splitlines()
    assert "does not answer on this machine as its source did" in head
    assert "0 flips and a shift of 0.05 are allowed, so it may not judge parts" in head
    named = [line for line in rest if line.startswith("  - ")]
    assert named
    assert all(str(folder / FOLDER) in line and "expected" in line and "found" in line for line in named)
    assert "See all pictures: inspector models verify s1 --sheet parity.png" in rest
    assert "Restore the previous model: inspector models rollback s1" in rest


@pytest.mark.parametrize(("kind", "mark"), [(OtherProvider, r"[1-9]\d* flips?"), (SlightlyOther, "0 flips")])
def test_a_provider_that_computes_something_else_is_refused(
    whole: Path, settings: StationSettings, kind: type[OnnxPredictor], mark: str
) -> None:
    with pytest.raises(CheckpointError, match=f"{mark}, largest shift"):
        check_parity(open_gate(open_checkpoint(whole), settings), Counted(whole, kind), None)


def test_a_model_that_gives_no_answer_is_refused(whole: Path, settings: StationSettings) -> None:
    with pytest.raises(CheckpointError, match="found no answer"):
        check_parity(open_gate(open_checkpoint(whole), settings), Silent, None)


def test_a_pass_is_remembered_and_the_set_is_not_judged_again(whole: Path, settings: StationSettings, tmp_path: Path) -> None:
    model, memory, checkpoint = Counted(whole), tmp_path / "s1.parity.json", open_checkpoint(whole)
    first = check_parity(open_gate(checkpoint, settings, HERE), model, memory)
    again = check_parity(open_gate(checkpoint, settings, HERE), model, memory)
    assert model.opened == 1
    assert "(judged in " in first.text
    assert "(judged 20" in again.text
    assert again.text.partition(" (")[0] == first.text.partition(" (")[0]


@pytest.mark.parametrize(
    "other",
    [
        replace(HERE, software='{"onnxruntime": "1.32.0"}'),
        replace(HERE, processor="flags\t: avx2 fma avx512_vnni"),
    ],
)
def test_another_runtime_or_other_instructions_judge_the_set_again(
    whole: Path, settings: StationSettings, tmp_path: Path, other: Machine
) -> None:
    model, memory, checkpoint = Counted(whole), tmp_path / "s1.parity.json", open_checkpoint(whole)
    check_parity(open_gate(checkpoint, settings, HERE), model, memory)
    check_parity(open_gate(checkpoint, settings, other), model, memory)
    assert model.opened == 2


def test_another_provider_or_another_set_judges_again(whole: Path, tiny: Tiny, settings: StationSettings, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(whole)
    keys = [open_gate(checkpoint, settings, HERE).key]
    cuda = settings.model_copy(update={"model": settings.model.model_copy(update={"providers": ("CUDAExecutionProvider",)})})
    keys.append(open_gate(checkpoint, cuda, HERE).key)
    shutil.copytree(whole / FOLDER, settings.folder / FOLDER)
    keys.append(open_gate(checkpoint, settings, HERE).key)
    keys.append(open_gate(open_checkpoint(frozen_tiny(tiny, tmp_path / "b", changed=1)), settings, HERE).key)
    assert len(set(keys)) == 4


def test_a_refusal_is_never_remembered(whole: Path, settings: StationSettings, tmp_path: Path) -> None:
    model, memory = Counted(whole, OtherProvider), tmp_path / "s1.parity.json"
    for _ in range(2):
        with pytest.raises(CheckpointError):
            check_parity(open_gate(open_checkpoint(whole), settings, HERE), model, memory)
    assert model.opened == 2
    assert not memory.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}'])
def test_a_memory_that_cannot_be_read_only_costs_the_time(whole: Path, settings: StationSettings, tmp_path: Path, text: str) -> None:
    memory, model = tmp_path / "s1.parity.json", Counted(whole)
    memory.write_text(text, encoding="utf-8")
    check_parity(open_gate(open_checkpoint(whole), settings, HERE), model, memory)
    assert model.opened == 1
    assert json.loads(memory.read_text(encoding="utf-8"))["flips"] == 0


def test_a_state_folder_that_is_not_there_is_not_made(whole: Path, settings: StationSettings, tmp_path: Path) -> None:
    check_parity(open_gate(open_checkpoint(whole), settings), Counted(whole), tmp_path / "var" / "s1.parity.json")
    assert not (tmp_path / "var").exists()


def test_a_checkpoint_without_a_set_passes_with_a_note(tiny: Tiny, settings: StationSettings) -> None:
    model = Counted(tiny.folder)
    passed = check_parity(open_gate(open_checkpoint(tiny.folder), settings), model, None)
    assert not passed.is_compared
    assert "has no frozen set: nothing shows that it answers here as its source did" in passed.notes[0]
    assert model.opened == 0


def test_the_stations_own_set_is_judged_too(whole: Path, settings: StationSettings) -> None:
    shutil.copytree(whole / FOLDER, settings.folder / FOLDER)
    gate = open_gate(open_checkpoint(whole), settings)
    assert [frozen.folder for frozen in gate.sets] == [whole / FOLDER, settings.folder / FOLDER]
    with pytest.raises(CheckpointError) as refused:
        check_parity(gate, Counted(whole, OtherProvider), None)
    assert str(settings.folder / FOLDER) in str(refused.value)


def test_a_stations_set_of_another_model_is_named_and_not_compared(
    tiny: Tiny, whole: Path, settings: StationSettings, tmp_path: Path
) -> None:
    other = frozen_tiny(tiny, tmp_path / "other", changed=1)
    shutil.copytree(other / FOLDER, settings.folder / FOLDER)
    gate = open_gate(open_checkpoint(whole), settings)
    assert len(gate.sets) == 1
    assert "is not compared; inspector models freeze s1 makes it anew" in gate.notes[0]


def test_the_set_of_another_model_in_a_models_folder_is_refused(tiny: Tiny, whole: Path, settings: StationSettings, tmp_path: Path) -> None:
    other = frozen_tiny(tiny, tmp_path / "other", changed=1)
    shutil.rmtree(other / FOLDER)
    shutil.copytree(whole / FOLDER, other / FOLDER)
    with pytest.raises(CheckpointError, match=r"parity: was made for tiny@[0-9a-f]{12}, the model is tiny@"):
        open_gate(open_checkpoint(other), settings)


def test_a_set_that_was_taken_away_is_missed(whole: Path, settings: StationSettings, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "tiny"))
    shutil.rmtree(folder / FOLDER)
    with pytest.raises(CheckpointError, match=r"set\.json: the frozen set is missing; fetch the folder anew"):
        open_gate(open_checkpoint(folder), settings)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def soften(path: Path) -> None:
    table = json.loads(path.read_text(encoding="utf-8"))
    table["pictures"][0]["posterior"] = dict.fromkeys(table["pictures"][0]["posterior"], 0.25)
    path.write_text(json.dumps(table), encoding="utf-8")


def age(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"format": 9}), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "harm", "said"),
    [
        ("set.json", cut, "cannot be read as JSON, it is truncated or altered"),
        ("set.json", soften, "does not match its seal, it is altered"),
        ("set.json", age, "format 9, this version reads format 1"),
        ("set.json", lambda path: path.write_text("[]"), "format 'list'"),
        ("00-part_0.png", cut, "it is truncated or altered"),
        ("00-part_0.png", Path.unlink, "a file of the frozen set cannot be read"),
        ("vectors.npy", cut, "it is truncated or altered"),
    ],
)
def test_a_truncated_or_altered_file_of_the_set_is_named(
    whole: Path, settings: StationSettings, tmp_path: Path, name: str, harm: object, said: str
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "tiny"))
    path = next((folder / FOLDER).glob(name if name != "00-part_0.png" else "00-*.png"))
    harm(path)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=said) as refused:
        open_gate(open_checkpoint(folder), settings)
    assert str(path) in str(refused.value)


def test_model_toml_says_how_much_is_allowed(whole: Path, settings: StationSettings, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "tiny"))
    toml = folder / "model.toml"
    text = toml.read_text(encoding="utf-8")
    count = len(open_set(folder / FOLDER).pictures)
    toml.write_text(
        text.replace("max_flips = 0", f"max_flips = {count}").replace("max_shift = 0.05", "max_shift = 0.9999"), encoding="utf-8"
    )
    assert check_parity(open_gate(open_checkpoint(folder), settings), Counted(folder, OtherProvider), None).is_compared
    for wrong in ("max_flips = -1", "max_flips = true", 'max_shift = "much"', "max_shift = 1.0"):
        toml.write_text(text.partition("[parity]")[0] + f"[parity]\n{wrong}\n", encoding="utf-8")
        with pytest.raises(CheckpointError, match=rf"model\.toml: parity\.{wrong.split()[0]} must"):
            limits_of(open_checkpoint(folder))


def test_the_machine_is_told_by_its_processor_and_its_software(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: X\nflags\t\t: avx2\nbogomips\t: 1\n\nprocessor\t: 1\n", encoding="utf-8"
    )
    gpu = tmp_path / "driver" / "nvidia" / "gpus" / "0000:01:00.0"
    gpu.mkdir(parents=True)
    (gpu / "information").write_text("Model: Y", encoding="utf-8")
    machine = this_machine(tmp_path)
    assert machine.processor == "model name\t: X\nflags\t\t: avx2\n\nModel: Y"
    assert '"onnxruntime"' in machine.software
