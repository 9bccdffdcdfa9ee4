"""The files for systemd, judged by systemd's own tools."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "inspector@.service"

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@needs_analyze
def test_systemd_understands_every_line_of_the_unit() -> None:
    # The exit status is 0 even for a key that systemd ignores: only silence counts.
    done = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@needs_analyze
def test_the_unit_is_locked_down() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_user_of_the_unit_is_created_with_its_groups(tmp_path: Path) -> None:
    command = ["systemd-sysusers", "--dry-run", f"--root={tmp_path}", str(FOLDER / "inspector.sysusers.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Creating user 'inspector'" in done.stdout + done.stderr


def test_the_unit_keeps_the_runtimes_from_calling_home() -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert "ORT_DISABLE_TELEMETRY=1" in text
    assert "HF_HUB_OFFLINE=1" in text


def test_a_reload_needs_no_program_that_a_bare_system_lacks() -> None:
    reload = next(line for line in UNIT.read_text(encoding="utf-8").splitlines() if line.startswith("ExecReload="))
    assert reload == 'ExecReload=/bin/sh -c "kill -HUP $MAINPID"'
