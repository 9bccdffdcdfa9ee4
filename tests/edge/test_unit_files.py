"""The files for systemd, judged by systemd's own tools."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "inspector@.service"

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


EXAMPLES = sorted(path.stem for path in (FOLDER / "examples").glob("*.conf"))
COMBINATIONS = [(), *((name,) for name in EXAMPLES), ("gpu", "mqtt-password", "v4l2-camera"), tuple(EXAMPLES)]


@pytest.fixture(params=COMBINATIONS, ids="+".join)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the unit with some of the drop-ins, as they lie in /etc/systemd/system."""
    unit = Path(shutil.copy(UNIT, tmp_path))
    drop_ins = tmp_path / f"{UNIT.name}.d"
    drop_ins.mkdir()
    for name in request.param:
        shutil.copy(FOLDER / "examples" / f"{name}.conf", drop_ins)
    return unit


@needs_analyze
def test_systemd_understands_every_line_of_the_unit_and_its_drop_ins(unit: Path) -> None:
    # The exit status is 0 even for a key that systemd ignores: only silence counts.
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@needs_analyze
def test_the_unit_is_locked_down_with_every_drop_in(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


@needs_analyze
def test_a_drop_in_with_a_slip_of_the_pen_is_noticed(tmp_path: Path) -> None:
    unit = Path(shutil.copy(UNIT, tmp_path))
    drop_in = tmp_path / f"{UNIT.name}.d" / "slip.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nPrivateDevicess=no\n", encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "PrivateDevicess" in done.stderr


def test_no_line_breaks_the_runtimes() -> None:
    # They write machine code into memory, read /proc/cpuinfo and pin their threads to cores.
    files = [UNIT, *(FOLDER / "examples").iterdir()]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert not [line for line in lines if line.startswith("MemoryDenyWriteExecute=") or line == "ProcSubset=pid"]
    assert not [line for line in lines if line.startswith("SystemCallFilter=~") and "@resources" in line]


def test_devices_are_opened_by_drop_ins_alone() -> None:
    assert "DeviceAllow=" not in UNIT.read_text(encoding="utf-8")
    for name, devices in (("v4l2-camera", "char-video4linux rw"), ("gpu", "char-nvidia* rw")):
        lines = (FOLDER / "examples" / f"{name}.conf").read_text(encoding="utf-8").splitlines()
        # PrivateDevices=yes would hide what DeviceAllow= allows.
        assert {"PrivateDevices=no", f"DeviceAllow={devices}"} <= set(lines)


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
