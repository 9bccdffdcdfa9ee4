"""The files for systemd, judged by systemd's own tools."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit with a program that exists on every machine in the daemon's place."""
    text = (FOLDER / "inspector@.service").read_text(encoding="utf-8")
    assert "ExecStart=/opt/inspector/venv/bin/inspector --root /etc/inspector run %i\n" in text
    path = tmp_path / "inspector@.service"
    path.write_text(text.replace("/opt/inspector/venv/bin/inspector", "/bin/true"), encoding="utf-8")
    return path


@needs_analyze
def test_systemd_understands_every_line_of_the_unit(unit: Path) -> None:
    # The exit status is 0 even for a key that systemd ignores: only silence counts.
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@needs_analyze
def test_the_unit_is_locked_down(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_user_of_the_unit_is_created_with_its_groups(tmp_path: Path) -> None:
    command = ["systemd-sysusers", "--dry-run", f"--root={tmp_path}", str(FOLDER / "inspector.sysusers.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Creating user 'inspector'" in done.stdout + done.stderr


def test_the_unit_keeps_the_runtimes_from_calling_home() -> None:
    text = (FOLDER / "inspector@.service").read_text(encoding="utf-8")
    assert "ORT_DISABLE_TELEMETRY=1" in text
    assert "HF_HUB_OFFLINE=1" in text
