"""Starting: how long the station's daemon takes from nothing to READY, and how much memory it holds after judging all its pictures.

The daemon runs as systemd would run it, in a process and a state folder of its own, without a broker. It is started twice: the first start
on a machine judges the frozen set (docs/parity.md), later ones remember that it passed.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from inspector.errors import InspectorError
from inspector.settings import StationSettings

_READY_TIMEOUT_S = 180.0
_LOOK_EVERY_S = 0.05
_RATE_HZ = 25.0
"""Frames a second of the replay that fills the caches."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a start came to."""

    first_s: float
    """The first start on a machine, to READY, seconds."""
    again_s: float
    """Every later one."""
    rss_mib: float
    """Most resident memory of the daemon, which has judged every picture once, MiB."""

    def to_dict(self) -> dict[str, float]:
        """Return the numbers for JSON."""
        return {key: round(value, 2) for key, value in asdict(self).items()}


def measure_start(settings: StationSettings, root: Path) -> Start | None:
    """Start the station's daemon twice; None where its cameras are not folders. Raises ``InspectorError`` if it does not start."""
    if any(camera.kind != "folder" or camera.watch for camera in settings.cameras.values()):
        return None
    with tempfile.TemporaryDirectory(prefix="inspector-start-") as state:
        first_s, _ = _run(settings, root, Path(state))
        again_s, rss_mib = _run(settings, root, Path(state))
    return Start(first_s, again_s, rss_mib)


def _run(settings: StationSettings, root: Path, state: Path) -> tuple[float, float]:
    """Run the daemon until its replay is over; return seconds to READY and its most resident memory, MiB."""
    command = [sys.executable, "-m", "inspector", "--root", str(root), "run", settings.name, "--set", "mqtt.enabled=false"]
    command += [part for name in settings.cameras for part in ("--set", f"cameras.{name}.rate_hz={_RATE_HZ}")]
    command += [part for name in settings.cameras for part in ("--set", f"cameras.{name}.loop=false")]
    command += ["--set", f"log.path={json.dumps(str(state / 'start.db'))}"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (state / "daemon.log").open("wb") as output:
        told.bind(str(state / "notify"))
        environ = os.environ | {"NOTIFY_SOCKET": str(state / "notify"), "STATE_DIRECTORY": str(state)}
        began_s = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
        try:
            ready_s = _wait_ready(told, process, state) - began_s
            peak_kib = 0
            while process.poll() is None:
                peak_kib = max(peak_kib, _peak_kib(process.pid))
                time.sleep(_LOOK_EVERY_S)
        finally:
            process.kill()
            process.wait()
            (state / "notify").unlink()
    if process.returncode:
        raise InspectorError(f"the daemon ended with exit code {process.returncode}: {_last_words(state)}")
    return ready_s, peak_kib / 1024


def _peak_kib(pid: int) -> int:
    """Return the most resident memory of a process so far; the kernel's ru_maxrss would count its parent's, from before it began."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _wait_ready(told: socket.socket, process: subprocess.Popen[bytes], state: Path) -> float:
    """Return the instant at which the daemon told READY."""
    told.settimeout(0.5)
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            if b"READY=1" in told.recv(4096):
                return time.monotonic()
        except TimeoutError:
            if process.poll() is not None:
                break
    raise InspectorError(f"the daemon did not get ready: {_last_words(state)}")


def _last_words(state: Path) -> str:
    return (state / "daemon.log").read_text(encoding="utf-8", errors="replace")[-600:].strip()
