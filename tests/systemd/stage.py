"""The files that make the booted machine a station: package, units, drop-ins, settings, tiny model, broker with a password."""

import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from inspector.dashboard.users import set_password
from tests.dashboard import board_visits
from tests.faults.station import build_checkpoint
from tests.station_kit import write_pictures, write_station

STATION = "s1"
PASSWORD = "a-password-that-nobody-may-see"
STATUS_TOPIC = f"inspector/v1/plant/press/line1/{STATION}/status"
BOARD_PORT = 8101
"""The dashboard's own default."""
QUESTION = "/etc/inspector/question.wav"
"""A spoken question; there where espeak-ng is installed."""
_UNITS = Path(__file__).parents[2] / "systemd"
PYTHON = f"/opt/inspector/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
"""Our own interpreter, where the user of the daemon may run it."""
_PROGRAM = f"""\
#!/bin/sh
export PYTHONPATH=/opt/inspector/source:/opt/inspector/packages PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=/opt/inspector/python/lib
exec {PYTHON} -m inspector "$@"
"""
_BROKER = "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/users\npersistence false\n"
_PARTS = "systemd-journald.service mosquitto.service"
_TARGET = f"[Unit]\nRequires={_PARTS}\nAfter={_PARTS}\nAllowIsolate=yes\n"


def write_stage(stage: Path) -> None:
    """Write everything below ``stage`` as it is to lie below the root."""
    root = stage / "etc/inspector"
    build_checkpoint(root)
    settings = write_station(
        root,
        STATION,
        station='product = "screw"\nis_simulated = true\nsite = "plant"\narea = "press"\nline = "line1"',
        cameras_line='kind = "folder"\npath = "frames"\nloop = true\nrate_hz = 4.0',
        mqtt=f'username = "{STATION}"',
        log='keep_images = "all"\nmin_free_bytes = 0',
    )
    write_pictures(settings.folder / "frames", 4)
    _write_broker(stage)
    _write_units(stage)
    _write_board(stage)
    _write(stage / "opt/inspector/venv/bin/inspector", _PROGRAM, 0o755)
    _write(stage / f"etc/credstore/inspector-{STATION}.mqtt-password", PASSWORD + "\n", 0o600)
    _write(stage / "etc/machine-id", uuid.uuid4().hex + "\n")


def _write_broker(stage: Path) -> None:
    """A broker that lets the station and a reader in, by password."""
    _write(stage / "etc/mosquitto/mosquitto.conf", _BROKER)
    users = stage / "etc/mosquitto/users"
    for create, user in ((["-c"], STATION), ([], "reader")):
        subprocess.run(["mosquitto_passwd", "-b", *create, str(users), user, PASSWORD], check=True, capture_output=True)
    users.chmod(0o644)


def _write_units(stage: Path) -> None:
    """The unit as it is shipped, the drop-in for the password, and one that makes the watchdog quick."""
    units = stage / "etc/systemd/system"
    drop_ins = units / f"inspector@{STATION}.service.d"
    _write(units / "proof.target", _TARGET)
    _write(units / "inspector@.service", (_UNITS / "inspector@.service").read_text(encoding="utf-8"))
    _write(drop_ins / "mqtt-password.conf", (_UNITS / "examples/mqtt-password.conf").read_text(encoding="utf-8"))
    _write(drop_ins / "quick.conf", "[Service]\nWatchdogSec=5\nTimeoutAbortSec=5\nRestartSec=1\n")
    for kind in ("sysusers", "tmpfiles"):
        _write(stage / f"usr/lib/{kind}.d/inspector.conf", (_UNITS / f"inspector.{kind}.conf").read_text(encoding="utf-8"))


def _write_board(stage: Path) -> None:
    """The dashboard's unit as it is shipped, its users as a credential, and a question to be heard."""
    units = stage / "etc/systemd/system"
    _write(units / "inspector-dashboard.service", (_UNITS / "inspector-dashboard.service").read_text(encoding="utf-8"))
    _write(
        units / "inspector-dashboard.service.d/users.conf",
        "[Service]\nLoadCredential=dashboard-users:/etc/inspector/dashboard-users.toml\n",
    )
    _write(stage / "etc/inspector/dashboard.env", f'STATIONS="{STATION}"\n')
    set_password(stage / "etc/inspector/dashboard-users.toml", board_visits.USER, board_visits.PASSWORD, ("review",))
    if (voice := shutil.which("espeak-ng")) is not None:
        subprocess.run([voice, "-v", "en-us", "-s", "150", "-w", str(stage / QUESTION[1:]), "how is the station"], check=True)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
