"""What a full checkpoint's folder must hold, and what is refused before a weight is loaded."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspector.errors import CheckpointError
from inspector.vlm.checkpoint import sha256
from inspector.vlm.full_checkpoint import REPORTS, open_full, tensor_sizes, verify_full, write_origin
from inspector.vlm.full_loading import choose_device, load_full, precision_options
from inspector.vlm.memory_plan import host_free_bytes, plan_memory, refuse_too_large
from inspector.vlm.opening import open_any, verify_any
from tests.full_kit import section, write_tiny_full


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_full(tmp_path_factory.mktemp("whole") / "tiny-full")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "tiny-full"))


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "chat_template.jinja", "model.safetensors"]
)
def test_a_missing_file_is_named_with_what_to_do(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: the file is missing; copy it from the model's page") as caught:
        open_any(folder, section())
    assert len(str(caught.value).splitlines()) == 1


def test_all_faults_are_told_at_once(folder: Path) -> None:
    for name in ("tokenizer.json", "chat_template.jinja"):
        (folder / name).unlink()
    assert len(verify_any(folder)) == 2


def test_truncated_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated"):
        open_full(folder, section())


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert verify_full(folder) == [line for line in verify_full(folder) if "model-00002-of-00002.safetensors: the file is missing" in line]


def test_another_kind_of_model_is_refused_by_its_type(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llava"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="model_type is 'llava', expected minicpmv4_6 or minicpmv4_7"):
        open_any(folder, section())


def test_a_folder_that_holds_no_model_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"neither model\.toml \(inspector-edge\) nor config\.json"):
        open_any(tmp_path, section())
    with pytest.raises(CheckpointError, match="there is no such model"):
        open_any(tmp_path / "nothing", section())


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_config_that_cannot_be_read_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    assert "config.json: " in verify_any(folder)[0]


def test_an_altered_file_is_found_where_the_hashes_are_known(folder: Path) -> None:
    assert not open_full(folder, section()).is_verified
    write_origin(folder, "openbmb/tiny", "c0ffee", {path.name: sha256(path) for path in folder.iterdir()})
    assert open_full(folder, section()).is_verified
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"chat_template\.jinja: sha256 .* altered"):
        open_full(folder, section())


def test_the_revision_follows_every_file_and_every_setting_that_changes_an_answer(folder: Path) -> None:
    revisions = {
        open_full(folder, section(**keys)).revision for keys in ({}, {"precision": "int4"}, {"image_tokens": "4x"}, {"max_slices": 2})
    }
    assert len(revisions) == 4
    assert open_full(folder, section(threads=2, max_batch=1)).revision in revisions
    (folder / REPORTS).unlink()
    assert open_full(folder, section()).revision not in revisions


def test_a_projector_for_another_model_is_refused(folder: Path) -> None:
    save_file({"inner.weight": torch.zeros(32, 384)}, folder / REPORTS, metadata={"encoder": "test@0"})
    with pytest.raises(CheckpointError, match=r"reports\.safetensors: no report projector for a model of width 64"):
        open_full(folder, section())


def test_another_report_encoder_is_refused(whole: Path) -> None:
    checkpoint = open_full(whole, section())
    checkpoint.refuse_other_encoder("test@0")
    with pytest.raises(CheckpointError, match=r"reads reports encoded by test@0"):
        checkpoint.refuse_other_encoder("other@1")


def test_a_weight_that_is_missing_is_refused_instead_of_drawn_at_random(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.language_model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 weight\(s\) missing .* model\.language_model\.norm\.weight"):
        load_full(open_full(folder, section()), section())


def test_the_plan_counts_every_weight(whole: Path) -> None:
    checkpoint = open_full(whole, section())
    model = load_full(checkpoint, section())
    counted = plan_memory(checkpoint, section(), "float32").weights_bytes
    assert counted == sum(4 * parameter.numel() for parameter in model.parameters())
    sizes = [plan_memory(checkpoint, section(), precision).weights_bytes for precision in ("float32", "bfloat16", "int8", "int4")]
    assert sizes == sorted(sizes, reverse=True)


def test_quantising_on_the_cpu_is_planned_with_the_files_beside_what_is_made_of_them(whole: Path) -> None:
    checkpoint = open_full(whole, section())
    size = (whole / "model.safetensors").stat().st_size
    plan = plan_memory(checkpoint, section(), "int4")
    assert plan.loading_bytes > plan.weights_bytes + size
    assert plan.total_bytes >= plan.loading_bytes
    assert plan_memory(checkpoint, section(), "int4", on_cpu=False).loading_bytes == 0
    assert plan_memory(checkpoint, section(), "bfloat16").loading_bytes == 0


def test_too_much_memory_is_refused_before_loading_with_what_would_fit(whole: Path) -> None:
    tight = section(max_memory_bytes=600_000_000)
    with pytest.raises(CheckpointError, match=r"needs about .* model\.max_memory_bytes is 0\.6 GB; nothing of it fits there"):
        load_full(open_full(whole, tight), tight)
    checkpoint = open_full(whole, section())
    needed = plan_memory(checkpoint, section(), "bfloat16").total_bytes
    with pytest.raises(CheckpointError, match=r'this machine has .* free; these fit, in \[model\]: precision = "bfloat16"; or precision'):
        refuse_too_large(checkpoint, section(), needed)
    refuse_too_large(checkpoint, section(max_memory_bytes=10 * needed), 20 * needed)
    assert host_free_bytes() > 0


def test_a_file_larger_than_the_address_space_allowed_is_counted_all_the_same(tmp_path: Path) -> None:
    """As under ``ulimit -v``: what does not fit must be refused with advice, so it must be counted first."""
    header = json.dumps({"weight": {"dtype": "BF16", "shape": [1 << 15, 1 << 16], "data_offsets": [0, 1 << 32]}}).encode()
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (1 << 32))  # takes no room on the disk
    program = (
        "import resource, sys\nfrom pathlib import Path\nfrom inspector.vlm.full_checkpoint import tensor_sizes\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\nprint(tensor_sizes(Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == "{'weight': ('BF16', (32768, 65536))}\n", done.stderr
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(CheckpointError, match="truncated or no safetensors file"):
        tensor_sizes(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_is_refused_where_there_is_none() -> None:
    with pytest.raises(CheckpointError, match=r'model\.device is "cuda", but torch finds no CUDA device'):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


def test_quantised_weights_without_their_package_are_refused_with_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.vlm.full_loading.find_spec", lambda package: None if package == "bitsandbytes" else True)
    with pytest.raises(CheckpointError, match=r'"int4", which needs bitsandbytes: pip install .* "float32" and "bfloat16" work'):
        precision_options("int4", torch.device("cpu"))
